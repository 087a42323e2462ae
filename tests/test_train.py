"""Training: schedule, exact resumption, micro-batches, evaluation, stopping, what lands on disk."""
import glob
import json
import math
import os
import re
import shutil
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from training import TINY, assert_same_runs, rows, run, stop_at

import train
from engine import checkpoint, cost, files, logs
from engine import runtime as runtimes
from engine.configurator import UserError, build
from looped import build_model
from optimizers import make_optimizer
from settings import Config
from stages import parse_stages
from tasks import make_task


def test_schedule():
    config = Config(warmup_steps=10, max_steps=110, learning_rate=2.0)
    rates = [train.lr_at(step, config) for step in range(110)]
    assert rates[0] == 0.2 and rates[9] == rates[10] == 2.0
    assert rates[60] == pytest.approx(1.0) and rates[35] == pytest.approx(1 + math.cos(math.pi / 4))
    assert 0 < rates[-1] < 1e-3 and rates == rates[:10] + sorted(rates[10:], reverse=True)
    constant = Config(warmup_steps=0, max_steps=5, schedule='constant', learning_rate=2.0)
    assert [train.lr_at(step, constant) for step in range(5)] == [2.0] * 5


@pytest.mark.parametrize('changes', [
    dict(), dict(optimizer='adamw', weight_decay=0.1), dict(optimizer='muon'),
    dict(dropout=0.2, train_examples=33), dict(difficulty_start=(0, 6)), dict(ema=0.9),
    dict(stages='1x1+1x3', input_injection=True, checkpoint_loops=True)])
def test_stopping_and_going_on_equals_never_stopping(tmp_path, monkeypatch, changes):
    whole = run(tmp_path / 'whole', **changes)
    for step in (4, 7):  # on an evaluation, and between all intervals
        with monkeypatch.context() as patch:
            stop_at(patch, step)
            with pytest.raises(SystemExit, match='75'):
                run(tmp_path / 'parts', resume='auto', **changes)
        assert torch.load(tmp_path / 'parts' / 'ckpt.pt', weights_only=True)['step'] == step
    parts = run(tmp_path / 'parts', resume='must', **changes)
    assert_same_runs(whole, parts)


def test_rows_after_the_checkpoint_are_written_again(tmp_path, monkeypatch):
    """A run killed between checkpoints leaves rows past its last checkpoint, the last one cut short."""
    whole = run(tmp_path / 'whole')
    with monkeypatch.context() as patch:
        stop_at(patch, 5)
        with pytest.raises(SystemExit):
            run(tmp_path / 'cut')
    cut = str(tmp_path / 'cut')
    for name in ('metrics.csv', 'eval.csv'):
        shutil.copy(os.path.join(whole, name), os.path.join(cut, name))
        with open(os.path.join(cut, name), 'a', encoding='utf-8') as file:
            file.write('1')
    run(cut, resume='auto')
    assert_same_runs(whole, cut)


def test_micro_batches_change_nothing_but_rounding(tmp_path):
    one, two = run(tmp_path / 'one'), run(tmp_path / 'two', micro_batch_size=3)
    losses = [[float(row['loss']) for row in rows(folder, 'metrics.csv')] for folder in (one, two)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5) and len(losses[0]) == 12


@pytest.mark.parametrize('task', [dict(task='addition', operands=(2, 3), test_operands=(4,), digits=1),
                                  dict(task='igsm', max_ops=(3,), max_edges=6),
                                  dict(task='group', elements=4),
                                  dict(task='variables')])
def test_every_task_trains_the_same_with_any_number_of_workers(tmp_path, task):
    short = dict(max_steps=4, eval_interval=2) | task
    alone, ahead = (run(tmp_path / str(n), data_workers=n, **short) for n in (0, 2))
    assert_same_runs(alone, ahead)
    assert len(rows(alone, 'metrics.csv')) == 4


def test_evaluation_changes_no_training(tmp_path):
    often = run(tmp_path / 'often', eval_interval=1, dropout=0.2)
    seldom = run(tmp_path / 'seldom', dropout=0.2)
    assert rows(often, 'metrics.csv') == rows(seldom, 'metrics.csv')
    by_step = {(row['step'], row['difficulty']): row for row in rows(often, 'eval.csv')}
    assert all(by_step[row['step'], row['difficulty']] == row for row in rows(seldom, 'eval.csv'))
    assert len(by_step) == 24


def test_loss_falls_and_the_best_is_kept(tmp_path):
    folder = run(tmp_path / 'run', max_steps=60, learning_rate=0.01, optimizer='adamw', eval_interval=20,
                 warmup_steps=0)
    losses = [float(row['loss']) for row in rows(folder, 'metrics.csv')]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    accuracies = {}
    for row in rows(folder, 'eval.csv'):
        accuracies.setdefault(int(row['step']), []).append(float(row['accuracy']))
    best = torch.load(os.path.join(folder, 'best.pt'), weights_only=True)
    assert sum(accuracies[best['step']]) == max(map(sum, accuracies.values()))


