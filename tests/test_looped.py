"""Looping against unrolled copies, one-by-one runs and the plain model."""
import time
from statistics import median

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from looped import LoopedGPT
from model import GPT
from peers.training_parts import MEASURABLE, make_parity_model, padded_loss, peak_megabytes
from stages import ModelConfig, effective_depth, parse_stages, with_loops

ALL_STAGES = ['1x3', '3x1', '2x2', '1x1+2x3+1x1', '1x2+1x1+2x2']
BAD_STAGES = ['', '6', '1x', 'x6', '0x6', '1x0', '1x6+', '1*6', '1x6,2x1', '-1x2', '1.5x2']


def looped(stages, seed=0, **options):
    sizes = dict(vocab_size=7, block_size=12, n_head=2, n_embd=16, init_std=0.2)
    config = ModelConfig(stages=stages, **sizes | options)
    return LoopedGPT(config, torch.Generator().manual_seed(seed))


def tokens_like(batch=4, length=12):
    return torch.randint(0, 7, (batch, length))


def unrolled(model, n_loops=None):
    """A plain GPT with a copy of every block for each time it is applied, and which block each copy is of."""
    order, first = [], 0
    for stage, original in zip(with_loops(model.stages, n_loops), model.stages, strict=True):
        order += list(range(first, first + stage.layers)) * stage.loops
        first += original.layers
    plain = GPT(model.config, len(order), torch.Generator().manual_seed(99))
    state = {name: value for name, value in model.state_dict().items() if not name.startswith('blocks.')}
    for new, old in enumerate(order):
        state |= {f'blocks.{new}.{name}': value for name, value in model.blocks[old].state_dict().items()}
    plain.load_state_dict(state)
    return plain, order


def loss_of(model, tokens, **options):
    return model(tokens, tokens.roll(-1, 1), **options)


@pytest.mark.parametrize('bad', BAD_STAGES)
def test_bad_stage_strings(bad):
    with pytest.raises(ValueError, match='kxL'):
        parse_stages(bad)


def test_plain_stages_equal_gpt_bit_for_bit():
    model = looped('3x1')
    plain = GPT(model.config, 3, torch.Generator().manual_seed(0))
    tokens = tokens_like()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), plain.parameters(), strict=True))
    assert torch.equal(model(tokens), plain(tokens))


