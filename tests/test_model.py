"""The plain model against transformers' GPT-2 and itself; the loss of a large vocabulary against torch's."""
import pytest
import torch
import torch.nn.functional as F

import model as model_module
from looped import LoopedGPT
from model import GPT, causal_attention, gelu, linear_cross_entropy, loss_and_slope, rope_table, rotate
from peers.training_parts import ALL_LOGITS, MEASURABLE, peak_megabytes
from problems.task import IGNORE
from stages import ModelConfig


def small(generator_seed=0, n_layer=3, **choices):
    sizes = dict(vocab_size=11, block_size=16, n_head=4, n_embd=32)
    return GPT(ModelConfig(**sizes | choices), n_layer, torch.Generator().manual_seed(generator_seed))


def test_equals_gpt2_of_transformers():
    transformers = pytest.importorskip('transformers')
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=11, n_positions=16, n_embd=32, n_layer=3, n_head=4,
        bos_token_id=None, eos_token_id=None)).eval()
    ours = small(positions='learned', norm='layernorm', bias=True, tie_embeddings=True)
    for parameter in theirs.parameters():  # biases and norms too
        torch.nn.init.normal_(parameter, std=0.1)
    copy = {'token_embedding.weight': 'wte.weight', 'position_embedding.weight': 'wpe.weight',
            'final_norm.weight': 'ln_f.weight', 'final_norm.bias': 'ln_f.bias'}
    parts = dict(norm1='ln_1', norm2='ln_2')
    parts |= {'attention.qkv': 'attn.c_attn', 'attention.proj': 'attn.c_proj', 'feed_forward.up': 'mlp.c_fc',
              'feed_forward.down': 'mlp.c_proj'}
    copy |= {f'blocks.{i}.{our}.{kind}': f'h.{i}.{their}.{kind}'
             for i in range(3) for our, their in parts.items() for kind in ('weight', 'bias')}
    state, source = ours.state_dict(), theirs.transformer.state_dict()
    for our, their in copy.items():
        value = source[their]
        state[our] = value.T if our.endswith('weight') and 'blocks' in our and 'norm' not in our else value
    state['head.weight'] = state['token_embedding.weight']
    ours.load_state_dict(state)
    tokens = torch.randint(0, 11, (2, 16))
    torch.testing.assert_close(ours(tokens), theirs(tokens).logits, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize('positions', ['rope', 'learned', 'none'])
@pytest.mark.parametrize('activation', ['gelu', 'relu', 'geglu'])
def test_later_tokens_change_nothing_before_them(positions, activation):
    model = small(positions=positions, activation=activation)
    tokens = torch.randint(0, 11, (2, 16))
    changed = tokens.clone()
    changed[:, 9:] = (changed[:, 9:] + 1) % 11
    before, after = model(tokens), model(changed)
    torch.testing.assert_close(before[:, :9], after[:, :9])
    assert (before[:, 9:] - after[:, 9:]).abs().max() > 1e-4


@pytest.mark.parametrize('T,S', [(7, 7), (1, 9), (4, 9), (300, 300), (150, 200)])
def test_attention_equals_torch(T, S):
    q, k, v = torch.randn(2, 3, T, 8), torch.randn(2, 3, S, 8), torch.randn(2, 3, S, 8)
    seen = torch.ones(T, S, dtype=torch.bool).tril(S - T)
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    torch.testing.assert_close(causal_attention(q, k, v), expected)


def test_long_sequences_take_the_fused_kernel_and_agree(monkeypatch):
    q, k, v = (torch.randn(1, 2, 600, 8) for _ in range(3))
    seen = torch.ones(600, 600, dtype=torch.bool).tril()
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    calls = []
    fused = F.scaled_dot_product_attention
    monkeypatch.setattr(model_module.F, 'scaled_dot_product_attention',
                        lambda *a, **k: calls.append(1) or fused(*a, **k))
    torch.testing.assert_close(causal_attention(q, k, v), expected, atol=1e-5, rtol=1e-4)
    assert calls


def test_rope_products_depend_on_the_distance_only():
    q, k = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    cos, sin = rope_table(torch.arange(40), 8)

    def product(i, j):
        return (rotate(q, cos[i:i + 1], sin[i:i + 1]) * rotate(k, cos[j:j + 1], sin[j:j + 1])).sum().item()
    assert product(12, 5) == pytest.approx(product(37, 30), abs=1e-5)
    assert product(12, 5) != pytest.approx(product(12, 6), abs=1e-3)


def test_rotation_is_a_product_of_complex_numbers():
    x, positions = torch.randn(2, 3, 5, 8), torch.tensor([0, 1, 7, 30, 255])
    turned = torch.complex(*x.double().chunk(2, -1))
    angles = positions[:, None].double() * 10000.0 ** (-torch.arange(4).double() / 4)
    turned = turned * torch.polar(torch.ones_like(angles), angles)
    expected = torch.cat([turned.real, turned.imag], -1).float()
    torch.testing.assert_close(rotate(x, *rope_table(positions, 8)), expected, atol=1e-5, rtol=1e-4)
    rows = positions.expand(2, 5)  # a position for each row and token
    torch.testing.assert_close(rotate(x, *rope_table(rows, 8)), expected, atol=1e-5, rtol=1e-4)


def test_compiled_gelu_is_the_same_function(monkeypatch):
    x = torch.linspace(-12, 12, 4001, dtype=torch.float64, requires_grad=True)
    expected = F.gelu(x, approximate='tanh')
    slope, = torch.autograd.grad(expected.sum(), x)
    monkeypatch.setattr(torch.compiler, 'is_compiling', lambda: True)
    found = gelu(x)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-9)
    torch.testing.assert_close(torch.autograd.grad(found.sum(), x)[0], slope, atol=1e-12, rtol=1e-9)


