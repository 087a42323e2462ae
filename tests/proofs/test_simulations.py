"""Thm 5.2 and 5.4: what simulates a base model gives what the base gives."""
import pytest
import torch

from looped import LoopedGPT
from proofs.cases import random_base
from proofs.simulations import simulate, think
from stages import ModelConfig

# --- Thm 5.2

@pytest.mark.parametrize('L,R', [(2, 1), (3, 3), (5, 2), (6, 3)])
def test_simulation_equals_the_base_but_for_rounding(L, R):
    base = random_base(L, R, seed=L)
    tokens = torch.randint(base.config.vocab_size, (50, 20))
    with_dummy = torch.cat([torch.full((50, 1), base.config.vocab_size), tokens], 1)
    built = simulate(base)
    d, h, ff = (getattr(base.config, name) for name in ('n_embd', 'n_head', 'n_ff'))
    assert built.used() == f'layers 1, d {d + R + 2}, ff {R * (ff + 1) + L + 2}, heads {R * h} x {d // h + 1}'
    expected, logits = base(tokens), built.model(with_dummy, n_loops=L)[:, 1:]
    assert (logits[..., :-1] - expected).abs().max() < 1e-5 * expected.abs().max()
    assert torch.equal(logits.argmax(-1), expected.argmax(-1))
    assert not logits.softmax(-1)[..., -1].any()  # # has no share in the distribution


def test_simulation_of_a_trained_model_with_loops_of_its_own():
    config = ModelConfig('1x1+2x2', 6, 12, n_head=2, n_embd=24, activation='relu', positions='learned',
                         norm='none', bias=True, init_std=0.1)
    base = LoopedGPT(config, torch.Generator().manual_seed(0))
    parameters = [p for name, p in base.named_parameters() if not name.endswith(('qkv.bias', 'proj.bias'))]
    optimizer = torch.optim.Adam(parameters, lr=5e-3)
    for _ in range(50):
        tokens = torch.randint(6, (64, 12))
        loss = base(tokens, tokens.roll(1, 1)) / tokens.numel()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 1.0  # of ln 6 = 1.79: the token before
    built, tokens = simulate(base), torch.randint(6, (500, 12))
    assert built.loops == 5 and built.model.config.n_head == 3 * 2
    with torch.inference_mode():
        logits = built.model(torch.cat([torch.full((500, 1), 6), tokens], 1))[:, 1:]
        assert torch.equal(logits.argmax(-1), base(tokens).argmax(-1))


@pytest.mark.parametrize('build', [simulate, lambda base: think(base, 2)])
@pytest.mark.parametrize('choices', [dict(norm='rmsnorm'), dict(activation='gelu'), dict(positions='rope')])
def test_models_outside_of_the_class_are_refused(build, choices):
    sizes = dict(vocab_size=5, block_size=8, n_head=2, n_embd=8, norm='none', activation='relu',
                 positions='learned')
    build(LoopedGPT(ModelConfig('2x1', **sizes), torch.Generator().manual_seed(0)))
    with pytest.raises(ValueError, match='the theorem is of models'):
        build(LoopedGPT(ModelConfig('2x1', **sizes | choices), torch.Generator().manual_seed(0)))
    with pytest.raises(ValueError, match='the theorem is of models'):
        build(LoopedGPT(ModelConfig('1x2', input_injection=True, **sizes)))


# --- Thm 5.4

def greedy(base, tokens, m):
    for _ in range(m):
        tokens = torch.cat([tokens, base(tokens)[:, -1:].argmax(-1)], 1)
    return tokens


@pytest.mark.parametrize('n', [1, 4, 9])
def test_each_loop_adds_one_thought(n):
    """After t loops the first t dummies are greedy thoughts, the others dummies still; tokens stay."""
    base, m = random_base(3, 2, seed=5, spread=4.0), 8
    V = base.config.vocab_size
    tokens = torch.randint(V, (60, n))
    expected, built = greedy(base, tokens, m), think(base, m)
    assert len(expected.unique(dim=0)) > len(tokens.unique(dim=0)) / 2 > 3
    padded = torch.cat([tokens, torch.full((60, m), V)], 1)
    for loops, logits in built.model.logits_by_loop(padded, m + 1):
        told = logits.argmax(-1)
        known = n + min(loops, m)
        assert torch.equal(told[:, :known], expected[:, :known]) and (told[:, known:] == V).all()


def test_thoughts_take_three_layers_and_dimensions_that_do_not_depend_on_length():
    base = random_base(4, 4, seed=0)
    d, V = base.config.n_embd, base.config.vocab_size
    used = [think(base, m).used() for m in (1, 8)]
    assert used[0] == used[1] and used[0].startswith(f'layers {4 + 3}, d {2 * d + 4 * V + 7}, ff ')
