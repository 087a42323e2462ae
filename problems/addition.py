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
    The answer is unpadded, most significant digit first, and an end token is part of what is scored."""

    operands: tuple[int, ...] = (2, 4, 8, 16, 32)     # how many are trained on
    test_operands: tuple[int, ...] = (8, 16, 24, 32)  # how many are tested
    digits: int = 3                         # of each operand, zero-padded
    supervise: Literal['answer', 'all'] = 'answer'  # where the loss is
    difficulty_start: tuple[int, ...] = ()  # the step from which each number of operands is drawn
    train_examples: int = 0                 # size of a fixed training set; 0 draws fresh examples for ever

    def __post_init__(self):
        counts = (*self.operands, *self.test_operands)
        fitting = set(counts) <= set(range(1, OPERANDS_MAX + 1))
        if not fitting or not 1 <= self.digits <= DIGITS_MAX:
            raise ValueError(f'operands={self.operands}, test_operands={self.test_operands}, '
                             f'digits={self.digits}: addition takes 1 to {OPERANDS_MAX} operands of 1 to '
                             f'{DIGITS_MAX} digits')
        self.set_difficulties('operands', self.operands)
        self.test_difficulties = self.test_operands

        self.set_words('0123456789+=;_', repr('0123456789+='))
        most = max(counts)
        largest_sum = most * (10 ** self.digits - 1)
        self.answer_width = len(str(largest_sum))
        self.block_size = most * (self.digits + 1) + self.answer_width

    def draw(self, key, ids, difficulty):
        out = self.new_rows(len(ids))
        for n in np.unique(difficulty).tolist():
            rows = (difficulty == n).nonzero()[0]
            out[rows] = self.draw_sums(key[rows], ids[rows], n)
        return out

    def draw_sums(self, key, ids, n: int):
        """Rows (B, block_size + 1) with n operands each."""
        B = len(ids)
        width = self.answer_width
        operands = random_below(key, ids, n, 10 ** self.digits)
        operands = operands.astype(np.int32)  # (B, n)
        total = operands.sum(1)

        prompts = np.full((B, n, self.digits + 1), self.number['+'], np.uint8)
        write_digits(prompts[:, :, :-1], operands)
        prompts[:, -1, -1] = self.number['=']

        # the sum, the end and padding, moved to the left by the zeros that it begins with
        answers = np.full((B, 2 * width), self.pad, np.uint8)
        write_digits(answers[:, :width], total)
        answers[:, width] = self.end
        n_zeros = (total[:, None] < 10 ** np.arange(1, width)).sum(1, keepdims=True)
        answers = np.take_along_axis(answers, n_zeros + np.arange(width + 1), 1)

        out = self.new_rows(B)
        start = n * (self.digits + 1)
        out[:, :start] = prompts.reshape(B, start)
        out[:, start:start + width + 1] = answers
        return out

    def answer_start(self, rows):
        return after(rows, self.number['='])

    def solve(self, prompt: list[int]) -> list[int]:
        text = self.decode(prompt)
        parts = text.removesuffix('=').split('+')
        if not text.endswith('=') or not all(map(str.isdigit, parts)):
            raise ValueError("the prompt should be numbers joined by '+' and closed by '=', such as 315+120=")
        return self.answer_tokens(sum(map(int, parts)))

    def answer_tokens(self, total: int) -> list[int]:
        """The digits of a sum and the end."""
        return [*self.encode(str(total)), self.end]

    def baselines(self, batch: Batch) -> dict:
        """Always the middle of the distribution, which is also its mode: n * (10^digits - 1) / 2."""
        is_plus = batch.tokens[0] == self.number['+']
        n = int(is_plus.sum()) + 1
        guess = self.answer_tokens(n * (10 ** self.digits - 1) // 2)
        right = [row[row != IGNORE].tolist() == guess for row in batch.targets]
        return {'most likely sum': np.array(right)}


def write_digits(out, numbers):
    """Writes decimal digits of whole numbers (..) into out (.., digits), the most significant first."""
    for place in reversed(range(out.shape[-1])):
        out[..., place] = numbers % 10
        numbers = numbers // 10
