"""Training cases of bench.py: our step is the one of train.py, and it is fast."""
import os

import pytest
import torch

from engine.runtime import start
from peers import training
from peers.cases import PHOP_SHAPE, make_looped, time_in_turn
from peers.training import Workers, our_gradients, phop_step


def test_our_step_is_the_mean_loss_in_micro_batches(monkeypatch):
    monkeypatch.setattr(training, 'micro_batch', lambda *_: 2)
    model, runtime = make_looped('1x2', PHOP_SHAPE), start('cpu', 'float32', 'False')
    tokens = torch.randint(0, 5, (6, 256))
    (model(tokens, tokens) / tokens.numel()).backward()
    expected = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    our_gradients(PHOP_SHAPE, tokens, runtime)(model)
    for p, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, gradient, atol=1e-6, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(os.cpu_count() < 2, reason='needs two cores')
def test_a_training_step_is_twice_as_fast_as_gpt2_of_transformers():
    """Shape of p-hop (6 layers, 128 wide, 8 heads, 256 tokens); eager fp32 and our defaults, alternating."""
    pytest.importorskip('transformers')
    runtime = start()
    if runtime.dtype != 'bfloat16' or not runtime.compile:
        pytest.skip('this CPU has no fast bfloat16, or there is no compiler')
    cases = {case.name: case for case in phop_step(runtime)}
    case = cases['6x1 bfloat16 compiled, GPT-2 float32 eager']
    ours, theirs = time_in_turn([case.ours, case.peer], runtime, 6, warmup=2)
    ratio = min(theirs) / min(ours)  # the least disturbed of each
    print(f'{ratio:.2f} times as fast')
    assert ratio >= 2


@pytest.mark.slow
def test_the_processes_of_the_bench_make_steps_and_end():
    two = Workers(2, 4, 'float32')
    two.step()
    two.stop()
    assert [process.exitcode for process in two.processes] == [0, 0]
