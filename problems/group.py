"""Composition in a finite group, as a task: what Theorem 5.1 of Saunshi et al. 2025 is about.
The paper trains no model on it; the task is an addition of this project."""
import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np

from problems.randomness import random_below
from problems.task import Batch, Text, correct, majority

ORDER_MAX = {'c': 256, 's': 5, 'a': 5}  # by kind: an element is one byte


@dataclass(kw_only=True, eq=False)
class Group(Text):
    """g_1 .. g_n -> the product g_1 g_2 .. g_n. A token is an element, and gh means first h, then g."""

    group: str = 's5'         # cN cyclic, sN all permutations, aN even permutations
    elements: int = 16        # factors of the product
    supervise: Literal['answer', 'all'] = 'answer'  # where the loss is; all: the product of every prefix
    train_examples: int = 0   # size of a fixed training set; 0 draws fresh examples for ever

    joint = ' '
    split = staticmethod(str.split)

    def __post_init__(self):
        kind = self.group[:1]
        order = self.group[1:]
        if not order.isdecimal() or not 2 <= int(order) <= ORDER_MAX.get(kind, 0):
            raise ValueError(f'group={self.group!r} is not one of c2 .. c256, s2 .. s5, a2 .. a5')
        if self.elements < 2:
            raise ValueError(f'elements={self.elements}: a product takes at least 2')
        self.set_difficulties('elements', (self.elements,))
        self.table = group_table(kind, int(order))
        n = len(self.table)
        self.set_words(map(str, range(n)), f'numbers of elements joined by spaces, each 0 to {n - 1}')
        self.block_size = self.elements

    def draw(self, key, ids, difficulty):
        factors = random_below(key, ids, self.elements, self.vocab_size)
        factors = factors.astype(np.uint8)
        answer = self.products(factors)[:, -1:]
        return np.concatenate([factors, answer], 1)

    def products(self, factors):
        """The product of every prefix of factors (B, n), (B, n)."""
        out = factors.copy()
        for i in range(1, factors.shape[1]):
            out[:, i] = self.table[out[:, i - 1], factors[:, i]]
        return out

    def batch(self, rows, supervise):
        batch = super().batch(rows, 'answer')
        if supervise == 'all':
            return batch._replace(targets=self.products(batch.tokens))
        return batch

    def solve(self, prompt: list[int]) -> list[int]:
        return self.products(np.array([prompt]))[0, -1:].tolist()

    def baselines(self, batch: Batch) -> dict:
        """The product of the last two factors; the commonest answer."""
        last_two = self.products(batch.tokens[:, -2:])[:, -1]
        return {'last two factors': correct(batch, last_two), 'majority answer': majority(batch)}


def group_table(kind: str, order: int):
    """table[g, h] = gh, (|G|, |G|) uint8; permutations in lexicographic order, so 0 is the identity."""
    if kind == 'c':
        shifts = np.arange(order)
        return ((shifts[:, None] + shifts) % order).astype(np.uint8)

    permutations = list(itertools.permutations(range(order)))
    if kind == 'a':
        permutations = list(filter(is_even, permutations))
    n = len(permutations)
    number = {permutation: i for i, permutation in enumerate(permutations)}
    table = np.empty((n, n), np.uint8)
    for i, g in enumerate(permutations):
        for j, h in enumerate(permutations):
            table[i, j] = number[tuple(g[place] for place in h)]
    return table


def is_even(permutation) -> bool:
    """Whether an even number of pairs stands in the wrong order."""
    inversions = sum(a > b for a, b in itertools.combinations(permutation, 2))
    return inversions % 2 == 0