def test_positions_matter_where_they_should():
    tokens = torch.tensor([[1, 2, 3, 4]])
    swapped = torch.tensor([[2, 1, 3, 4]])
    for positions, sees_order in (('rope', True), ('learned', True), ('none', False)):
        model = small(positions=positions, n_layer=1)
        difference = (model(tokens)[0, -1] - model(swapped)[0, -1]).abs().max().item()
        assert (difference > 1e-5) == sees_order, positions


def test_loss_is_the_sum_over_scored_targets():
    model, tokens = small(), torch.randint(0, 11, (3, 16))
    targets = torch.randint(0, 11, (3, 16))
    targets[:, :10] = IGNORE
    logits = model(tokens)[:, 10:].reshape(-1, 11)
    expected = F.cross_entropy(logits, targets[:, 10:].reshape(-1), reduction='sum')
    torch.testing.assert_close(model(tokens, targets), expected)


def test_initial_weights_come_from_the_generator_alone_and_scale_with_depth():
    torch.manual_seed(1)
    first = small(3)
    torch.manual_seed(2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), small(3).parameters(), strict=True))
    assert not torch.equal(first.head.weight, small(4).head.weight)
    wide = ModelConfig(vocab_size=5, block_size=8, n_head=4, n_embd=128)
    weights = GPT(wide, 2, torch.Generator().manual_seed(0), depth=50).blocks[0]
    assert weights.attention.qkv.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert weights.attention.proj.weight.std().item() == pytest.approx(0.02 / 100 ** 0.5, rel=0.05)


def test_dropout_acts_in_training_only():
    model, tokens = small(dropout=0.3), torch.randint(0, 11, (2, 16))
    assert not torch.equal(model(tokens), model(tokens))
    model.eval()
    assert torch.equal(model(tokens), model(tokens))


def test_tied_embeddings_are_one_parameter():
    tied, untied = small(tie_embeddings=True), small()
    assert sum(p.numel() for p in untied.parameters()) - sum(p.numel() for p in tied.parameters()) == 11 * 32


# --- the loss over a large vocabulary, against torch's own over all logits

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
    monkeypatch.setattr(model_module, 'LOGITS_MAX', most)
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
    monkeypatch.setattr(model_module, 'LOGITS_MAX', 150)
    x, weight, targets = drawn(kind)

    def results(function):
        loss = linear_cross_entropy(x, weight, targets, function)
        return loss, *torch.autograd.grad(loss, (x, weight))
    compiled = torch.compile(loss_and_slope, dynamic=True)
    for found, wanted in zip(results(compiled), results(loss_and_slope), strict=True):
        torch.testing.assert_close(found, wanted)


def test_the_loss_of_a_compiled_model_is_compiled(monkeypatch):
    """One call for each chunk of 6 tokens; what compiles counts instead."""
    monkeypatch.setattr(model_module, 'LOGITS_MAX', 300)
    calls = []
    monkeypatch.setattr(torch, 'compile', lambda function, **_:
                        lambda *parts: calls.append(1) or function(*parts))
    model, tokens = LoopedGPT(ModelConfig('1x2', 50, 16, 16, 2)), torch.randint(0, 50, (4, 16))
    model.loss(torch.randn(4, 16, 16), tokens)
    assert not calls
    model.compile_blocks()
    model.loss(torch.randn(4, 16, 16), tokens)
    assert len(calls) == 11


def test_nothing_scored_is_nothing(monkeypatch):
    monkeypatch.setattr(model_module, 'LOGITS_MAX', 150)
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
    monkeypatch.setattr(model_module, 'LOGITS_MAX', 5000)
    assert all(error <= 1.1 * own for error, own in zip(errors(), at_once, strict=True))


def test_a_tied_head_gets_both_gradients(monkeypatch):
    config = ModelConfig('1x2', 50, 16, 16, 2, tie_embeddings=True)
    model = LoopedGPT(config, torch.Generator().manual_seed(0))
    tokens = torch.randint(0, 50, (4, 16))

    def gradient():
        model.zero_grad()
        model(tokens, tokens).backward()
        return model.head.weight.grad.clone()
    at_once = gradient()
    monkeypatch.setattr(model_module, 'LOGITS_MAX', 300)
    torch.testing.assert_close(gradient(), at_once, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not MEASURABLE, reason='peak memory is read from /proc')
def test_memory_of_the_loss_over_a_large_vocabulary():
    """What the loss adds stays below 15% of what it adds with all logits in float32 at once."""
    chunks = peak_megabytes('loss', model_module.LOGITS_MAX)
    at_once = peak_megabytes('loss', ALL_LOGITS)
    print(f'{chunks:.0f} MB of {at_once:.0f} MB')
    assert chunks < 0.15 * at_once
