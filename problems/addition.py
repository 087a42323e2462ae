"""Addition of n numbers (Saunshi et al. 2025, Sec. 2), as a task: '315+120+045+824=' -> '1304'."""
from dataclasses import dataclass
from typing import Literal

import numpy as np

from problems.randomness import random_below
from problems.task import IGNORE, Batch, Text, after

OPERANDS_MAX = 1000
DIGITS_MAX = 4


@dataclass(kw_only=True, eq=False)
class Addition(Text):
    """n operands of `digits` zero-padded digits, without the paper's spaces; the difficulty is n.

    The answer is unpadded, most significant digit first, and an end token is part of what is scored.
    """

    operands: tuple[int, ...] = (2, 4, 8, 16, 32)     # how many are trained on
    test_operands: tuple[int, ...] = (8, 16, 24, 32)  # how many are tested
    digits: int = 3                         # of each operand, zero-padded
    supervise: Literal['answer', 'all'] = 'answer'  # where the loss is
    difficulty_start: tuple[int, ...] = ()  # the step from which each number of operands is drawn
    train_examples: int = 0                 # size of a fixed training set; 0 draws fresh examples for ever

    def __post_init__(self):
        counts = (*self.operands, *self.test_operands)
        possible = range(1, OPERANDS_MAX + 1)
        fitting = set(counts) <= set(possible)
        if not fitting or not 1 <= self.digits <= DIGITS_MAX:
            raise ValueError(f'operands={self.operands}, test_operands={self.test_operands}, '
                             f'digits={self.digits}: addition takes 1 to {OPERANDS_MAX} operands of 1 to '
                             f'{DIGITS_MAX} digits')
        self.set_difficulties('operands', self.operands)
        self.test_difficulties = self.test_operands

        self.set_alphabet('0123456789+=;_')
        most = max(counts)
        largest_sum = most * (10 ** self.digits - 1)
        self.answer_width = len(str(largest_sum))
        self.block_size = self.prompt_size(most) + self.answer_width

    def prompt_size(self, n: int) -> int:
        """Tokens of n operands, each with the sign after it."""
        return n * (self.digits + 1)

    def draw(self, key, ids, difficulty):
        out = self.new_rows(len(ids))
        for n in np.unique(difficulty).tolist():
            rows = (difficulty == n).nonzero()[0]
            out[rows] = self.draw_sums(key[rows], ids[rows], n)
        return out

    def draw_sums(self, key, ids, n: int):
        """Rows (B, block_size + 1) with n operands each."""
        B = len(ids)
        bound = 10 ** self.digits
        operands = random_below(key, ids, n, bound)
        operands = operands.astype(np.int32)  # (B, n)
        start = self.prompt_size(n)
        out = self.new_rows(B)
        out[:, :start] = self.prompts(operands)

        # digits of the sum from the left, then the end
        total = operands.sum(1)
        n_digits = self.count_digits(total)
        for place in range(self.answer_width):
            power = np.maximum(n_digits - 1 - place, 0)
            digit = total // 10 ** power % 10
            digit[place >= n_digits] = self.pad
            out[:, start + place] = digit
        ends = start + n_digits
        out[np.arange(B), ends] = self.end
        return out

    def count_digits(self, total):
        """Decimal digits of each number of total (B,), at least 1."""
        powers = 10 ** np.arange(self.answer_width)
        reached = total[:, None] >= powers  # (B, answer_width)
        n_digits = reached.sum(1)
        return np.maximum(1, n_digits)

    def prompts(self, operands):
        """Tokens of operands (B, n) and of the sign after each, (B, n * (digits + 1))."""
        size = (*operands.shape, self.digits + 1)
        out = np.empty(size, np.uint8)

        # from the last digit to the first
        rest = operands
        for place in reversed(range(self.digits)):
            out[:, :, place] = rest % 10
            rest = rest // 10
        signs = out[:, :, self.digits]  # (B, n)
        signs[:] = self.number['+']
        signs[:, -1] = self.number['=']
        return out.reshape(len(out), -1)

    def answer_start(self, rows):
        return after(rows, self.number['='])

    def solve(self, prompt: list[int]) -> list[int]:
        text = self.decode(prompt)
        parts = text.removesuffix('=').split('+')
        are_numbers = all(map(str.isdigit, parts))
        if not text.endswith('=') or not are_numbers:
            raise ValueError("the prompt should be numbers joined by '+' and closed by '=', such as 315+120=")
        total = sum(map(int, parts))
        return self.answer_tokens(total)

    def answer_tokens(self, total: int) -> list[int]:
        """The digits of a sum and the end."""
        digits = [self.number[digit] for digit in str(total)]
        return [*digits, self.end]

    def baselines(self, batch: Batch) -> dict:
        """Always the middle of the distribution, which is also its mode: n * (10^digits - 1) / 2."""
        is_plus = batch.tokens[0] == self.number['+']
        n = int(is_plus.sum()) + 1
        largest = 10 ** self.digits - 1
        guess = self.answer_tokens(n * largest // 2)
        right = []
        for row in batch.targets:
            answer = row[row != IGNORE].tolist()
            right.append(answer == guess)
        return {'most likely sum': np.array(right)}
