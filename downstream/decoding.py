"""Greedy answers to many prompts: batches without waste, and what prompts share is computed once.

Prompts of a few-shot task begin with the same shots, those of one passage with the passage too. The cached
keys and values of such a beginning, of every loop, are copied to the rows of a batch instead of computed.
"""
from typing import NamedTuple

import torch


class Prompt(NamedTuple):
    """A prompt's place in the task, its tokens, and what it shares with others ('' for nothing)."""
    number: int
    tokens: list
    context: str = ''


def batches(prompts: list[Prompt], batch_size: int) -> list[list[Prompt]]:
    """Prompts of one context together, all others by length, so that rows of a batch are about as long.

    The longest come first: memory runs out at once or never, and the last batches are the quick ones.
    """
    groups: dict[str, list] = {}
    for prompt in sorted(prompts, key=lambda prompt: -len(prompt.tokens)):
        groups.setdefault(prompt.context, []).append(prompt)
    out = [group[first:first + batch_size] for group in groups.values()
           for first in range(0, len(group), batch_size)]
    return sorted(out, key=lambda batch: -len(batch[0].tokens))


def common_length(rows: list[list]) -> int:
    """How many tokens all rows begin with; their last ones are never among them."""
    first, last = min(rows), max(rows)  # what these two share, all share
    most = min(len(row) for row in rows) - 1
    return next((i for i in range(most) if first[i] != last[i]), most)


class Prefix:
    """The beginning of many prompts, computed once: caches that hold it are copies."""

    def __init__(self, model, tokens: list, n_loops=None):
        self.model, self.n_loops = model, n_loops
        self.tokens, self.cache = tokens, None
        self.cache = self.after(tokens)

    def after(self, tokens: list):
        """A cache of one row with `tokens`, which may begin with the prefix."""
        cache = self.empty(1, len(tokens))
        if self.cache is not None and tokens[:len(self.tokens)] == self.tokens:
            cache.begin_with(self.cache)
        rest = torch.tensor([tokens[cache.length:]], device=self.model.head.weight.device)
        if rest.numel():
            self.model(rest.long(), n_loops=self.n_loops, cache=cache, last_only=True)
        return cache

    def empty(self, batch: int, length_max: int):
        return self.model.new_cache(batch, length_max, self.n_loops)


@torch.inference_mode()
def answer_batch(prefix: Prefix, rows: list[list], n_new: int, stops, share=True) -> list[list]:
    """The tokens that greedy decoding adds to each row of tokens, n_new at most.

    `stops`, bool (V,) on the model's device: an answer ends with the first of these tokens. Rows are filled
    up behind what all share (share=False computes all of it for each). Once half of them are done, the others
    go on in a smaller batch.
    """
    shared = common_length(rows) if share else 0
    cache = prefix.empty(len(rows), max(len(row) for row in rows) + n_new - 1)
    cache.begin_with(prefix.after(rows[0][:shared]))
    tokens, fillers = padded([row[shared:] for row in rows], stops.device)
    cache.pad(fillers)
    answers, running, done = [[] for _ in rows], list(range(len(rows))), set()
    for _ in range(n_new):
        logits = prefix.model(tokens, n_loops=prefix.n_loops, cache=cache, last_only=True)
        tokens = logits[:, -1].argmax(-1, keepdim=True)  # (B, 1)
        for row, token, end in zip(running, tokens[:, 0].tolist(), stops[tokens[:, 0]].tolist(), strict=True):
            answers[row].append(token)
            done |= {row} if end else set()
        left = [place for place, row in enumerate(running) if row not in done]
        if not left:
            break
        if 2 * len(left) <= len(running):
            running, tokens = [running[place] for place in left], tokens[left]
            cache.keep(left)
    return [until_stop(answer, stops) for answer in answers]


def padded(rows: list[list], device):
    """(tokens (B, T) with fillers, token 0, in front of the shorter rows; how many those are, (B,))."""
    size = max(len(row) for row in rows)
    fillers = [size - len(row) for row in rows]
    tokens = [[0] * n + row for n, row in zip(fillers, rows, strict=True)]
    return torch.tensor(tokens, device=device), torch.tensor(fillers, device=device)


def until_stop(answer: list, stops) -> list:
    """Up to and with the first stop: a row that is done may have gone on beside others."""
    return answer[:next((i + 1 for i, token in enumerate(answer) if stops[token]), len(answer))]