@pytest.mark.parametrize('stages', ALL_STAGES + ['1x6'])
def test_looping_equals_copied_weights_with_gradients_summed(stages):
    model, tokens = looped(stages), tokens_like()
    plain, order = unrolled(model)
    torch.testing.assert_close(model(tokens), plain(tokens))
    loss_of(model, tokens).backward()
    loss_of(plain, tokens).backward()
    for i, block in enumerate(model.blocks):
        copies = [dict(plain.blocks[j].named_parameters()) for j, old in enumerate(order) if old == i]
        for name, parameter in block.named_parameters():
            summed = sum(c[name].grad for c in copies)
            torch.testing.assert_close(parameter.grad, summed, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('n_loops', [0, 1, 5, 9])
def test_any_loop_count_runs_and_equals_copies(n_loops):
    model, tokens = looped('1x1+2x3+1x1'), tokens_like()
    torch.testing.assert_close(model(tokens, n_loops=n_loops), unrolled(model, n_loops)[0](tokens))


def test_plain_stages_take_no_loop_count():
    with pytest.raises(ValueError, match='no loop'):
        looped('3x1')(tokens_like(), n_loops=2)


def test_parameters_do_not_depend_on_loops_but_flops_do():
    counts = [looped(stages).count_parameters() for stages in ('2x1', '2x3', '2x7')]
    assert len(set(counts)) == 1
    flops = [looped(stages).flops_per_token(12) for stages in ('2x1', '2x3', '6x1')]
    assert flops[0] < flops[1] == flops[2]
    block, head = 2 * 16 + 12 * 16 * 16, 7 * 16 + 16
    assert flops[0] == 6 * (2 * block + head) + 2 * 12 * 12 * 16
    assert looped('2x1').count_parameters() == 2 * block + head + 7 * 16


def test_input_injection_by_hand():
    model, tokens = looped('2x3', input_injection=True), tokens_like()
    rope, e = model.rope(torch.arange(12)), model.embed(tokens, None)
    h = torch.zeros_like(e)
    for _ in range(3):
        h = model.blocks[1](model.blocks[0](h + e, rope), rope)
    torch.testing.assert_close(model(tokens), model.head(model.final_norm(h)))


def test_norm_each_loop_by_hand():
    model, tokens = looped('1x3', norm_each_loop=True), tokens_like()
    with torch.no_grad():
        model.final_norm.weight.uniform_(0.5, 2)
    h, rope = model.embed(tokens, None), model.rope(torch.arange(12))
    for _ in range(3):
        h = model.final_norm(model.blocks[0](h, rope))
    torch.testing.assert_close(model(tokens), model.head(h))


def test_injection_acts_in_looped_stages_only():
    model, tokens = looped('1x1+1x2', input_injection=True), tokens_like()
    rope = model.rope(torch.arange(12))
    e = model.blocks[0](model.embed(tokens, None), rope)
    h = model.blocks[1](model.blocks[1](e, rope) + e, rope)
    torch.testing.assert_close(model(tokens), model.head(model.final_norm(h)))


@pytest.mark.parametrize('options', [
    {}, dict(input_injection=True), dict(norm_each_loop=True, input_injection=True),
    dict(checkpoint_loops=True)])
@pytest.mark.parametrize('stages', ['1x3', '1x1+2x3+1x1'])
def test_loop_counts_of_a_batch_equal_one_by_one_runs(stages, options):
    model, tokens = looped(stages, **options), tokens_like(6)
    counts = torch.tensor([2, 0, 5, 5, 1, 3])
    together = model(tokens, n_loops=counts)
    alone = torch.cat([model(row[None], n_loops=int(n)) for row, n in zip(tokens, counts, strict=True)])
    torch.testing.assert_close(together, alone, atol=2e-5, rtol=1e-4)
    loss_of(model, tokens, n_loops=counts).backward()
    batched = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    sum(loss_of(model, row[None], n_loops=int(n)) for row, n in zip(tokens, counts, strict=True)).backward()
    for a, parameter in zip(batched, model.parameters(), strict=True):
        torch.testing.assert_close(a, parameter.grad, atol=1e-4, rtol=1e-3)


def test_samples_that_are_done_leave_the_batch():
    model, rows = looped('2x3'), []
    model.blocks[1].register_forward_hook(lambda block, inputs, output: rows.append(len(inputs[0])))
    model(tokens_like(5), n_loops=torch.tensor([1, 4, 2, 0, 4]))
    assert rows == [4, 3, 2, 2]


@pytest.mark.parametrize('injection', [False, True])
def test_the_loop_yields_every_state_and_a_fixed_count_takes_the_last(injection):
    model, tokens = looped('2x3', input_injection=injection), tokens_like()
    rope, x = model.rope(torch.arange(12)), model.embed(tokens, None)
    (stage, blocks), = model.stage_blocks()
    states = list(model.iterations(stage, blocks, x, rope, 4))
    assert len(states) == 4
    for loops, state in enumerate(states, start=1):
        assert torch.equal(model.through_blocks(x, rope, loops), state)
    none = model.through_blocks(x, rope, 0)
    assert torch.equal(none, torch.zeros_like(x) if injection else x)


@pytest.mark.parametrize('stages', ['1x4', '1x1+2x3+1x1'])
def test_checkpointing_changes_neither_loss_nor_gradient_and_runs_each_block_again(stages):
    tokens, grads, losses, calls = tokens_like(), [], [], []
    for flag in (False, True):
        model = looped(stages, checkpoint_loops=flag)
        count = [0]
        model.blocks[0].register_forward_pre_hook(lambda *_, count=count: count.__setitem__(0, count[0] + 1))
        loss = loss_of(model, tokens)
        loss.backward()
        losses.append(loss)
        calls.append(count[0])
        grads.append([p.grad for p in model.parameters()])
    assert torch.equal(*losses) and calls[1] == 2 * calls[0]
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


@pytest.mark.parametrize('positions', ['rope', 'learned', 'none'])
@pytest.mark.parametrize('stages', ALL_STAGES)
def test_cached_logits_equal_uncached_ones(stages, positions):
    model, tokens = looped(stages, positions=positions, input_injection='x2' in stages).eval(), tokens_like()
    for n_loops in (None, 1, 2, 5) if model.stages != parse_stages('3x1') else (None,):
        cache = model.new_cache(4, 12, n_loops)
        parts = tokens.split([5, 1, 1, 3, 1, 1], dim=1)
        cached = [model(part, n_loops=n_loops, cache=cache) for part in parts]
        torch.testing.assert_close(torch.cat(cached, 1), model(tokens, n_loops=n_loops), atol=2e-5, rtol=1e-4)
        assert cache.keys.size(0) == effective_depth(with_loops(model.stages, n_loops))


def test_a_full_cache_says_so():
    model = looped('1x2')
    with pytest.raises(ValueError, match='cache holds 5 tokens'):
        model(tokens_like(1, 6), cache=model.new_cache(1, 5))


@pytest.mark.parametrize('options', [
    {}, dict(input_injection=True), dict(norm_each_loop=True, input_injection=True)])
@pytest.mark.parametrize('stages', ALL_STAGES)
def test_logits_by_loop_equal_separate_runs(stages, options):
    model, tokens = looped(stages, **options).eval(), tokens_like()
    by_loop = dict(model.logits_by_loop(tokens, 5))
    if stages == '3x1':
        assert list(by_loop) == [1] and torch.equal(by_loop[1], model(tokens))
        return
    for n_loops in range(1, 6):
        torch.testing.assert_close(by_loop[n_loops], model(tokens, n_loops=n_loops))


def compiled_graphs(model, runs):
    torch._dynamo.reset()
    counter = CompileCounterWithBackend('eager')
    for block in model.blocks:
        block.compile(backend=counter)
    for run in runs:
        run(model)
    return counter.frame_count


def test_a_block_is_compiled_once_for_every_depth_and_loop_count():
    tokens = tokens_like()
    runs = [lambda model, n=n: loss_of(model, tokens, n_loops=n).backward() for n in range(1, 13)]
    for options in ({}, dict(input_injection=True), dict(checkpoint_loops=True)):
        assert compiled_graphs(looped('2x3', **options), runs) == 1
    assert compiled_graphs(looped('12x1'), [lambda model: loss_of(model, tokens).backward()]) == 1


def test_loop_counts_of_a_batch_need_one_more_graph():
    """Batches shrink as samples finish: after the first size one graph serves all (but size 1)."""
    torch.manual_seed(3)
    batches = [(tokens_like(8), torch.randint(1, 12, (8,))) for _ in range(6)]
    runs = [lambda model, t=t, n=n: loss_of(model, t, n_loops=n).backward() for t, n in batches]
    assert compiled_graphs(looped('1x3', input_injection=True), runs) <= 3


@pytest.mark.slow
@pytest.mark.skipif(not MEASURABLE, reason='peak memory is read from /proc')
def test_memory_hardly_grows_with_loops_that_are_recomputed():
    base, recomputed, kept = (peak_megabytes('step', *case)
                              for case in (('4x1', True), ('4x6', True), ('4x6', False)))
    print(f'{base:.0f} MB, {recomputed:.0f} MB, kept {kept:.0f} MB')
    assert recomputed < 1.1 * base and kept > 3 * base


@pytest.mark.slow
def test_a_shrinking_batch_is_the_padded_computation_in_less_time():
    """T uniform in 1 .. 20, parity's shape; padded: all run 20 loops, their states at T are picked."""
    model = make_parity_model()
    draw = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, 5, (64, 22), generator=draw)
    counts = torch.randint(1, 21, (64,), generator=draw)
    computations = (lambda: model(tokens, tokens, counts), lambda: padded_loss(model, tokens, counts))

    seconds, losses, gradients = [[], []], [0, 0], [0, 0]
    for _ in range(9):
        for i, loss_of_all in enumerate(computations):
            began = time.perf_counter()
            loss = loss_of_all()
            loss.backward()
            seconds[i].append(time.perf_counter() - began)
            losses[i], gradients[i] = loss.item(), [p.grad for p in model.parameters()]
            model.zero_grad()
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
    ratio = median(seconds[0]) / median(seconds[1])
    print(f'{ratio:.2f} of the padded time')
    assert ratio <= 0.65
