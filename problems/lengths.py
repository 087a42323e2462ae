"""The six tasks of Fan et al. 2025: problems of a length n that take T(n) iterations.

    parity 1011>##       copy 101>####        binary_addition 10+11>####

A row is the query, '>' (end of query), perhaps pause tokens, and the answer (Sec. 2.2 and 6.1.1). Full-answer
prediction (fap) gives EOS, '#', in place of the answer and reads all of it in one go, from '>' on; next-token
prediction (ntp) gives the answer. Scored are the answer and the EOS after it, N_EOS of them in fap, one in
ntp. Lengths and symbols are uniform and every batch is fresh: at lengths of few problems, up to about 2^20,
test problems have been seen in training; at lengths beyond max_length none has.
"""
import itertools
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from problems.randomness import below, key_of, random_words
from problems.task import IGNORE, SPLITS, Batch, Task

N_EOS = 2  # scored after a full answer; the paper does not state how many
LENGTH_MAX = 1000
PAUSE_MAX = 1000


@dataclass(kw_only=True, eq=False)
class LengthTask(Task):
    """What the six share. A subclass gives symbols, answers, and what is not as in copying n symbols.

    The difficulty is the length n; length l joins at step (l - 1) * interval (Fan et al. 2025, Table 2).
    """

    max_length: int = 19                 # longest problem in training
    test_lengths: tuple[int, ...] = ()   # lengths tested (default: those of training)
    interval: int = 1000                 # steps until the next length joins
    answer: Literal['fap', 'ntp'] = 'fap'  # full-answer or next-token prediction
    pause_tokens: int = 0                # between query and answer
    adaptive_loops: bool = False         # fap: each sample is looped T(n) times

    # what a subclass changes
    symbols = ('0', '1')
    join = ''  # between the symbols of a text
    fixed_size = False
    forms = 1  # queries of one length that differ in their layout, equally likely

    def __post_init__(self):
        self.check_options()
        self.difficulties = tuple(range(1, self.max_length + 1))
        self.starts = tuple(self.interval * n_shorter for n_shorter in range(self.max_length))
        self.test_difficulties = tuple(self.test_lengths) or self.difficulties
        self.full_answer = self.answer == 'fap'

        self.words = [*self.symbols, '>', '#', '.', '_']
        self.eoq = self.words.index('>')
        self.end = self.words.index('#')
        self.pause = self.words.index('.')
        self.pad = self.words.index('_')
        self.vocab_size = self.pad  # padding stands in rows only

        longest = max(self.max_length, *self.test_difficulties)
        self.row_size = sum(self.sizes(longest)) + 2
        self.n_eos = N_EOS if self.full_answer else 1
        more_eos = self.n_eos - 1
        self.block_size = self.row_size - 1 + self.pause_tokens + more_eos

    def check_options(self):
        """ValueError names the options and what would do."""
        lengths = (self.max_length, *self.test_lengths)
        if min(lengths) < 1 or max(lengths) > LENGTH_MAX:
            raise ValueError(f'max_length={self.max_length}, test_lengths={self.test_lengths}: '
                             f'lengths are 1 to {LENGTH_MAX}')
        if self.interval < 0:
            raise ValueError(f'interval={self.interval} must not be negative')
        if not 0 <= self.pause_tokens <= PAUSE_MAX:
            raise ValueError(f'pause_tokens={self.pause_tokens} must be 0 to {PAUSE_MAX}')
        if self.adaptive_loops and self.answer == 'ntp':
            raise ValueError('adaptive_loops goes with answer=fap: in ntp all tokens take one loop count')

    def evaluated(self, split: str) -> tuple:
        """Validation looks at four of the trained lengths, the longest among them."""
        if split == 'test':
            return self.test_difficulties
        distance = max(1, self.max_length // 3)
        downwards = self.difficulties[::-1][::distance]
        return downwards[::-1]

    def sizes(self, n: int) -> tuple[int, int]:
        """Tokens of the longest query and answer of length n."""
        return n, n

    def queries(self, random16, n: int, form: int):
        """(B, tokens) of uniform symbols, from random uint16 (B, at least as many)."""
        return below(random16[:, :n], len(self.symbols))

    def answers(self, queries):
        """(B, tokens) of the answers, `end` where one is shorter than another."""
        raise NotImplementedError

    def steps(self, rows):
        """T(n) of each row (B,)."""
        return (rows == self.eoq).argmax(1)

    def examples(self, split: str, seed: int, ids, difficulty):
        """Fresh draws: rows (B, row_size) of query, '>', answer, '#' and padding."""
        key = key_of(SPLITS.index(split), seed)
        n_words = -(-self.row_size // 4) + 1
        words = random_words(key, ids, n_words)
        form_of = words[:, -1] % self.forms  # (B,)

        size = (len(ids), self.row_size)
        out = np.empty(size, np.uint8)
        lengths = np.unique(difficulty).tolist()
        for n, form in itertools.product(lengths, range(self.forms)):
            is_chosen = (difficulty == n) & (form_of == form)
            chosen = is_chosen.nonzero()[0]
            if chosen.size:
                random16 = words[chosen].view(np.uint16)
                queries = self.queries(random16, n, form)
                answers = self.answers(queries)
                out[chosen] = self.rows(queries, answers)
        return out

    def rows(self, queries, answers):
        """Query, '>', answer, '#', padding: (B, row_size)."""
        B = len(queries)
        eoq = np.full((B, 1), self.eoq)
        end = np.full((B, 1), self.end)

        # one `end` after each answer, however long the others are
        answers = np.concatenate([answers, end], axis=1)
        n_ends = np.cumsum(answers == self.end, axis=1)
        answers[n_ends > 1] = self.pad

        rows = np.concatenate([queries, eoq, answers], axis=1)
        out = np.full((B, self.row_size), self.pad)
        out[:, :rows.shape[1]] = rows
        return out

    def batch(self, rows, supervise='answer'):
        """As wide as the longest of these rows needs; the loops of each where they are adaptive."""
        rows = rows.astype(np.int16)
        last = rows.shape[1] - 1
        eoq = (rows == self.eoq).argmax(1)[:, None]      # (B, 1), its place
        n_filled = (rows != self.pad).sum(1)[:, None]    # (B, 1)
        n_answer = n_filled - eoq - 1                    # its '#' included
        n_scored = n_answer + self.n_eos - 1
        start = eoq + self.pause_tokens                  # of the token that predicts the answer's first
        T = (start + n_scored).max()
        t = np.arange(T)
        place = t - start                                # (B, T), in the answer

        # the row, with the pause after '>'
        behind = np.clip(t - self.pause_tokens, eoq, last)
        source = np.where(t <= eoq, t, behind)
        tokens = np.take_along_axis(rows, source, 1)
        tokens[(t > eoq) & (place <= 0)] = self.pause
        if self.full_answer:
            tokens[place > 0] = self.end
        tokens[tokens == self.pad] = self.end

        # the answer, then '#'
        source = np.clip(eoq + 1 + place, 0, last)
        targets = np.take_along_axis(rows, source, 1)
        targets[place >= n_answer] = self.end
        targets[(place < 0) | (place >= n_scored)] = IGNORE
        loops = self.steps(rows) if self.adaptive_loops else None
        return Batch(tokens, targets, loops)

    def solve(self, prompt: list[int]) -> list[int]:
        query = prompt[:prompt.index(self.eoq)]
        answer = self.answers(np.array([query]))[0]
        answer = answer[answer != self.end]
        return [*answer.tolist(), self.end]

    def baselines(self, batch: Batch) -> dict:
        """Always the commonest answer of these examples."""
        answers = []
        for row in batch.targets:
            answer = row[row != IGNORE]
            answers.append(answer.tobytes())
        commonest, _ = Counter(answers).most_common(1)[0]
        right = [answer == commonest for answer in answers]
        return {'majority answer': np.array(right)}

    def encode(self, text: str) -> list[int]:
        """'1011', with or without '>' -> the query, '>' and pause tokens. ValueError where it is none."""
        text = text.removesuffix('>').strip()
        words = text.split(self.join) if self.join else list(text)
        unknown = [word for word in words if word not in self.symbols]
        if unknown:
            raise ValueError(f'the prompt holds {unknown[0]!r}; possible are {self.allowed()}')
        self.check_query(words)
        query = [self.words.index(word) for word in words]
        pause = [self.pause] * self.pause_tokens
        return [*query, self.eoq, *pause]

    def check_query(self, words: list[str]):
        """ValueError where the symbols make no query."""
        if not words:
            raise ValueError('the prompt is empty')

    def allowed(self) -> str:
        """The symbols, for an error."""
        return ' and '.join(self.symbols)

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
    """Two binary numbers a and b joined by a sign, the third of the symbols."""

    SIGN = 2

    def split(self, queries):
        """a and b (B, bits); the sign stands at the same place in every row."""
        place = (queries[0] == self.SIGN).argmax()
        a = queries[:, :place]
        b = queries[:, place + 1:]
        return a, b

    def joined(self, a, b):
        sign = np.full((len(a), 1), self.SIGN)
        return np.concatenate([a, sign, b], axis=1)

    def check_query(self, words):
        sign = self.symbols[self.SIGN]
        ends = words[:1] + words[-1:]
        if words.count(sign) != 1 or sign in ends:
            raise ValueError(f'the prompt should be two binary numbers joined by {sign}, such as 10{sign}11')


def add_bits(a, b):
    """The sum of a and b (B, n), least significant bit first, in n + 1 bits."""
    B = len(a)
    n = a.shape[1]
    size = (B, n + 1)
    out = np.empty(size, np.int64)
    carry = np.zeros(B, np.int64)
    for place in range(n):
        total = a[:, place] + b[:, place]
        total = total + carry
        out[:, place] = total % 2
        carry = total // 2
    out[:, n] = carry
    return out


class BinaryAddition(Operation):
    """Two numbers of n bits -> their sum in n + 1 bits, most significant first, leading 0 kept."""

    symbols = ('0', '1', '+')

    def sizes(self, n):
        return 2 * n + 1, n + 1

    def queries(self, random16, n, form):
        bits = below(random16[:, :2 * n], 2)
        a = bits[:, :n]
        b = bits[:, n:]
        return self.joined(a, b)

    def answers(self, queries):
        a, b = self.split(queries)
        a = a[:, ::-1]  # the least significant bit first
        b = b[:, ::-1]
        return add_bits(a, b)[:, ::-1]

    def steps(self, rows):
        return (rows == self.SIGN).argmax(1)

    def check_query(self, words):
        super().check_query(words)
        n_first = words.index('+')
        n_second = len(words) - n_first - 1
        if n_first != n_second:
            raise ValueError(f'the operands have {n_first} and {n_second} bits; they must be equally long')


class BinarySum(LengthTask):
    """n bits -> how many of them are 1, in binary, least significant bit first, without leading zeros.

    The paper does not state the order; its code writes the least significant bit first.
    """

    def sizes(self, n):
        return n, n.bit_length()

    def answers(self, queries):
        n = queries.shape[1]
        count = queries.sum(1, keepdims=True, dtype=np.int64)  # (B, 1)
        places = np.arange(n.bit_length())
        rest = count >> places
        written = (rest > 0) | (places == 0)
        return np.where(written, rest & 1, self.end)


class Multiplication(Operation):
    """a of 1 or 2 bits times b of n bits -> the product in as many bits as both have; T = bits of a * n.

    Operands and product have the least significant bit first, as in the paper's code; the paper does not
    state it.
    """

    symbols = ('0', '1', '*')
    forms = 2  # the bits of a, less 1

    def sizes(self, n):
        return n + 3, n + 2

    def queries(self, random16, n, form):
        n_first = form + 1
        bits = below(random16[:, :n_first + n], 2)
        a = bits[:, :n_first]
        b = bits[:, n_first:]
        return self.joined(a, b)

    def answers(self, queries):
        a, b = self.split(queries)
        n_first = a.shape[1]
        if n_first > 2:
            raise ValueError(f'the first number has {n_first} bits; 1 or 2 are possible')

        B = len(b)
        n = b.shape[1]
        size = (B, n + 1)
        once = np.zeros(size, np.int64)
        twice = np.zeros(size, np.int64)
        once[:, :-1] = b * a[:, :1]
        if n_first == 2:
            twice[:, 1:] = b * a[:, 1:]
        product = add_bits(once, twice)
        return product[:, :n_first + n]

    def steps(self, rows):
        n_first = (rows == self.SIGN).argmax(1)
        eoq = (rows == self.eoq).argmax(1)
        return n_first * (eoq - n_first - 1)


class UniqueSet(LengthTask):
    """n of 50 symbols -> the different ones, by first occurrence."""

    symbols = tuple(map(str, range(1, 51)))
    join = ' '

    def answers(self, queries):
        n = queries.shape[1]
        is_first = np.ones(queries.shape, bool)
        for place in range(1, n):
            before = queries[:, :place]
            symbol = queries[:, place:place + 1]
            is_first[:, place] = (before != symbol).all(1)

        # first occurrences move to the left, in order
        order = (~is_first).argsort(1, kind='stable')
        packed = np.take_along_axis(queries, order, 1)
        n_different = is_first.sum(1, keepdims=True)
        written = np.arange(n) < n_different
        return np.where(written, packed, self.end)

    def allowed(self):
        return 'numbers 1 to 50 joined by spaces'


LENGTH_TASKS = {
    'parity': Parity,
    'copy': Copy,
    'binary_addition': BinaryAddition,
    'binary_sum': BinarySum,
    'multiplication': Multiplication,
    'unique_set': UniqueSet,
}
