"""The loss over a large vocabulary against torch's own over all logits."""
import pytest
import torch
import torch.nn.functional as F

import cross_entropy
from cross_entropy import linear_cross_entropy, loss_and_slope
from looped import LoopedGPT
from model import GPTConfig
from problems.task import IGNORE


def drawn(dtype=torch.float32, n=37, width=8, vocabulary=50):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, width, generator=generator, dtype=dtype, requires_grad=True)
    weight = torch.randn(vocabulary, width, generator=generator, dtype=dtype, requires_grad=True)
    targets = torch.randint(0, vocabulary, (n,), generator=generator)
    targets[::3] = IGNORE
    return x, weight, targets


def whole(x, weight, targets):
    return F.cross_entropy(F.linear(x, weight).float(), targets, reduction='sum')


@pytest.mark.parametrize('most', [1, 150, 1850, 10 ** 6])
def test_loss_and_gradients_are_those_of_all_logits(monkeypatch, most):
    """In chunks of 1, 3 and 37 tokens, with a last one that is shorter, and in one piece."""
    monkeypatch.setattr(cross_entropy, 'LOGITS_MAX', most)
    x, weight, targets = drawn()
    loss, expected = linear_cross_entropy(x, weight, targets), whole(x, weight, targets)
    torch.testing.assert_close(loss, expected)
    found, wanted = (torch.autograd.grad(3 * value, (x, weight)) for value in (loss, expected))
    for gradient, own in zip(found, wanted, strict=True):
        torch.testing.assert_close(gradient, own, atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(linear_cross_entropy(x, weight, targets), expected)


@pytest.mark.parametrize('kind', [torch.float32, torch.bfloat16])
def test_compiled_it_is_the_same(monkeypatch, kind):
    monkeypatch.setattr(cross_entropy, 'LOGITS_MAX', 150)
    x, weight, targets = drawn(kind)

    def results(function):
        loss = linear_cross_entropy(x, weight, targets, function)
        return loss, *torch.autograd.grad(loss, (x, weight))
    compiled = torch.compile(loss_and_slope, dynamic=True)
    for found, wanted in zip(results(compiled), results(loss_and_slope), strict=True):
        torch.testing.assert_close(found, wanted)


def test_the_loss_of_a_compiled_model_is_compiled(monkeypatch):
    """One call for each chunk of 6 tokens; what compiles counts instead."""
    monkeypatch.setattr(cross_entropy, 'LOGITS_MAX', 300)
    calls = []
    monkeypatch.setattr(torch, 'compile', lambda function, **_:
                        lambda *parts: calls.append(1) or function(*parts))
    model, tokens = LoopedGPT(GPTConfig(50, 16, 0, 2, 16), '1x2'), torch.randint(0, 50, (4, 16))
    model.loss(torch.randn(4, 16, 16), tokens)
    assert not calls
    model.compile_blocks()
    model.loss(torch.randn(4, 16, 16), tokens)
    assert len(calls) == 11


def test_nothing_scored_is_nothing(monkeypatch):
    monkeypatch.setattr(cross_entropy, 'LOGITS_MAX', 150)
    x, weight, targets = drawn()
    loss = linear_cross_entropy(x, weight, torch.full_like(targets, IGNORE))
    assert loss == 0 and not torch.autograd.grad(loss, weight)[0].any()


def test_under_autocast_it_is_as_close_as_the_whole(monkeypatch):
    x, weight, targets = drawn(n=64, vocabulary=500)
    exact = torch.autograd.grad(whole(x, weight, targets), (x, weight))

    def errors():
        with torch.autocast('cpu', torch.bfloat16):
            loss = linear_cross_entropy(x, weight, targets)
        gradients = torch.autograd.grad(loss, (x, weight))
        assert {gradient.dtype for gradient in gradients} == {torch.float32}
        return [(gradient - own).norm() / own.norm() for gradient, own in zip(gradients, exact, strict=True)]
    at_once = errors()
    monkeypatch.setattr(cross_entropy, 'LOGITS_MAX', 5000)
    assert all(error <= 1.1 * own for error, own in zip(errors(), at_once, strict=True))


def test_a_tied_head_gets_both_gradients(monkeypatch):
    config = GPTConfig(50, 16, 0, 2, 16, tie_embeddings=True)
    model = LoopedGPT(config, '1x2', torch.Generator().manual_seed(0))
    tokens = torch.randint(0, 50, (4, 16))

    def gradient():
        model.zero_grad()
        model(tokens, tokens).backward()
        return model.head.weight.grad.clone()
    at_once = gradient()
    monkeypatch.setattr(cross_entropy, 'LOGITS_MAX', 300)
    torch.testing.assert_close(gradient(), at_once, atol=1e-5, rtol=1e-4)