def test_what_a_run_leaves(tmp_path):
    folder = run(tmp_path / 'run')
    assert sorted(os.listdir(folder)) == ['best.pt', 'ckpt.pt', 'config.json', 'eval.csv', 'metrics.csv']
    with open(os.path.join(folder, 'config.json'), encoding='utf-8') as file:
        saved = json.load(file)
    assert saved['config']['n_ff'] == 64 and saved['config']['block_size'] == 9
    assert saved['about']['loops'] == 2
    checkpoint_keys = {'model', 'optimizer', 'step', 'rng', 'config'}
    assert checkpoint_keys <= checkpoint.load(os.path.join(folder, 'ckpt.pt')).keys()
    model, task, step, config = checkpoint.load_model(folder, name='ckpt.pt')
    assert (step, config.stages, task.vocab_size) == (12, '1x2', 7) and not model.training


def test_a_run_is_neither_written_over_nor_mixed_with_another(tmp_path):
    folder = run(tmp_path / 'run')
    for changes, says in ((dict(), 'holds a run already'), (dict(resume='auto', stages='2x1'), 'stages=1x2'),
                          (dict(resume='auto', seed=3), 'seed=0')):
        with pytest.raises(UserError, match=says):
            run(folder, **changes)
    with pytest.raises(UserError, match='no checkpoint at'):
        run(tmp_path / 'none', resume='must')
    with open(os.path.join(folder, 'ckpt.pt'), 'r+b') as file:
        file.truncate(1000)
    with pytest.raises(UserError, match='not a readable checkpoint'):
        run(folder, resume='auto')
    assert not (tmp_path / 'none').exists()


def test_a_finished_run_stays_as_it_is(tmp_path):
    folder = run(tmp_path / 'run')
    before = rows(folder, 'metrics.csv'), rows(folder, 'eval.csv')
    run(folder, resume='auto')
    assert (rows(folder, 'metrics.csv'), rows(folder, 'eval.csv')) == before


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(tmp_path, monkeypatch):
    real, calls = train.backward, []

    def broken(model, config, runtime, batch, n_targets):
        loss = real(model, config, runtime, batch, n_targets)
        calls.append(1)
        if len(calls) >= 6:  # after the checkpoint of step 5
            next(model.parameters()).grad[0] = math.nan
        return loss
    monkeypatch.setattr(train, 'backward', broken)
    with pytest.raises(SystemExit, match='not finite at step 6'):
        run(tmp_path / 'run', log_interval=4)
    assert torch.load(tmp_path / 'run' / 'ckpt.pt', weights_only=True)['step'] == 5


def test_dry_run_tells_and_writes_nothing(tmp_path, capsys):
    run(tmp_path / 'run', dry_run=True)
    text = capsys.readouterr().out
    model = train.build_model(build(Config, TINY), 7, 9)
    assert f'{model.count_parameters():,}' in text and f'{model.flops_per_token(9):,}' in text
    assert '1,080' in text
    assert not (tmp_path / 'run').exists()


def test_memory_estimate_counts_what_autograd_keeps():
    """Against the tensors that a real forward pass of the whole model saves, in float32."""
    config = build(Config, TINY | dict(stages='2x3', block_size=9, n_embd=64, positions='none'))
    model = train.build_model(config, 7, 9)
    weights, kept = {p.data_ptr() for p in model.parameters()}, {}

    def count(tensor):
        if tensor.data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        model(torch.zeros(50, 9, dtype=torch.long))
    real = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    with torch.device('meta'):
        estimate = cost.activation_bytes(train.build_model(config, 7, 9), config, 50, 9, 'float32')
    assert estimate == pytest.approx(real, rel=0.1)


def test_a_block_size_above_what_the_task_needs(tmp_path):
    folder = run(tmp_path / 'run', block_size=30, positions='learned')
    assert checkpoint.load_model(folder)[0].position_embedding.num_embeddings == 30
    assert [row['tokens'] for row in rows(folder, 'metrics.csv')][-1] == str(12 * 10 * 9)


def test_a_checkpoint_of_another_version_is_said_to_be_one(tmp_path):
    folder = run(tmp_path / 'run')
    saved = checkpoint.load(os.path.join(folder, 'best.pt'))
    del saved['config']['length']
    checkpoint.save(os.path.join(folder, 'best.pt'), saved)
    with pytest.raises(UserError, match='another version'):
        checkpoint.load_model(folder)
    for junk in (b'hello world', b'.', b''):
        (tmp_path / 'run' / 'best.pt').write_bytes(junk)
        with pytest.raises(UserError, match='not a readable checkpoint'):
            checkpoint.load_model(folder)


