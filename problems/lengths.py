"""The six tasks of Fan et al. 2025: problems of a length n that take T(n) iterations.

    parity 1011>##       copy 101>####        binary_addition 10+11>####

A row is the query, '>' (end of query), perhaps pause tokens, and the answer (Sec. 2.2 and 6.1.1). Full-answer
prediction (fap) gives EOS, '#', in place of the answer and reads all of it in one go, from '>' on; next-token
prediction (ntp) gives the answer. Scored are the answer and the EOS after it, N_EOS of them in fap, one in
ntp (docs/deviations.md, D11). Lengths and symbols are uniform and every batch is fresh: at lengths of few
problems, up to about 2^20, test problems have been seen in training; at lengths beyond max_length none has.
"""
from dataclasses import dataclass
from typing import Literal

import numpy as np

from problems.randomness import below, key_of, random_16, random_words
from problems.task import IGNORE, SPLITS, Batch, Task, majority

N_EOS = 2  # scored after a full answer; the paper does not state how many
LENGTH_MAX = 1000


@dataclass(kw_only=True, eq=False)
class LengthTask(Task):
    """What the six share. A subclass gives symbols, answers, and what is not as in copying n symbols.
    The difficulty is the length n; length l joins at step (l - 1) * interval (Fan et al. 2025, Table 2)."""

    max_length: int = 19                 # longest problem in training
    test_lengths: tuple[int, ...] = ()   # lengths tested (default: those of training)
    interval: int = 1000                 # steps until the next length joins
    answer: Literal['fap', 'ntp'] = 'fap'  # full-answer or next-token prediction
    pause_tokens: int = 0                # between query and answer
    adaptive_loops: bool = False         # fap: each sample is looped T(n) times

    # what a subclass changes
    symbols = ('0', '1')
    allowed = '0 and 1'  # the symbols, for an error
    join = ''            # between the symbols of a text
    fixed_size = False
    loops_margin = 20  # steps beyond T among which a stopping rule chooses, as in the authors' code

    def __post_init__(self):
        self.check_options()
        self.difficulties = tuple(range(1, self.max_length + 1))
        self.starts = tuple(self.interval * n_shorter for n_shorter in range(self.max_length))
        self.test_difficulties = tuple(self.test_lengths) or self.difficulties
        self.full_answer = self.answer == 'fap'
        self.n_eos = N_EOS if self.full_answer else 1

        self.words = [*self.symbols, '>', '#', '.', '_']
        self.eoq, self.end, self.pause, self.pad = range(len(self.symbols), len(self.words))
        self.vocab_size = self.pad  # padding stands in rows only
        self.block_size = self.width(max(self.max_length, *self.test_difficulties))

    def check_options(self):
        """ValueError names the options and what would do."""
        lengths = (self.max_length, *self.test_lengths)
        if min(lengths) < 1 or max(lengths) > LENGTH_MAX:
            raise ValueError(f'max_length={self.max_length}, test_lengths={self.test_lengths}: '
                             f'lengths are 1 to {LENGTH_MAX}')
        if self.interval < 0:
            raise ValueError(f'interval={self.interval} must not be negative')
        if not 0 <= self.pause_tokens <= LENGTH_MAX:
            raise ValueError(f'pause_tokens={self.pause_tokens} must be 0 to {LENGTH_MAX}')
        if self.adaptive_loops and self.answer == 'ntp':
            raise ValueError('adaptive_loops goes with answer=fap: in ntp all tokens take one loop count')

    def evaluated(self, split: str) -> tuple:
        """Validation looks at four of the trained lengths, the longest among them."""
        if split == 'test':
            return self.test_difficulties
        distance = max(1, self.max_length // 3)
        return self.difficulties[::-1][::distance][::-1]

    def sizes(self, n: int) -> tuple[int, int]:
        """Tokens of the longest query and answer of length n."""
        return n, n

    def width(self, n: int) -> int:
        """Tokens of a row of length n, whatever its answer: the padding does not tell where that ends."""
        return sum(self.sizes(n)) + self.pause_tokens + self.n_eos

    def forms(self, split: str, key, ids):
        """The form (B,) of each query, where those of one length differ in their layout."""
        return np.zeros(len(ids), int)

    def queries(self, random16, n: int, form: int):
        """(B, tokens) of uniform symbols, from random uint16 (B, at least as many)."""
        return below(random16[:, :n], len(self.symbols))

    def answers(self, queries):
        """(B, tokens) of the answers, `end` where one is shorter than another."""
        raise NotImplementedError

    def lengths(self, rows):
        """The length n of each row (B,)."""
        return (rows == self.eoq).argmax(1)

    def steps(self, rows):
        """T(n) of each row (B,)."""
        return self.lengths(rows)

    def examples(self, split: str, seed: int, ids, difficulty):
        """The examples `ids` (B,), fresh draws; see `rows`."""
        key = key_of(SPLITS.index(split), seed)
        random16 = random_16(key, ids, self.block_size)
        forms = self.forms(split, key, ids)
        out = self.new_rows(len(ids))
        for n in np.unique(difficulty).tolist():
            for form in np.unique(forms).tolist():
                chosen = (difficulty == n) & (forms == form)
                if chosen.any():
                    queries = self.queries(random16[chosen], n, form)
                    answers = self.answers(queries)
                    out[chosen] = self.rows(queries, answers)
        return out

    def rows(self, queries, answers):
        """Query, '>', pause, answer, EOS, padding: (B, block_size + 1)."""
        n_query = queries.shape[1]
        first = n_query + 1 + self.pause_tokens  # of the answer
        size = self.block_size + 1
        rows = np.full((len(queries), size), self.end)
        rows[:, :n_query] = queries
        rows[:, n_query] = self.eoq
        rows[:, n_query + 1:first] = self.pause
        rows[:, first:first + answers.shape[1]] = answers

        # n_eos after each answer, however long the others are
        n_answer = (answers != self.end).sum(1, keepdims=True)  # (B, 1)
        written = first + n_answer + self.n_eos
        rows[np.arange(size) >= written] = self.pad
        return rows

    def answer_start(self, rows):
        return (rows == self.eoq).argmax(1) + 1 + self.pause_tokens

    def batch(self, rows, supervise='answer'):
        """As in any task, but full-answer prediction is not given the answer."""
        tokens, targets, _ = super().batch(rows, supervise)  # (B, block_size)
        if self.full_answer:
            is_answer = targets[:, :-1] != IGNORE
            tokens[:, 1:][is_answer] = self.end
        tokens[tokens == self.pad] = self.end
        loops = self.steps(rows) if self.adaptive_loops else None
        return Batch(tokens, targets, loops)

    def train_batch(self, seed: int, step: int, batch_size: int, lo=0, hi=None) -> Batch:
        """As wide as the longest length that has joined needs, so in every process alike."""
        batch = super().train_batch(seed, step, batch_size, lo, hi)
        longest = sum(start <= step for start in self.starts)
        return self.cut(batch, longest)

    def eval_batch(self, split: str, difficulty: int, lo: int, hi: int) -> Batch:
        batch = super().eval_batch(split, difficulty, lo, hi)
        return self.cut(batch, difficulty)

    def cut(self, batch: Batch, n: int) -> Batch:
        """The columns of a batch that rows of length n have."""
        width = self.width(n)
        return Batch(batch.tokens[:, :width], batch.targets[:, :width], batch.loops)

    def room(self, prompt: list[int]) -> int:
        """Positions at which an answer is read: the last of the prompt to the last of the row."""
        n = self.lengths(np.array([prompt]))[0]
        return self.width(int(n)) - len(prompt) + 1

    def solve(self, prompt: list[int]) -> list[int]:
        query = prompt[:prompt.index(self.eoq)]
        answer = self.answers(np.array([query]))[0]
        answer = answer[answer != self.end]
        return [*answer.tolist(), self.end]

    def baselines(self, batch: Batch) -> dict:
        """Always the commonest answer of these examples."""
        return {'majority answer': majority(batch)}

    def encode(self, text: str) -> list[int]:
        """'1011', with or without '>' -> the query, '>' and pause tokens. ValueError where it is none."""
        text = text.removesuffix('>').strip()
        words = text.split(self.join) if self.join else list(text)
        for word in words:
            if word not in self.symbols:
                raise ValueError(f'the prompt holds {word!r}; possible are {self.allowed}')
        self.check_query(words)
        query = [self.words.index(word) for word in words]
        return query + [self.eoq] + [self.pause] * self.pause_tokens

    def check_query(self, words: list[str]):
        """ValueError where the symbols make no query."""
        if not words:
            raise ValueError('the prompt is empty')

    def decode(self, tokens) -> str:
        """Text, up to and without the first '#'."""
        words = [self.words[token] for token in tokens]
        if '#' in words:
            words = words[:words.index('#')]
        return self.join.join(words)


class Parity(LengthTask):
    """n bits -> 1 where an odd number of them is 1."""

    def sizes(self, n):
        return n, 1

    def answers(self, queries):
        return queries.sum(1, keepdims=True) % 2


class Copy(LengthTask):
    """n bits -> the same bits."""

    def answers(self, queries):
        return queries


class Operation(LengthTask):
    """Two binary numbers a and b, most significant bit first, joined by a sign, the third of the symbols."""

    SIGN = 2

    def queries(self, random16, n, n_first):
        bits = below(random16[:, :n_first + n], 2)
        return np.insert(bits, n_first, self.SIGN, axis=1)

    def split(self, queries):
        """a and b (B, bits), least significant bit first; the sign stands at the same place in every row."""
        place = (queries[0] == self.SIGN).argmax()
        return queries[:, :place][:, ::-1], queries[:, place + 1:][:, ::-1]

    def check_query(self, words):
        sign = self.symbols[self.SIGN]
        ends = words[:1] + words[-1:]
        if words.count(sign) != 1 or sign in ends:
            raise ValueError(f'the prompt should be two binary numbers joined by {sign}, such as 10{sign}11')


def carried(totals):
    """Bits of the numbers that have these totals (B, places) at their places, least significant first."""
    for place in range(1, totals.shape[1]):
        totals[:, place] += totals[:, place - 1] // 2
    return totals % 2


class BinaryAddition(Operation):
    """Two numbers of n bits -> their sum in n + 1 bits, most significant first, leading 0 kept."""

    symbols = ('0', '1', '+')
    allowed = '0, 1 and +'

    def sizes(self, n):
        return 2 * n + 1, n + 1

    def queries(self, random16, n, form):
        return super().queries(random16, n, n)

    def answers(self, queries):
        a, b = self.split(queries)
        totals = np.zeros((len(a), a.shape[1] + 1), int)
        totals[:, :-1] = a + b
        return carried(totals)[:, ::-1]

    def lengths(self, rows):
        return (rows == self.SIGN).argmax(1)

    def check_query(self, words):
        super().check_query(words)
        n_first = words.index('+')
        n_second = len(words) - n_first - 1
        if n_first != n_second:
            raise ValueError(f'the operands have {n_first} and {n_second} bits; they must be equally long')


class BinarySum(LengthTask):
    """n bits -> how many of them are 1, in binary, least significant bit first, without leading zeros.
    No ones give the empty answer, as in the authors' code; the paper states neither."""

    def sizes(self, n):
        return n, n.bit_length()

    def answers(self, queries):
        n = queries.shape[1]
        count = queries.sum(1, keepdims=True, dtype=np.int64)  # (B, 1)
        rest = count >> np.arange(n.bit_length())
        return np.where(rest > 0, rest & 1, self.end)


class Multiplication(Operation):
    """a of 1 or 2 bits times b of n bits -> the product in as many bits as both have; T = bits of a * n.
    The product has the least significant bit first, and a has 2 bits in the test, as in the authors' code."""

    symbols = ('0', '1', '*')
    allowed = '0, 1 and *'
    loops_margin = 30

    def sizes(self, n):
        return n + 3, n + 2

    def forms(self, split, key, ids):
        """How many bits a has."""
        words = random_words(key + 1, ids, 1)[:, 0]
        return np.full(len(ids), 2) if split == 'test' else words % 2 + 1

    def answers(self, queries):
        a, b = self.split(queries)
        n_first = a.shape[1]
        n = b.shape[1]
        if n_first > 2:
            raise ValueError(f'the first number has {n_first} bits; 1 or 2 are possible')
        totals = np.zeros((len(a), n_first + n), int)
        for place in range(n_first):
            totals[:, place:place + n] += a[:, place:place + 1] * b
        return carried(totals)

    def lengths(self, rows):
        eoq = (rows == self.eoq).argmax(1)
        return eoq - (rows == self.SIGN).argmax(1) - 1

    def steps(self, rows):
        return (rows == self.SIGN).argmax(1) * self.lengths(rows)


class UniqueSet(LengthTask):
    """n of 50 symbols -> the different ones, by first occurrence."""

    symbols = tuple(map(str, range(1, 51)))
    allowed = 'numbers 1 to 50 joined by spaces'
    join = ' '
    loops_margin = 30

    def answers(self, queries):
        answers = np.full(queries.shape, self.end)
        for answer, query in zip(answers, queries.tolist(), strict=True):
            different = list(dict.fromkeys(query))
            answer[:len(different)] = different
        return answers


LENGTH_TASKS = {'parity': Parity, 'copy': Copy, 'binary_addition': BinaryAddition, 'binary_sum': BinarySum,
                'multiplication': Multiplication, 'unique_set': UniqueSet}
