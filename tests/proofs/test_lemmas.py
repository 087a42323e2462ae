"""The lemmas alone, look-ups, schedules and codes, on random states."""
import pytest
import torch
import torch.nn.functional as F

from proofs.lemmas import (
    MARGIN,
    PLACES_MAX,
    SHARP,
    Layer,
    Stream,
    add_argmax,
    add_gate,
    add_shift,
    assemble,
    binary_codes,
    places,
)


def run_layers(layers, x):
    """States x (B, T, size) through these layers, once."""
    row = layers[0].stream.rows()
    model = assemble(layers, row, row, row, 2)
    with torch.inference_mode():
        return model.run_blocks(model.blocks, x, None)


def state(s, batch, length, **parts):
    """(batch, length, size) of the named coordinates, (batch, length, k) or what broadcasts to it."""
    x = torch.zeros(batch, length, s.size)
    for name, part in parts.items():
        x[..., s.slices[name]] = torch.as_tensor(part, dtype=torch.float32)
    return x


@pytest.mark.parametrize('V', [2, 5, 13])
def test_lemmas_b2_and_b3_argmax_decode_and_embed(V):
    s = Stream(x=6, gaps=V, one_hot=V, embedded=4)
    scores, embedding, x = torch.randn(V, 6), torch.randn(V, 4), 10 * torch.randn(1, 400, 6)
    layers = [Layer(s), Layer(s)]
    out = s.rows(one_hot=torch.eye(V), embedded=embedding)
    add_argmax(layers[0], layers[1], s.rows(x=scores), 'gaps', out)
    y = run_layers(layers, state(s, 1, 400, x=x))
    best = (x @ scores.T).argmax(-1)
    assert torch.equal(y[..., s.slices['one_hot']], F.one_hot(best, V).float())
    assert torch.equal(y[..., s.slices['embedded']], embedding[best])
    assert torch.equal(y[..., s.slices['x']], x) and not y[..., s.slices['gaps']].any()
    assert len(layers[0].reads) == V * (V - 1) and len(layers[1].reads) == 2 * V


def test_lemma_b2_needs_a_lead_of_two_to_minus_p():
    s = Stream(x=2, gaps=2, out=2)
    layers = [Layer(s), Layer(s)]
    add_argmax(layers[0], layers[1], s['x'], 'gaps', s['out'], precision=10)
    for lead, exact in ((2.0 ** -10, True), (2.0 ** -11, False)):
        y = run_layers(layers, state(s, 1, 1, x=torch.tensor([1 + lead, 1])))
        assert (y[0, 0, s.slices['out']].tolist() == [1, 0]) == exact


def test_lemma_b4_control_gate_loses_no_bit():
    s = Stream(x=3, y=3, on=1, off=1, out=3)
    layer = Layer(s)
    add_gate(layer, 'off', s['x'], s['out'])
    add_gate(layer, 'on', s['y'], s['out'])
    x, y = torch.randn(2, 50, 1, 3) * 10.0 ** torch.randint(-6, 12, (2, 50, 1, 1))
    for m in (0, 1):
        z = run_layers([layer], state(s, 50, 1, x=x, y=y, on=m, off=1 - m))
        assert torch.equal(z[..., s.slices['out']], x if m else y)


@pytest.mark.parametrize('size_max', [0, 2])
def test_lemma_b5_shift(size_max):
    s = Stream(a=5, b=5, one=1, place=1, square=1)
    layer, a = Layer(s), torch.randn(3, 40, 5)
    add_shift(layer, s['a'], s['b'], size_max)
    y = run_layers([layer], state(s, 3, 40, a=a, **places(40)))
    assert torch.equal(y[..., s.slices['b']], torch.cat([a[:, :1], a[:, :-1]], 1))
    assert len(layer.heads) == (3 if size_max else 1)


def test_look_ups_are_exact_at_every_position_up_to_the_limit():
    n, s = PLACES_MAX, Stream(f=1, a=1, b=1, one=1, place=1, square=1)
    layer = Layer(s)
    layer.look_up(s['f'], s['a'], s['b'])
    f = torch.stack([(torch.rand(n) * torch.arange(1, n + 1)).floor() for _ in range(4)])[..., None]
    f[0], f[1] = torch.arange(n)[:, None], (torch.arange(n)[:, None] - 1).clamp(min=0)
    a = torch.randn(4, n, 1)
    y = run_layers([layer], state(s, 4, n, f=f, a=a, **places(n)))
    assert torch.equal(y[..., s.slices['b']], a.gather(1, f.long()))
    with pytest.raises(ValueError, match='exact'):
        places(n + 1)


def test_a_key_behind_by_the_margin_weighs_nothing():
    weights = torch.tensor([[0.0, -MARGIN, -2 * SHARP]]).softmax(-1)
    assert weights.tolist() == [[1, 0, 0]] and torch.tensor([0.0, 2 - MARGIN]).softmax(-1)[1] > 0


def test_a_schedule_changes_what_it_says_at_each_count():
    s, changes = Stream(l=1, out=3), torch.randint(-3, 4, (7, 3))
    layer = Layer(s)
    layer.schedule('l', changes, 'out')
    y = run_layers([layer], state(s, 1, 7, l=torch.arange(1, 8)[:, None]))
    assert torch.equal(y[0, :, s.slices['out']], changes.float()) and len(layer.reads) == 7 + 2


def test_codes_tell_numbers_apart():
    code = binary_codes(100, 7)
    assert torch.equal((code @ code.T == 7), torch.eye(100).bool()) and code.abs().eq(1).all()
