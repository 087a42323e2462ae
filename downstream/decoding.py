"""Greedy answers to many prompts: batches of similar lengths, and what prompts share is computed once.
Prompts of a few-shot task begin with the same shots, those of one passage with the passage too. The cached
keys and values of such a beginning, of every loop, are copied to the rows of a batch instead of computed."""
from collections import defaultdict
from os.path import commonprefix  # of any sequences
from typing import NamedTuple

import torch


class Prompt(NamedTuple):
    """A prompt's place in the task, its tokens, and what it shares with others ('' for nothing)."""
    number: int
    tokens: list
    context: str = ''
    dropped: int = 0   # shots left out for length
    cut: bool = False  # whether it lost its beginning, where that was not enough


def batches(prompts: list, batch_size: int) -> list:
    """Prompts of one context together, all others by length, so that rows of a batch are about as long.
    The longest come first: memory runs out at once or never, and the last batches are the quick ones."""
    groups = defaultdict(list)  # context: its prompts, the longest first
    for prompt in sorted(prompts, key=lambda prompt: -len(prompt.tokens)):
        groups[prompt.context].append(prompt)

    made = []
    for group in groups.values():
        for first in range(0, len(group), batch_size):
            made.append(group[first:first + batch_size])
    return sorted(made, key=lambda batch: -len(batch[0].tokens))


def common_length(rows: list):
    """How many tokens all rows begin with; the last token of a row is never among them."""
    return min(len(commonprefix(rows)), min(map(len, rows)) - 1)


class Prefix:
    """The beginning of many prompts, whose keys and values are computed once and copied into caches."""

    def __init__(self, model, tokens: list, n_loops=None):
        self.model = model
        self.n_loops = n_loops
        self.tokens = tokens
        self.cache = None
        self.cache = self.after(tokens)

    def after(self, tokens: list):
        """A cache of one row that holds `tokens`; those of the prefix are copied where they begin with it."""
        cache = self.empty(1, len(tokens))
        if self.cache is not None and tokens[:len(self.tokens)] == self.tokens:
            cache.begin_with(self.cache)
        rest = tokens[cache.length:]
        if rest:
            row = torch.tensor([rest], device=self.model.head.weight.device)  # (1, T)
            self.model(row, n_loops=self.n_loops, cache=cache, last_only=True)
        return cache

    def empty(self, batch: int, length_max: int):
        return self.model.new_cache(batch, length_max, self.n_loops)


@torch.inference_mode()
def answer_batch(prefix: Prefix, rows: list, n_new: int, stops, share=True) -> list:
    """The tokens that greedy decoding adds to each row of tokens, n_new at most; each ends with the first of
    `stops`, bool (V,) on the model's device. Rows are filled up behind what all share (share=False computes
    all of it for each). Once half of them are done, the others go on in a smaller batch."""
    # What all rows share comes from one row, the rest of each follows in one pass.
    shared = common_length(rows) if share else 0
    tokens, fillers = padded(rows, shared, stops.device)
    cache = prefix.empty(len(rows), shared + tokens.size(1) + n_new - 1)
    cache.begin_with(prefix.after(rows[0][:shared]))
    cache.pad(fillers)

    answers = [[] for _ in rows]
    running = list(range(len(rows)))  # the row at each place of the batch
    done = set()
    for _ in range(n_new):
        logits = prefix.model(tokens, n_loops=prefix.n_loops, cache=cache, last_only=True)  # (B, 1, V)
        tokens = logits[:, -1].argmax(-1, keepdim=True)  # (B, 1)
        chosen = tokens[:, 0]  # (B,)
        for row, token, is_end in zip(running, chosen.tolist(), stops[chosen].tolist(), strict=True):
            if row in done:  # it only goes on because others do
                continue
            answers[row].append(token)
            if is_end:
                done.add(row)

        left = [place for place, row in enumerate(running) if row not in done]
        if not left:
            break
        if 2 * len(left) <= len(running):
            running = [running[place] for place in left]
            tokens = tokens[left]
            cache.keep(left)
    return answers


def padded(rows: list, first: int, device):
    """Rows from token `first` on as a batch (B, T), fillers (token 0) in front; how many they are, (B,)."""
    longest = max(map(len, rows))
    missing = [longest - len(row) for row in rows]
    filled = [[0] * n + row[first:] for n, row in zip(missing, rows, strict=True)]
    return torch.tensor(filled, device=device), torch.tensor(missing, device=device)
