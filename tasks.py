"""The dict of all tasks; addition and group composition. The others have files of their own."""
import itertools

import numpy as np

from problems.igsm import IGSM
from problems.lengths import LENGTH_TASKS
from problems.phop import PHop
from problems.randomness import random_words
from problems.task import IGNORE, Batch, Task, Text, after, check_starts, correct, majority
from problems.text import TokenTask
from problems.variables import Variables


class Addition(Text):
    """'315+120+045+824=' -> '1304': n operands of `digits` zero-padded digits (A, Sec. 2; no spaces here).

    The answer is unpadded, most significant digit first, and an end token is part of what is scored.
    """

    def __init__(self, operands=(2, 4, 8, 16, 32), test_operands=(8, 16, 24, 32), digits=3,
                 supervise='answer', starts=()):
        largest = max((*operands, *test_operands), default=0)
        if min((*operands, *test_operands), default=0) < 1 or not 1 <= digits <= 4 or largest > 1000:
            raise ValueError(f'operands={operands}, test_operands={test_operands}, digits={digits}: addition '
                             'takes 1 to 1000 operands of 1 to 4 digits')
        self.set_alphabet('0123456789+=;_')
        self.difficulties, self.starts = tuple(operands), check_starts(operands, starts)
        self.test_difficulties, self.digits, self.supervise = tuple(test_operands), digits, supervise
        self.answer_width = len(str(largest * (10 ** digits - 1)))
        self.block_size = largest * (digits + 1) + self.answer_width

    def draw(self, key, ids, difficulty):
        out = np.full((len(ids), self.block_size + 1), self.pad, np.uint8)
        for n in np.unique(difficulty):
            rows = np.nonzero(difficulty == n)[0]
            out[rows] = self.rows(key[rows], ids[rows], int(n))
        return out

    def rows(self, key, ids, n: int):
        """Rows (B, block_size + 1) with n operands each."""
        B, start = len(ids), n * (self.digits + 1)
        words = random_words(key, ids, -(-n // 2)).view(np.uint32)[:, :n]
        operands = (words.astype(np.uint64) * np.uint64(10 ** self.digits) >> np.uint64(32)).astype(np.int32)
        out = np.full((B, self.block_size + 1), self.pad, np.uint8)
        prompt, rest = np.empty((B, n, self.digits + 1), np.uint8), operands
        for place in reversed(range(self.digits)):
            prompt[:, :, place] = rest % 10
            rest = rest // 10
        prompt[:, :, self.digits] = self.number['+']
        prompt[:, -1, self.digits] = self.number['=']
        out[:, :start] = prompt.reshape(B, start)
        total = operands.sum(1)
        width = np.maximum(1, (total[:, None] >= 10 ** np.arange(self.answer_width)).sum(1))
        for place in range(self.answer_width):
            digit = total // 10 ** np.maximum(width - 1 - place, 0) % 10
            out[:, start + place] = np.where(place < width, digit, self.pad)
        out[np.arange(B), start + width] = self.end
        return out

    def answer_start(self, rows):
        return after(rows, self.number['='])

    def solve(self, prompt: list[int]) -> list[int]:
        parts = self.decode(prompt).removesuffix('=').split('+')
        if not all(part.isdigit() for part in parts) or prompt[-1] != self.number['=']:
            raise ValueError("the prompt should be numbers joined by '+' and closed by '=', such as 315+120=")
        return [self.number[digit] for digit in str(sum(map(int, parts)))] + [self.end]

    def baselines(self, batch: Batch) -> dict:
        """Always the middle of the distribution, which is also its mode: n * (10^digits - 1) / 2."""
        n = (batch.tokens[0] == self.number['+']).sum() + 1
        guess = [self.number[digit] for digit in str(int(n) * (10 ** self.digits - 1) // 2)] + [self.end]
        answers = [row[row != IGNORE].tolist() for row in batch.targets]
        return {'most likely sum': np.array([answer == guess for answer in answers])}


class Group(Task):
    """g_1 .. g_n -> the product g_1 g_2 .. g_n in a finite group: what A's Thm 5.1 is about. Our addition.

    group: 'cN' cyclic of order N, 'sN' all permutations of N things, 'aN' the even ones; gh means first h,
    then g. A token is an element. supervise='all' scores every position, with the product of its prefix.
    """

    def __init__(self, group='s5', elements=16, supervise='answer'):
        kind, order = group[:1], group[1:]
        limits = {'c': 256, 's': 5, 'a': 5}
        if kind not in limits or not order.isdigit() or not 2 <= int(order) <= limits[kind]:
            raise ValueError(f'group={group!r} is not one of c2 .. c256, s2 .. s5, a2 .. a5')
        if elements < 2:
            raise ValueError(f'elements={elements}: a product takes at least 2')
        self.table = group_table(kind, int(order))
        self.difficulties, self.starts, self.supervise = (elements,), (0,), supervise
        self.vocab_size, self.block_size = len(self.table), elements

    def draw(self, key, ids, difficulty):
        words = random_words(key, ids, -(-self.block_size // 2)).view(np.uint32)[:, :self.block_size]
        factors = (words.astype(np.uint64) * np.uint64(self.vocab_size) >> np.uint64(32)).astype(np.uint8)
        return np.concatenate([factors, self.products(factors)[:, -1:]], 1)

    def products(self, factors):
        """The product of every prefix of factors (B, n), (B, n)."""
        out = factors.copy()
        for i in range(1, factors.shape[1]):
            out[:, i] = self.table[out[:, i - 1], factors[:, i]]
        return out

    def batch(self, rows, supervise):
        tokens, targets = super().batch(rows, 'answer')[:2]
        return Batch(tokens, self.products(tokens) if supervise == 'all' else targets)

    def solve(self, prompt: list[int]) -> list[int]:
        return self.products(np.array([prompt]))[0, -1:].tolist()

    def baselines(self, batch: Batch) -> dict:
        last_two = self.products(batch.tokens[:, -2:])[:, -1]
        return {'last two factors': correct(batch, last_two), 'majority answer': majority(batch)}

    def encode(self, text: str) -> list[int]:
        parts = text.split()
        if not parts or not all(part.isdigit() and int(part) < self.vocab_size for part in parts):
            raise ValueError('the prompt should be numbers of elements joined by spaces, each 0 to '
                             f'{self.vocab_size - 1}')
        if len(parts) > self.block_size:
            raise ValueError(f'the prompt has {len(parts)} elements; this model takes 1 to {self.block_size}')
        return [int(part) for part in parts]

    def decode(self, tokens) -> str:
        return ' '.join(map(str, tokens))


def group_table(kind: str, order: int):
    """table[g, h] = gh, (|G|, |G|) uint8; permutations in lexicographic order, so 0 is the identity."""
    if kind == 'c':
        return ((np.arange(order)[:, None] + np.arange(order)) % order).astype(np.uint8)
    elements = [p for p in itertools.permutations(range(order)) if kind == 's' or is_even(p)]
    place = {p: i for i, p in enumerate(elements)}
    return np.array([[place[tuple(g[i] for i in h)] for h in elements] for g in elements], np.uint8)


def is_even(permutation) -> bool:
    pairs = itertools.combinations(permutation, 2)
    return sum(a > b for a, b in pairs) % 2 == 0


TASKS = {
    'phop': lambda c: PHop(c.p, c.length, c.n_letters, c.supervise, c.difficulty_start),
    'addition': lambda c: Addition(c.operands, c.test_operands, c.digits, c.supervise, c.difficulty_start),
    'igsm': lambda c: IGSM(c.max_ops, c.max_edges, c.supervise, c.difficulty_start),
    'group': lambda c: Group(c.group, c.elements, c.supervise),
    'variables': lambda c: Variables(c.depths, c.form, c.supervise, c.difficulty_start),
}


def length_task(config) -> Task:
    return LENGTH_TASKS[config.task](config.max_length, config.test_lengths, config.interval, config.answer,
                                     config.pause_tokens, config.adaptive_loops)


TASKS |= dict.fromkeys(LENGTH_TASKS, length_task)
TASKS['tokens'] = lambda c: TokenTask(c.data, c.block_size, c.vocab_size, c.tokenizer)


def make_task(config) -> Task:
    """The task of a training configuration (any object with its fields)."""
    return TASKS[config.task](config)
