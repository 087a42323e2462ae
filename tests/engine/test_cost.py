"""What a run takes, as --dry_run says it, and the micro-batch."""
import glob
import math
import os
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from training import run, tiny

import train
from engine import cost, runtime
from engine.configurator import configure
from looped import LoopedGPT
from settings import Config, make_config, with_task
from tasks import make_task


def resolved(config):
    """(config, task) as train.py has them once the task has filled in the sizes."""
    task = make_task(config)
    train.resolve(config, [], task)
    return config, task


def test_dry_run_tells_and_writes_nothing(tmp_path, capsys):
    run(tmp_path / 'run', dry_run=True)
    text = capsys.readouterr().out
    model = LoopedGPT(resolved(tiny())[0])
    assert f'{model.count_parameters():,}' in text and f'{model.flops_per_token(9):,}' in text
    assert '1,080' in text
    assert not (tmp_path / 'run').exists()


def test_memory_estimate_counts_what_autograd_keeps():
    """Against the tensors that a real forward pass of the whole model saves, in float32."""
    config, _ = resolved(tiny(stages='2x3', n_embd=64, positions='none'))
    model = LoopedGPT(config)
    weights, kept = {p.data_ptr() for p in model.parameters()}, {}

    def count(tensor):
        if tensor.data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        model(torch.zeros(50, 9, dtype=torch.long))
    real = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    estimate = cost.activation_bytes(cost.on_meta(config), 50, 9, 'float32')
    assert estimate == pytest.approx(real, rel=0.1)


def test_looped_pile_models_have_the_parameters_of_their_base(root):
    """Saunshi et al. 2025, Tables 3 and 4, on the meta device: k x L has exactly the parameters of k x 1."""
    sizes = {}
    for path in sorted(glob.glob(os.path.join(root, 'config', 'pile_*.py'))):
        config, _ = configure(Config, [path], '', extend=with_task)
        model = cost.on_meta(resolved(config)[0])
        sizes[os.path.basename(path)[5:-3]] = model.count_parameters()
        with open(path, encoding='utf-8') as file:
            assert f'{model.count_parameters():,} parameters' in file.read()
    assert len(sizes) == 22 and sizes['24x1'] == 1_363_773_440
    for k, loops in ((12, (2,)), (8, (3,)), (6, (4,)), (4, (2, 3, 6, 9, 12))):
        assert {sizes[f'{k}x{n}'] for n in (1, *loops)} == {sizes[f'{k}x1']}
    assert sizes['middle'] == sizes['12x1'] and sizes['reg4'] == sizes['24x1']


def test_the_micro_batch_is_the_largest_equal_part_that_fits():
    config, task = resolved(make_config(dict(stages='6x1', batch_size=100, device='cpu', dtype='float32')))
    machine = SimpleNamespace(device=torch.device('mps'), dtype='float32', share=lambda batch: batch)
    assert cost.micro_batch(config, task, machine) == 100
    assert cost.micro_batch(replace(config, micro_batch_size=7), task, machine) == 7
    small = replace(config, device_memory=1.0)
    micro, model = cost.micro_batch(small, task, machine), cost.on_meta(config)
    parts = [size for size in range(1, 101) if 100 % size == 0]
    fits, too_large = (cost.activation_bytes(model, size, 256, 'float32')
                       for size in parts[parts.index(micro):][:2])
    assert fits <= cost.MEMORY_SHARE * 1e9 - cost.held_bytes(model, small) < too_large


def test_on_a_cpu_the_micro_batch_of_a_small_model_stays_in_the_cache():
    machine = runtime.start('cpu', 'float32', 'False')
    small, task = resolved(make_config(dict(stages='1x6', batch_size=100, n_embd=64, n_head=4)))
    micro, model = cost.micro_batch(small, task, machine), cost.on_meta(small)
    parts = [size for size in range(1, 101) if 100 % size == 0]
    fits, too_large = (cost.block_bytes(model, size, 256, 'float32')
                       for size in parts[parts.index(micro):][:2])
    assert fits <= cost.CACHE < too_large
    wide = replace(small, n_embd=1024, n_ff=4096)
    assert cost.micro_batch(wide, task, machine) == 100, 'gradients are larger than it'


@pytest.mark.parametrize('share', [1, 2, 7, 64, 73, 74, 86, 103, 512])
@pytest.mark.parametrize('most', [1, 2, 20, 33, 600])
def test_parts_are_few_and_as_even_as_can_be(share, most):
    """A GPU's share of 512 sequences on 5, 6, 7 or 8 GPUs: no cliff where it has no divisor that fits."""
    parts = cost.fewest_parts(share, lambda size: size <= most)
    fewest = math.ceil(share / most)
    assert fewest <= parts <= 1.5 * fewest
    assert share % parts == 0 or parts == fewest
    sizes = [share * (i + 1) // parts - share * i // parts for i in range(parts)]
    assert max(sizes) <= most and max(sizes) - min(sizes) <= 1


def test_the_time_that_a_run_may_take():
    config, task = resolved(make_config({}))
    model = cost.on_meta(config)
    flops = model.flops_per_token(256) * 256 * config.batch_size * config.max_steps
    machine = SimpleNamespace(world=2, device=torch.device('cpu'), compile=False,
                              product_flops=lambda: flops / 3600)
    text = cost.time_estimate(model, task, config, machine, step=0)
    assert text == 'about 1.2 hours of training'  # 1 / (0.4 x 2 processes)
    machine.product_flops = lambda: flops / 3600 / 30
    assert 'about 37.5 hours' in cost.time_estimate(model, task, config, machine, step=0)
    assert 'config/laptop' in cost.time_estimate(model, task, config, machine, step=0)
    assert 'about 0 minutes' in cost.time_estimate(model, task, config, machine, step=config.max_steps)


def test_a_huge_batch_is_cut_at_once():
    calls = []
    parts = cost.fewest_parts(10 ** 11, lambda size: calls.append(size) or size <= 1000)
    assert parts == 10 ** 8 and len(calls) < 50
