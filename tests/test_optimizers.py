"""Adafactor against transformers' and torch's; which parameters Muon and AdamW move."""
import pytest
import torch

from looped import LoopedGPT
from optimizers import Adafactor, make_optimizer
from settings import Config

SHAPES = [(12, 7), (1, 5), (9,), (3, 4, 6)]


def parameters(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator) * 0.3) for shape in SHAPES]


def run(optimizer, params, steps, schedule, zero_rows=False):
    generator = torch.Generator().manual_seed(1)
    for step in range(steps):
        for group in optimizer.param_groups:
            group['lr'] = schedule(step)
        for parameter in params:
            parameter.grad = torch.randn(parameter.shape, generator=generator) * (1 + step % 3)
            if zero_rows:
                parameter.grad[0] = 0
        optimizer.step()


@pytest.mark.parametrize('zero_rows', [False, True])
@pytest.mark.parametrize('weight_decay', [0.0, 0.1])
def test_equals_transformers_step_by_step_under_a_schedule(weight_decay, zero_rows):
    reference = pytest.importorskip('transformers.optimization').Adafactor
    ours, theirs = parameters(), parameters()
    a = Adafactor(ours, lr=1e-2, weight_decay=weight_decay)
    b = reference(theirs, lr=1e-2, relative_step=False, scale_parameter=True, weight_decay=weight_decay)
    for part in range(10):
        for optimizer, params in ((a, ours), (b, theirs)):
            run(optimizer, params, 5, lambda step, part=part: 1e-2 * (part + 1) / (step + 1), zero_rows)
        for x, y in zip(ours, theirs, strict=True):
            torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-7)


def test_equals_transformers_past_step_10_000():
    """Where torch's cap of 1/sqrt(t) = 0.01 would bind: states are set to step 10,000 and go on."""
    reference = pytest.importorskip('transformers.optimization').Adafactor
    ours, theirs = parameters(), parameters()
    a, b = Adafactor(ours, lr=0.05), reference(theirs, lr=0.05, relative_step=False, scale_parameter=True)
    for optimizer, params in ((a, ours), (b, theirs)):
        run(optimizer, params, 3, lambda step: 0.05)
        for parameter in params:
            optimizer.state[parameter]['step'] = 10_000
        run(optimizer, params, 20, lambda step: 0.05)
    for x, y, start in zip(ours, theirs, parameters(), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-7)
        assert (x - start).abs().max() > 0.05


def test_equals_torch_where_its_cap_does_not_bind():
    ours, theirs = parameters(), parameters()
    run(Adafactor(ours, lr=1e-3), ours, 100, lambda step: 1e-3)
    run(torch.optim.Adafactor(theirs, lr=1e-3, eps=(1e-30, 1e-3)), theirs, 100, lambda step: 1e-3)
    for x, y in zip(ours, theirs, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-6)


def test_state_survives_a_checkpoint():
    once, twice = parameters(), parameters()
    a = Adafactor(once, lr=1e-2)
    run(a, once, 4, lambda step: 1e-2)
    b = Adafactor(twice, lr=1e-2)
    run(b, twice, 4, lambda step: 1e-2)
    fresh = Adafactor(twice, lr=1e-2)
    fresh.load_state_dict(b.state_dict())
    run(a, once, 4, lambda step: 1e-2)
    run(fresh, twice, 4, lambda step: 1e-2)
    assert all(torch.equal(x, y) for x, y in zip(once, twice, strict=True))


def test_matrices_keep_a_row_and_a_column_only():
    params = parameters()
    optimizer = Adafactor(params, lr=1e-2)
    run(optimizer, params, 1, lambda step: 1e-2)
    state = optimizer.state[params[0]]
    kept = {name: tuple(v.shape) for name, v in state.items() if isinstance(v, torch.Tensor)}
    assert kept == {'row': (12,), 'column': (7,)}


def test_no_value_leaves_the_device():
    """On the meta device any read of a value raises."""
    parameter = torch.nn.Parameter(torch.empty(4, 5, device='meta'))
    parameter.grad = torch.empty(4, 5, device='meta')
    optimizer = Adafactor([parameter], lr=1e-2)
    optimizer.step()
    assert optimizer.state[parameter]['step'] == 1


def test_muon_moves_the_matrices_of_blocks_and_adamw_the_rest():
    """The singular values of Muon's steps are alike, those of AdamW's are not."""
    config = Config(stages='2x1', vocab_size=61, block_size=16, n_embd=32, n_head=2, optimizer='muon',
                    learning_rate=0.01)
    model = LoopedGPT(config, torch.Generator().manual_seed(0))
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
