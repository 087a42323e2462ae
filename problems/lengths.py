"""B's six tasks: problems of a length n that take T(n) iterations, as full-answer or next-token prediction.

    parity 1011>##       copy 101>####        binary_addition 10+11>####

A row is the query, '>' (end of query), perhaps pause tokens, and the answer (B, Sec. 2.2 and 6.1.1).
Full-answer prediction (fap) gives EOS, '#', in place of the answer and reads all of it in one go, from '>'
on; next-token prediction (ntp) gives the answer. Scored are the answer and the EOS after it, N_EOS of them in
fap, one in ntp. Lengths and symbols are uniform and every batch is fresh: at lengths of few problems, up to
about 2^20, test problems have been seen in training; at lengths beyond max_length none has.
"""
import numpy as np

from problems.randomness import below, key_of, random_words
from problems.task import IGNORE, SPLITS, Batch, Task

N_EOS = 2  # scored after a full answer; the paper does not state how many


class LengthTask(Task):
    """What the six share. A subclass gives symbols, answers, and what is not as in copying n symbols.

    The difficulty is the length n; length l joins at step (l - 1) * interval (B, Table 2).
    """

    symbols, join = ['0', '1'], ''
    fixed_size = False
    forms = 1  # queries of one length that differ in their layout, equally likely

    def __init__(self, max_length=19, test_lengths=(), interval=1000, answer='fap', pause_tokens=0,
                 adaptive_loops=True):
        if max_length < 1 or min(test_lengths, default=1) < 1 or max((max_length, *test_lengths)) > 1000:
            raise ValueError(f'max_length={max_length}, test_lengths={test_lengths}: lengths are 1 to 1000')
        if interval < 0 or not 0 <= pause_tokens <= 1000:
            raise ValueError(f'interval={interval}, pause_tokens={pause_tokens} must not be negative')
        if adaptive_loops and answer == 'ntp':
            raise ValueError('adaptive_loops goes with answer=fap: in ntp all tokens take one loop count')
        self.difficulties = tuple(range(1, max_length + 1))
        self.starts = tuple(interval * (length - 1) for length in self.difficulties)
        self.test_difficulties = tuple(test_lengths) or self.difficulties
        self.full_answer = answer == 'fap'
        self.pause_tokens, self.adaptive_loops = pause_tokens, adaptive_loops
        self.supervise = 'answer'
        self.words = [*self.symbols, '>', '#', '.', '_']
        self.eoq, self.end, self.pause, self.pad = (self.words.index(word) for word in '>#._')
        self.vocab_size = self.pad  # padding stands in rows only
        longest = max(*self.difficulties, *self.test_difficulties)
        self.row_size = sum(self.sizes(longest)) + 2
        self.block_size = self.row_size - 1 + pause_tokens + (N_EOS - 1) * self.full_answer

    def evaluated(self, split: str) -> tuple:
        """Validation looks at four of the trained lengths, the longest among them."""
        if split == 'test':
            return self.test_difficulties
        return self.difficulties[::-1][::max(1, len(self.difficulties) // 3)][::-1]

    def sizes(self, n: int) -> tuple[int, int]:
        """Tokens of the longest query and answer of length n."""
        return n, n

    def queries(self, words, n: int, form: int):
        """(B, tokens) of uniform symbols, from random uint16 words (B, at least as many)."""
        return below(words[:, :n], len(self.symbols))

    def answers(self, queries):
        """(B, tokens) of the answers, `end` where one is shorter than another."""
        raise NotImplementedError

    def steps(self, rows):
        """T(n) of each row (B,)."""
        return (rows == self.eoq).argmax(1)

    def examples(self, split: str, seed: int, ids, difficulty):
        """Fresh draws: rows (B, row_size) of query, '>', answer, '#' and padding."""
        out = np.full((len(ids), self.row_size), self.pad, np.uint8)
        words = random_words(key_of(SPLITS.index(split), seed), ids, -(-self.row_size // 4) + 1)
        form = words[:, -1] % np.uint64(self.forms)
        for n, kind in sorted(set(zip(difficulty.tolist(), form.tolist(), strict=True))):
            chosen = np.nonzero((difficulty == n) & (form == kind))[0]
            queries = self.queries(words[chosen].view(np.uint16), n, kind)
            out[chosen] = self.rows(queries, self.answers(queries))
        return out

    def rows(self, queries, answers):
        """Query, '>', answer, '#', padding."""
        size, ends = queries.shape[1], np.full((len(queries), 1), self.end)
        answers = np.concatenate([answers, ends], 1)
        out = np.full((len(queries), self.row_size), self.pad)
        out[:, :size], out[:, size] = queries, self.eoq
        after_end = np.cumsum(answers == self.end, 1) > 1
        out[:, size + 1:size + 1 + answers.shape[1]] = np.where(after_end, self.pad, answers)
        return out

    def batch(self, rows, supervise='answer'):
        """As wide as the longest of these rows needs; the loops of each where they are adaptive."""
        rows = rows.astype(np.int16)
        eoq = (rows == self.eoq).argmax(1)[:, None]
        n_answer = (rows != self.pad).sum(1, keepdims=True) - eoq - 1  # its '#' included
        n_scored = n_answer + (N_EOS - 1) * self.full_answer
        t = np.arange((eoq + self.pause_tokens + n_scored).max())
        place = t - eoq - self.pause_tokens  # in the answer
        source = np.where(t <= eoq, t, np.clip(t - self.pause_tokens, eoq, rows.shape[1] - 1))
        tokens = np.take_along_axis(rows, source, 1)
        tokens = np.where((t > eoq) & (place <= 0), self.pause, tokens)
        if self.full_answer:
            tokens = np.where(place > 0, self.end, tokens)
        following = np.take_along_axis(rows, np.clip(eoq + 1 + place, 0, rows.shape[1] - 1), 1)
        targets = np.where(place < n_answer, following, self.end)
        targets = np.where((place >= 0) & (place < n_scored), targets, IGNORE)
        tokens = np.where(tokens == self.pad, self.end, tokens)
        loops = self.steps(rows) if self.adaptive_loops else None
        return Batch(tokens, targets, loops)

    def solve(self, prompt: list[int]) -> list[int]:
        queries = np.array([prompt])[:, :prompt.index(self.eoq)]
        return [token for token in self.answers(queries)[0].tolist() if token != self.end] + [self.end]

    def baselines(self, batch: Batch) -> dict:
        """Always the commonest answer of these examples."""
        answers = [row[row != IGNORE].tobytes() for row in batch.targets]
        commonest = max(set(answers), key=answers.count)
        return {'majority answer': np.array([answer == commonest for answer in answers])}

    def encode(self, text: str) -> list[int]:
        """'1011', with or without '>' -> the query, '>' and pause tokens. ValueError where it is none."""
        text = text.removesuffix('>').strip()
        words = text.split(self.join) if self.join else list(text)
        if wrong := [word for word in words if word not in self.symbols]:
            raise ValueError(f'the prompt holds {wrong[0]!r}; possible are {self.allowed()}')
        self.check_query(words)
        return [self.words.index(word) for word in words] + [self.eoq] + [self.pause] * self.pause_tokens

    def check_query(self, words: list[str]):
        if not words:
            raise ValueError('the prompt is empty')

    def allowed(self) -> str:
        return ' and '.join(self.symbols)

    def decode(self, tokens) -> str:
        """Text, up to and without the first '#'."""
        words = [self.words[token] for token in tokens]
        words = words[:words.index('#')] if '#' in words else words
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
    """Two binary numbers a and b joined by a sign."""

    def __init__(self, *args, **more):
        self.symbols = ['0', '1', self.sign]
        super().__init__(*args, **more)

    def split(self, queries):
        """a and b (B, bits); the sign stands at the same place in every row."""
        at = (queries[0] == 2).argmax()
        return queries[:, :at], queries[:, at + 1:]

    def joined(self, a, b):
        return np.concatenate([a, np.full((len(a), 1), 2), b], 1)

    def check_query(self, words):
        if words.count(self.sign) != 1 or self.sign in (words[:1] + words[-1:]):
            raise ValueError(f'the prompt should be two binary numbers joined by {self.sign}, such as '
                             f'10{self.sign}11')


def add_bits(a, b):
    """The sum of a and b (B, n), least significant bit first, in n + 1 bits."""
    out, carry = np.zeros((len(a), a.shape[1] + 1), np.int64), 0
    for place in range(a.shape[1]):
        total = a[:, place] + b[:, place].astype(np.int64) + carry
        out[:, place], carry = total % 2, total // 2
    out[:, -1] = carry
    return out


class BinaryAddition(Operation):
    """Two numbers of n bits -> their sum in n + 1 bits, most significant first, leading 0 kept."""

    sign = '+'

    def sizes(self, n):
        return 2 * n + 1, n + 1

    def queries(self, words, n, form):
        bits = below(words[:, :2 * n], 2)
        return self.joined(bits[:, :n], bits[:, n:])

    def answers(self, queries):
        a, b = self.split(queries)
        return add_bits(a[:, ::-1], b[:, ::-1])[:, ::-1]

    def steps(self, rows):
        return (rows == 2).argmax(1)

    def check_query(self, words):
        super().check_query(words)
        sizes = [len(number) for number in ''.join(words).split('+')]
        if sizes[0] != sizes[1]:
            raise ValueError(f'the operands have {sizes[0]} and {sizes[1]} bits; they must be equally long')


class BinarySum(LengthTask):
    """n bits -> how many of them are 1, in binary, least significant bit first, without leading zeros.

    The paper does not state the order; B's code writes the least significant bit first.
    """

    def sizes(self, n):
        return n, n.bit_length()

    def answers(self, queries):
        count = queries.sum(1, keepdims=True, dtype=np.int64)
        places = np.arange(queries.shape[1].bit_length())
        return np.where((count >> places > 0) | (places == 0), count >> places & 1, self.end)


class Multiplication(Operation):
    """a of 1 or 2 bits times b of n bits -> the product in as many bits as both have; T = bits of a * n.

    Operands and product have the least significant bit first, as in B's code; the paper does not state it.
    """

    sign, forms = '*', 2

    def sizes(self, n):
        return n + 3, n + 2

    def queries(self, words, n, form):
        bits = below(words[:, :n + form + 1], 2)
        return self.joined(bits[:, :form + 1], bits[:, form + 1:])

    def answers(self, queries):
        a, b = self.split(queries)
        if a.shape[1] > 2:
            raise ValueError(f'the first number has {a.shape[1]} bits; 1 or 2 are possible')
        once = np.pad(a[:, :1] * b, ((0, 0), (0, 1)))
        twice = np.pad(a[:, 1:2] * b, ((0, 0), (1, 0))) if a.shape[1] == 2 else np.zeros_like(once)
        return add_bits(once, twice)[:, :a.shape[1] + b.shape[1]]

    def steps(self, rows):
        sign = (rows == 2).argmax(1)
        return sign * ((rows == self.eoq).argmax(1) - sign - 1)


class UniqueSet(LengthTask):
    """n of 50 symbols -> the different ones, by first occurrence."""

    symbols, join = [str(number) for number in range(1, 51)], ' '

    def answers(self, queries):
        first = np.ones(queries.shape, bool)
        for place in range(1, queries.shape[1]):
            first[:, place] = (queries[:, :place] != queries[:, place:place + 1]).all(1)
        order = (~first).argsort(1, kind='stable')
        packed = np.take_along_axis(queries, order, 1)
        return np.where(np.arange(queries.shape[1]) < first.sum(1, keepdims=True), packed, self.end)

    def allowed(self):
        return 'numbers 1 to 50 joined by spaces'


LENGTH_TASKS = {'parity': Parity, 'copy': Copy, 'binary_addition': BinaryAddition, 'binary_sum': BinarySum,
                'multiplication': Multiplication, 'unique_set': UniqueSet}
