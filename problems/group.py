"""Composition in a finite group, as a task: what Theorem 5.1 of Saunshi et al. 2025 is about.

The paper trains no model on it; the task is an addition of this project.
"""
import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np

from problems.randomness import random_below
from problems.task import Batch, Task, correct, majority

ORDER_MAX = {'c': 256, 's': 5, 'a': 5}  # by kind: an element is one byte


@dataclass(kw_only=True, eq=False)
class Group(Task):
    """g_1 .. g_n -> the product g_1 g_2 .. g_n. A token is an element, and gh means first h, then g."""

    group: str = 's5'         # cN cyclic, sN all permutations, aN even permutations
    elements: int = 16        # factors of the product
    supervise: Literal['answer', 'all'] = 'answer'  # where the loss is; all: the product of every prefix
    train_examples: int = 0   # size of a fixed training set; 0 draws fresh examples for ever

    def __post_init__(self):
        kind = self.group[:1]
        order = self.group[1:]
        known = kind in ORDER_MAX and order.isdigit()
        if not known or not 2 <= int(order) <= ORDER_MAX[kind]:
            raise ValueError(f'group={self.group!r} is not one of c2 .. c256, s2 .. s5, a2 .. a5')
        if self.elements < 2:
            raise ValueError(f'elements={self.elements}: a product takes at least 2')
        self.set_difficulties('elements', (self.elements,))
        self.table = group_table(kind, int(order))
        self.vocab_size = len(self.table)
        self.block_size = self.elements

    def draw(self, key, ids, difficulty):
        factors = random_below(key, ids, self.elements, self.vocab_size)
        factors = factors.astype(np.uint8)
        products = self.products(factors)
        answer = products[:, -1:]
        return np.concatenate([factors, answer], 1)

    def products(self, factors):
        """The product of every prefix of factors (B, n), (B, n)."""
        out = factors.copy()
        product = factors[:, 0]
        for i in range(1, factors.shape[1]):
            factor = factors[:, i]
            product = self.table[product, factor]
            out[:, i] = product
        return out

    def batch(self, rows, supervise):
        batch = super().batch(rows, 'answer')
        if supervise == 'all':
            return batch._replace(targets=self.products(batch.tokens))
        return batch

    def solve(self, prompt: list[int]) -> list[int]:
        products = self.products(np.array([prompt]))
        return products[0, -1:].tolist()

    def baselines(self, batch: Batch) -> dict:
        """The product of the last two factors; the commonest answer."""
        last_two = batch.tokens[:, -2:]
        products = self.products(last_two)
        return {
            'last two factors': correct(batch, products[:, -1]),
            'majority answer': majority(batch),
        }

    def encode(self, text: str) -> list[int]:
        """'4 0 2' -> [4, 0, 2]. ValueError where a part is no element, or where there are too many."""
        parts = text.split()
        if not parts or not all(map(self.is_element, parts)):
            raise ValueError('the prompt should be numbers of elements joined by spaces, each 0 to '
                             f'{self.vocab_size - 1}')
        if len(parts) > self.block_size:
            raise ValueError(f'the prompt has {len(parts)} elements; this model takes 1 to {self.block_size}')
        return list(map(int, parts))

    def is_element(self, text: str) -> bool:
        return text.isdigit() and int(text) < self.vocab_size

    def decode(self, tokens) -> str:
        return ' '.join(map(str, tokens))


def group_table(kind: str, order: int):
    """table[g, h] = gh, (|G|, |G|) uint8; permutations in lexicographic order, so 0 is the identity."""
    if kind == 'c':
        shifts = np.arange(order)
        sums = shifts[:, None] + shifts
        return (sums % order).astype(np.uint8)

    permutations = list(itertools.permutations(range(order)))
    if kind == 'a':
        permutations = list(filter(is_even, permutations))
    n = len(permutations)
    number = dict(zip(permutations, range(n), strict=True))
    table = np.empty((n, n), np.uint8)
    for i, g in enumerate(permutations):
        for j, h in enumerate(permutations):
            product = tuple(g[place] for place in h)
            table[i, j] = number[product]
    return table


def is_even(permutation) -> bool:
    """Whether an even number of pairs stands in the wrong order."""
    pairs = itertools.combinations(permutation, 2)
    inversions = sum(a > b for a, b in pairs)
    return inversions % 2 == 0