def test_without_git_a_run_still_starts(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    assert logs.git_commit() == 'unknown'


def test_what_cannot_be_written_or_split_is_said_in_a_line(tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='cannot be written'):
        run(tmp_path / 'file')
    with pytest.raises(UserError, match='too few distinct problems'):
        run(tmp_path / 'small', task='group', group='c2', elements=2)
    real = runtimes.start
    monkeypatch.setattr(runtimes, 'start', lambda *choices: replace(real(*choices), world=11))
    with pytest.raises(UserError, match='without work'):
        run(tmp_path / 'wide')


def test_atomic_writes_leave_old_or_new(tmp_path):
    path = str(tmp_path / 'file')
    files.write_atomically(path, lambda file: file.write('old'))
    with pytest.raises(RuntimeError):
        def fail(file):
            file.write('half of the new')
            raise RuntimeError
        files.write_atomically(path, fail)
    with open(path, encoding='utf-8') as file:
        assert file.read() == 'old'
    assert os.listdir(tmp_path) == ['file']


def test_stage_strings_of_all_configuration_files(root):
    from engine.configurator import configure
    paths = glob.glob(os.path.join(root, 'config', '**', '*.py'), recursive=True)
    paths.remove(os.path.join(root, 'config', '__init__.py'))
    assert len(paths) > 60
    for path in paths:
        config, _ = configure(Config, [path], '')
        row = os.path.basename(path)[:-3].split('_')[-1]
        assert config.stages == row if re.fullmatch(r'\d+x\d+', row) else parse_stages(config.stages)


def test_averaged_weights_by_hand(tmp_path, monkeypatch):
    """best.pt of a run with ema holds a <- decay * a + (1 - decay) * w, from the first w on."""
    history, step = [], torch.optim.Optimizer.zero_grad

    def remember(self, *args, **more):
        history.append([p.detach().clone() for group in self.param_groups for p in group['params']])
        step(self, *args, **more)
    monkeypatch.setattr(torch.optim.Optimizer, 'zero_grad', remember)
    folder = run(tmp_path / 'run', ema=0.8, max_steps=5, eval_interval=5, optimizer='adamw',
                 learning_rate=0.1)
    expected = history[0]
    for weights in history[1:]:
        expected = [0.8 * a + 0.2 * w for a, w in zip(expected, weights, strict=True)]
    model = checkpoint.load_model(folder)[0]
    groups = make_optimizer(model, Config(optimizer='adamw')).param_groups
    held = [p for group in groups for p in group['params']]
    assert len(history) == 5 and (history[0][0] != history[4][0]).any()
    for a, b in zip(held, expected, strict=True):
        torch.testing.assert_close(a.data, b)


def test_looped_pile_models_have_the_parameters_of_their_base(root):
    """Every model of A's Tables 3 and 4 on the meta device; k x L has exactly the parameters of k x 1."""
    from engine.configurator import configure
    sizes = {}
    for path in sorted(glob.glob(os.path.join(root, 'config', 'pile_*.py'))):
        config, _ = configure(Config, [path], '')
        model = cost.on_meta(config, make_task(config))
        sizes[os.path.basename(path)[5:-3]] = model.count_parameters()
        with open(path, encoding='utf-8') as file:
            assert f'{model.count_parameters():,} parameters' in file.read()
    assert len(sizes) == 22 and sizes['24x1'] == 1_363_773_440
    for k, loops in ((12, (2,)), (8, (3,)), (6, (4,)), (4, (2, 3, 6, 9, 12))):
        assert {sizes[f'{k}x{n}'] for n in (1, *loops)} == {sizes[f'{k}x1']}
    assert sizes['middle'] == sizes['12x1'] and sizes['reg4'] == sizes['24x1']


def test_the_micro_batch_is_the_largest_equal_part_that_fits():
    config = Config(stages='6x1', batch_size=100, block_size=256, device='cpu', dtype='float32')
    task, runtime = make_task(config), SimpleNamespace(device=torch.device('mps'), dtype='float32',
                                                       share=lambda batch: batch)
    assert cost.micro_batch(config, task, runtime) == 100
    assert cost.micro_batch(replace(config, micro_batch_size=7), task, runtime) == 7
    small = replace(config, device_memory=1.0)
    micro, model = cost.micro_batch(small, task, runtime), cost.on_meta(config, task)
    parts = [size for size in range(1, 101) if 100 % size == 0]
    fits, too_large = (cost.activation_bytes(model, small, size, 256, 'float32')
                       for size in parts[parts.index(micro):][:2])
    assert fits <= cost.MEMORY_SHARE * 1e9 - cost.held_bytes(model, small) < too_large


def test_on_a_cpu_the_micro_batch_of_a_small_model_stays_in_the_cache():
    runtime = runtimes.start('cpu', 'float32', 'False')
    small = Config(stages='1x6', batch_size=100, n_embd=64, n_head=4, block_size=256)
    task = make_task(small)
    micro, model = cost.micro_batch(small, task, runtime), cost.on_meta(small, task)
    parts = [size for size in range(1, 101) if 100 % size == 0]
    fits, too_large = (cost.block_bytes(model, size, 256, 'float32')
                       for size in parts[parts.index(micro):][:2])
    assert fits <= cost.CACHE < too_large
    assert cost.micro_batch(replace(small, n_embd=1024), task, runtime) == 100, 'gradients are larger than it'


def test_checkpoints_that_stay(tmp_path):
    """One at every keep_interval, each as the latest was then; only multiples of eval_interval go."""
    folder = run(tmp_path / 'run', keep_interval=4)
    assert sorted(map(os.path.basename, glob.glob(f'{folder}/step_*.pt'))) == [
        'step_0000004.pt', 'step_0000008.pt', 'step_0000012.pt']
    last, latest = (torch.load(f'{folder}/{name}', weights_only=True)
                    for name in ('step_0000012.pt', 'ckpt.pt'))
    assert last['step'] == latest['step'] and all(
        torch.equal(last['model'][name], latest['model'][name]) for name in last['model'])
    first = torch.load(f'{folder}/step_0000004.pt', weights_only=True)
    assert first['step'] == 4 and not torch.equal(first['model']['head.weight'], last['model']['head.weight'])
    with pytest.raises(UserError, match='multiple of eval_interval'):
        build(Config, TINY | dict(keep_interval=6))


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    """Held up until three steps later; what is then written is the state of the step that saved."""
    more = dict(eval_interval=100, checkpoint_interval=5, schedule='constant')
    short = run(tmp_path / 'short', max_steps=5, **more)
    real_save, real_rate = checkpoint.save, train.lr_at
    go_on, steps, at_save = threading.Event(), [], []

    def slow_save(path, state):
        if state['step'] == 5:
            assert go_on.wait(60)
            at_save.append(len(steps))
            path = f'{tmp_path}/fifth.pt'
        real_save(path, state)

    def counted(step, config):
        steps.append(step)
        if step == 8:
            go_on.set()
        return real_rate(step, config)
    monkeypatch.setattr(checkpoint, 'save', slow_save)
    monkeypatch.setattr(train, 'lr_at', counted)
    run(tmp_path / 'run', max_steps=9, **more)
    fifth, expected = (torch.load(path, weights_only=True)['model']
                       for path in (f'{tmp_path}/fifth.pt', f'{short}/ckpt.pt'))
    assert at_save == [9] and all(torch.equal(fifth[name], expected[name]) for name in expected)


def test_a_copy_of_the_state_is_saved(tmp_path):
    state = {name: 0 for name in checkpoint.KEYS} | dict(model=dict(w=torch.ones(3)), best=[torch.ones(1), 2])
    saver = checkpoint.Saver()
    saver.save(str(tmp_path / 'c.pt'), state)
    state['model']['w'] += 1
    state['best'][0] += 1
    saver.wait()
    saved = checkpoint.load(str(tmp_path / 'c.pt'))
    assert saved['model']['w'].tolist() == [1, 1, 1] and saved['best'] == [torch.ones(1), 2]


def test_what_goes_wrong_in_the_thread_is_raised(tmp_path):
    saver = checkpoint.Saver()
    saver.save(str(tmp_path / 'nowhere' / 'c.pt'), {})
    with pytest.raises(UserError, match='could not be saved'):
        saver.wait()


def test_muon_moves_the_matrices_of_blocks_and_adamw_the_rest():
    """The singular values of Muon's steps are alike, those of AdamW's are not."""
    config = Config(stages='2x1', n_embd=32, n_head=2, block_size=16, optimizer='muon', learning_rate=0.01)
    model = build_model(config, 61, 16, torch.Generator().manual_seed(0))
    optimizer = make_optimizer(model, config)
    held = [id(p) for group in optimizer.param_groups for p in group['params']]
    assert sorted(held) == sorted(map(id, model.parameters()))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    tokens = torch.randint(0, 61, (32, 16))
    model(tokens, tokens).backward()
    optimizer.step()
    for name, p in model.named_parameters():
        step = p.detach() - before[name]
        assert step.any(), name
        if p.dim() == 2:
            singular = torch.linalg.svdvals(step)
            alike = singular.square().mean() > 0.5 * singular.max() ** 2
            assert alike == name.startswith('blocks'), name
            assert 0.0005 < step.square().mean().sqrt() < 0.02, 'the size of steps is that of AdamW'
    optimizer.zero_grad()
    assert all(p.grad is None for p in model.parameters())
