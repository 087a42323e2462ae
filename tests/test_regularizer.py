"""The regularizer against its equation, its sign, its gradient, and looped models."""
import math

import pytest
import torch
from training import rows, run

import plot
import regularizer
from looped import LoopedGPT
from stages import ModelConfig


def make(stages='6x1'):
    config = ModelConfig(stages=stages, vocab_size=7, block_size=12, n_head=2, n_embd=8, bias=True)
    return LoopedGPT(config, torch.Generator().manual_seed(1)).double()


def by_equation(model, k):
    """1 - R(k) of Saunshi et al. 2025, Eq. 4 and 5, written out."""
    total, L = [], len(model.blocks)
    pick = [lambda b, i=i: b.attention.qkv.weight.view(3, 8, 8)[i] for i in range(3)]
    pick += [lambda b: b.attention.proj.weight, lambda b: b.feed_forward.up.weight,
             lambda b: b.feed_forward.down.weight]
    for group in pick:
        cosines = 0
        for i in range(L // k - 1):
            for j in range(k):
                a, b = (group(model.blocks[at * k + j]).flatten() for at in (i, i + 1))
                cosines += (a @ b / a.norm() / b.norm()).item()
        total.append(cosines / (L - k))
    return 1 - sum(total) / len(total)


@pytest.mark.parametrize('k', [1, 2, 3])
def test_penalty_is_the_papers_equation_with_the_right_sign(k):
    model = make()
    assert regularizer.penalty(model, k).item() == pytest.approx(by_equation(model, k), abs=1e-12)
    assert 0.7 < regularizer.penalty(model, k).item() < 1.3
    for i in range(k, 6):  # a model whose blocks are copies is a looped one
        model.blocks[i].load_state_dict(model.blocks[i % k].state_dict())
    assert abs(regularizer.penalty(model, k).item()) < 1e-12


def test_gradient_of_the_penalty():
    model = make('4x1')
    weights = [block.feed_forward.up.weight for block in model.blocks]
    assert torch.autograd.gradcheck(lambda *tensors: regularizer.distances(list(tensors), 2), weights)
    before = regularizer.penalty(model, 2)
    before.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= 0.01 * parameter.grad
    assert regularizer.penalty(model, 2) < before


@pytest.mark.parametrize('stages', ['3x2', '1x1+2x2+1x1'])
def test_a_looped_model_has_no_penalty(stages):
    assert regularizer.penalty(make(stages), 1).item() == 0
    assert regularizer.similarities(make(stages), 1) == []


def test_similarities_tell_matrices_from_vectors():
    rows_ = regularizer.similarities(make(), 2)
    vectors = {row['group'] for row in rows_ if row['kind'] == 'vector'}
    assert 'norm1.weight' in vectors and 'attention.q.bias' in vectors and len(rows_) % 4 == 0
    gains = [row['cosine'] for row in rows_ if row['group'] == 'norm1.weight']
    matrices = [row['cosine'] for row in rows_ if row['kind'] == 'matrix']
    assert gains == pytest.approx([1] * 4) and max(map(abs, matrices)) < 0.5 and len(matrices) == 6 * 4


def test_training_with_it_makes_blocks_alike_and_zero_changes_nothing(tmp_path):
    plain = dict(stages='4x1', max_steps=40, learning_rate=1e-2, optimizer='adamw', eval_interval=40)
    without = run(tmp_path / 'without', **plain)
    zero = run(tmp_path / 'zero', regularize_k=2, **plain)
    a, b = (torch.load(f'{folder}/ckpt.pt', weights_only=True)['model'] for folder in (without, zero))
    assert all(torch.equal(a[name], b[name]) for name in a)
    strong = run(tmp_path / 'strong', regularize_k=2, regularize_weight=10.0, **plain)
    penalties = [float(row['regularizer']) for row in rows(strong, 'metrics.csv')]
    assert penalties[-1] < 0.3 * penalties[0] and not math.isnan(penalties[-1])
    similar = rows(strong, 'similarity.csv')
    assert {row['step'] for row in similar} == {'40'} and len({row['group'] for row in similar}) == 8
    plot.main(['similarity', strong, zero, f'--out={tmp_path}/figure'])
    assert 5000 < (tmp_path / 'figure.png').stat().st_size < 200_000
