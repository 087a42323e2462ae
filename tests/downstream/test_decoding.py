"""Decoding in batches with shared beginnings against one prompt at a time without a cache."""
import random

import pytest
import torch

from downstream import decoding
from downstream.decoding import Prefix, Prompt, answer_batch, batches, common_length
from looped import LoopedGPT
from stages import ModelConfig

STOPS = torch.arange(20) % 5 == 2


def model_of(stages, positions='rope', **options):
    config = ModelConfig(stages=stages, vocab_size=20, block_size=64, n_head=2, n_embd=16, init_std=0.5,
                         positions=positions, **options)
    return LoopedGPT(config, torch.Generator().manual_seed(1)).eval()


@torch.inference_mode()
def one_by_one(model, row, n_new, n_loops):
    """The definition: the whole row through the model for every token."""
    out = []
    while len(out) < n_new:
        token = model(torch.tensor([row + out]), n_loops=n_loops)[0, -1].argmax().item()
        out.append(token)
        if STOPS[token]:
            break
    return out


def rows_of(count, seed, shared=9):
    rng = random.Random(seed)
    first = [rng.randrange(20) for _ in range(shared)]
    return [first + [rng.randrange(20) for _ in range(rng.randint(1, 14))] for _ in range(count)]


@pytest.mark.parametrize('stages,n_loops', [('2x1', None), ('1x3', None), ('1x3', 5), ('1x1+2x2+1x1', 3)])
@pytest.mark.parametrize('positions', ['rope', 'learned', 'none'])
def test_batches_with_a_prefix_give_what_one_prompt_at_a_time_gives(stages, n_loops, positions):
    """Rows of different lengths, that stop at different steps, sharing more or less than the prefix."""
    model = model_of(stages, positions)
    rows = rows_of(10, 2)
    expected = [one_by_one(model, row, 12, n_loops) for row in rows]
    assert len({len(answer) for answer in expected}) > 1 and len(set(map(tuple, expected))) > 3
    for prefix in (rows[0][:6], rows[0][:9], [3, 3], []):  # shorter, as long, another, none
        kept = Prefix(model, prefix, n_loops)
        assert answer_batch(kept, rows, 12, STOPS) == expected
        assert answer_batch(kept, rows, 12, STOPS, share=False) == expected
        assert [answer_batch(kept, [row], 12, STOPS)[0] for row in rows] == expected


@pytest.mark.parametrize('positions', ['rope', 'learned', 'none'])
@torch.inference_mode()
def test_fillers_change_no_logits(positions):
    """Three rows of 9, 5 and 7 tokens behind 4 shared ones, then one token more, against each row alone."""
    model, prefix = model_of('1x1+2x2', positions), [5, 1, 9, 9]
    rows = [torch.randint(20, (n,)).tolist() for n in (9, 5, 7)]
    cache = model.new_cache(3, 20)
    cache.begin_with(Prefix(model, prefix).cache)
    tokens, fillers = decoding.padded(rows, 0, 'cpu')
    cache.pad(fillers)
    first = model(tokens, cache=cache)
    second = model(torch.tensor([[3], [3], [3]]), cache=cache, last_only=True)
    for i, row in enumerate(rows):
        alone = model(torch.tensor([prefix + row + [3]]))[0, len(prefix):]
        torch.testing.assert_close(first[i, -len(row):], alone[:-1], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(second[i], alone[-1:], rtol=1e-4, atol=1e-5)


def test_input_injection_and_norms_in_the_loop_keep_equality():
    model = model_of('1x3', input_injection=True, norm_each_loop=True)
    rows = rows_of(7, 5)
    expected = [one_by_one(model, row, 9, 4) for row in rows]
    assert answer_batch(Prefix(model, rows[0][:8], 4), rows, 9, STOPS) == expected


def test_what_rows_share_is_computed_once():
    """20 rows of a beginning of 9: tokens that go through the block, counted."""
    model, stops, seen = model_of('1x2'), torch.zeros(20, dtype=torch.bool), []
    rows = [row[:14] for row in rows_of(60, 1) if len(row) >= 14][:20]
    kept = Prefix(model, rows[0][:9])
    model.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[:2].numel()))
    answer_batch(kept, rows, 3, stops)
    assert sum(seen) == 2 * 20 * (5 + 1 + 1)
    seen.clear()
    answer_batch(kept, rows, 3, stops, share=False)
    assert sum(seen) == 2 * 20 * (14 + 1 + 1)


def test_rows_that_are_done_leave_the_batch(monkeypatch):
    """Rows end one after another and go on with other tokens: from half on the batch is a smaller one."""
    model, widths = model_of('1x2'), []
    ends = {1: 1, 2: 2, 3: 3, 4: 5}  # row (its last prompt token): the step at which it ends
    steps = iter(range(1, 99))

    def forward(tokens, cache, **_):
        widths.append(len(tokens))
        step = next(steps)
        said = [7 if ends[row] == step else 1 for row in cache.rows]
        return torch.nn.functional.one_hot(torch.tensor(said), 20).float()[:, None]

    class Cache:
        def __init__(self):
            self.rows = [1, 2, 3, 4]

        def keep(self, places):
            self.rows = [self.rows[place] for place in places]

        def pad(self, fillers):
            pass

        def begin_with(self, other):
            pass
    monkeypatch.setattr(model, 'forward', forward)
    kept = Prefix(model, [])
    monkeypatch.setattr(kept, 'empty', lambda *_: Cache())
    monkeypatch.setattr(kept, 'after', lambda _: None)
    got = answer_batch(kept, [[row] for row in ends], 20, STOPS, share=False)
    assert widths == [4, 4, 2, 1, 1]
    assert got == [[7], [1, 7], [1, 1, 7], [1, 1, 1, 1, 7]]


def test_batches_hold_one_context_and_similar_lengths():
    prompts = [Prompt(i, [0] * n, context) for i, (n, context) in enumerate(
        [(5, ''), (9, 'a'), (7, ''), (3, 'a'), (6, ''), (8, 'b')])]
    made = [[prompt.number for prompt in batch] for batch in batches(prompts, 2)]
    assert made == [[1, 3], [5], [2, 4], [0]]


def test_common_length_against_brute_force():
    rng = random.Random(0)
    for _ in range(500):
        rows = [[rng.randrange(2) for _ in range(rng.randint(1, 6))] for _ in range(rng.randint(1, 4))]
        most = max(n for n in range(min(map(len, rows))) if len({tuple(row[:n]) for row in rows}) == 1)
        assert common_length(rows) == most
