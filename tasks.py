"""What a task is, and p-hop induction. Numpy only: batches are made on the CPU, models know nothing of tasks.

Every example is a pure function of (split, seed, number): no generator has a state, so a batch depends on
neither the number of processes nor what was drawn before. An example belongs to the split that the hash of
its tokens says; one that falls into another is drawn again. So the splits are disjoint by construction.
"""
from typing import NamedTuple

import numpy as np

SPLITS = ('train', 'val', 'test')
IGNORE = -1  # a target that is not scored
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Batch(NamedTuple):
    """tokens and targets (B, T), int64; target t is what the model should say after token t, or IGNORE."""
    tokens: np.ndarray
    targets: np.ndarray


def mix(x):
    """The output function of SplitMix64 (Steele et al. 2014) on uint64: neighbours become independent."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def key_of(*numbers: int):
    """One 64-bit key of several non-negative whole numbers."""
    key = np.zeros(1, np.uint64)
    for number in numbers:
        key = mix(key + GOLDEN + np.uint64(number))
    return key


def random_words(key, ids, n_words: int):
    """(len(ids), n_words) random uint64: SplitMix64 as a counter-based generator, a stream for each id."""
    start = mix(key + GOLDEN * ids.astype(np.uint64))
    return mix(start[:, None] + GOLDEN * np.arange(1, n_words + 1, dtype=np.uint64))


def below(random16, bound: int):
    """Random uint16 -> uniform in 0 .. bound - 1 (bound far below 65,536), as uint8."""
    return ((random16.astype(np.uint32) * np.uint32(bound)) >> np.uint32(16)).astype(np.uint8)


def split_of(tokens):
    """The split of each row of tokens (B, T), as an index of SPLITS: 1/16 validation, 1/16 test, by hash."""
    places = mix(GOLDEN * np.arange(1, tokens.shape[1] + 1, dtype=np.uint64)) | np.uint64(1)
    digest = mix((tokens.astype(np.uint64) + np.uint64(1)) @ places) >> np.uint64(60)
    return np.where(digest < 2, digest + np.uint64(1), np.uint64(0)).astype(np.int64)


def train_ids(seed: int, step: int, batch_size: int, train_examples: int, lo: int, hi: int):
    """Numbers of examples lo .. hi - 1 of step's batch: endless, or epochs, each in fresh random order."""
    place = np.arange(step * batch_size + lo, step * batch_size + hi)
    if not train_examples:
        return place
    epochs, within = place // train_examples, place % train_examples
    ids = np.empty_like(place)
    for epoch in np.unique(epochs):
        ids[epochs == epoch] = epoch_order(seed, int(epoch), train_examples)[within[epochs == epoch]]
    return ids


_orders: dict = {}  # the order of the last epoch: 4M numbers take 0.1 s to shuffle, once an epoch


def epoch_order(seed: int, epoch: int, n: int):
    if (seed, epoch, n) not in _orders:
        _orders.clear()
        _orders[seed, epoch, n] = np.random.default_rng([seed, epoch]).permutation(n)
    return _orders[seed, epoch, n]


class Task:
    """Splits and batches; a task adds `draw`, `batch`, `encode`, `decode`, `baselines` and these attributes.

    vocab_size, block_size (tokens in an example), difficulties (evaluated apart), answer_length (tokens after
    the prompt).
    """

    def examples(self, split: str, seed: int, ids, difficulty):
        """The examples `ids` (B,) of a split, of difficulty (B,): prompt and answer, (B, T) uint8."""
        out, todo = None, np.arange(len(ids))
        for attempt in range(1000):
            drawn = self.draw(key_of(SPLITS.index(split), seed, attempt), ids[todo], difficulty[todo])
            out = np.empty((len(ids), drawn.shape[1]), drawn.dtype) if out is None else out
            out[todo] = drawn
            todo = todo[split_of(drawn[:, :-self.answer_length]) != SPLITS.index(split)]
            if not todo.size:
                return out
        raise ValueError(f'no {split} example found: the task has too few distinct problems to be split')

    def train_batch(self, seed: int, step: int, batch_size: int, train_examples=0, lo=0, hi=None) -> Batch:
        """Examples lo .. hi - 1 of step's batch. A fixed set is the same for every seed, its order is not."""
        ids = train_ids(seed, step, batch_size, train_examples, lo, batch_size if hi is None else hi)
        data_seed = 0 if train_examples else seed + 1
        starts = zip(self.difficulties, self.starts, strict=True)
        active = np.array([difficulty for difficulty, start in starts if start <= step])
        chosen = random_words(key_of(data_seed, 77), ids, 1)[:, 0] % np.uint64(len(active))
        examples = self.examples('train', data_seed, ids, active[chosen.astype(np.int64)])
        return self.batch(examples, self.supervise)

    def eval_batch(self, split: str, difficulty, lo: int, hi: int) -> Batch:
        """Examples lo .. hi - 1 of the one set of this split and difficulty; only the answer is scored."""
        ids = np.arange(lo, hi)
        return self.batch(self.examples(split, 0, ids, np.full(hi - lo, difficulty)), 'answer')


class PHop(Task):
    """p-hop induction (A, Def. A.1; Sanford et al. 2024, Def. 4.1) with A's sampler: p hops always exist.

    A set of p puts p before the letters as the first token, and `p_start` gives the step from which each is
    drawn in training. Vocabulary: the letters, 'none' (a position with fewer than p hops before it), a token
    for each p.
    supervise: 'answer' scores the last position; 'all' every position, with hop_p of the prefix that it ends.
    """

    answer_length = 1

    def __init__(self, p=(16,), length=256, n_letters=4, supervise='answer', p_start=()):
        if not 2 <= n_letters <= 26:
            raise ValueError(f'n_letters={n_letters}: p-hop takes 2 to 26 letters')
        if not p or min(p) < 1 or len(set(p)) < len(p):
            raise ValueError(f'p={p}: p-hop takes one or several different p, each at least 1')
        if 2 * max(p) + 1 > length:
            raise ValueError(f'p={max(p)} hops do not fit into length={length}: they take at least '
                             f'{2 * max(p) + 1} letters, so p can be {(length - 1) // 2} at most')
        if p_start and (len(p_start) != len(p) or 0 not in p_start):
            raise ValueError(f'p_start={p_start} needs one step for each of p={p}, and a 0 among them')
        self.difficulties, self.starts = tuple(p), tuple(p_start) or (0,) * len(p)
        self.length, self.n_letters, self.supervise = length, n_letters, supervise
        self.none = n_letters
        self.several = len(p) > 1
        self.vocab_size = n_letters + 1 + (len(p) if self.several else 0)
        self.block_size = length + self.several

    def draw(self, key, ids, difficulty):
        out = np.empty((len(ids), self.block_size + 1), np.uint8)
        for p in np.unique(difficulty):
            rows = difficulty == p
            out[rows, self.several:] = sample_phop(key, ids[rows], int(p), self.length, self.n_letters)
            if self.several:
                out[rows, 0] = self.none + 1 + self.difficulties.index(p)
        return out

    def batch(self, examples, supervise) -> Batch:
        tokens, targets = examples[:, :-1].astype(np.int64), np.full((len(examples), self.block_size), IGNORE)
        targets[:, -1] = examples[:, -1]
        if supervise == 'all':
            hops = hop(tokens[:, self.several:], self.p_of(tokens), self.n_letters)
            targets[:, self.several:] = np.where(hops < 0, self.none, hops)
        return Batch(tokens, targets)

    def p_of(self, tokens):
        """p of each row (B,), from its first token where there are several."""
        if not self.several:
            return np.full(len(tokens), self.difficulties[0])
        return np.array(self.difficulties)[tokens[:, 0] - self.none - 1]

    def solve(self, tokens):
        """The true answers (B, 1) of prompts (B, T), by the definition."""
        hops = hop(tokens[:, self.several:], self.p_of(tokens), self.n_letters)[:, -1:]
        return np.where(hops < 0, self.none, hops)

    def baselines(self, batch: Batch) -> dict:
        """Answers (B,) of shortcuts that do not hop p times: the most frequent letter, and a single hop."""
        letters = batch.tokens[:, self.several:]
        counts = (letters[:, :, None] == np.arange(self.n_letters)).sum(1)
        return {'majority letter': counts.argmax(1),
                'one hop': hop(letters, np.ones(len(letters), int), self.n_letters)[:, -1]}

    def encode(self, text: str):
        """'abcab', or with several p '4:abcab' -> tokens. ValueError where it is no such prompt."""
        head, colon, letters = text.rpartition(':')
        known = 'abcdefghijklmnopqrstuvwxyz'[:self.n_letters]
        if wrong := sorted(set(letters) - set(known)):
            raise ValueError(f'the prompt holds {wrong[0]!r}; its letters are {known}')
        if bool(colon) != self.several or self.several and head not in map(str, self.difficulties):
            form = f'P:LETTERS, P one of {self.difficulties}' if self.several else 'letters alone'
            raise ValueError(f'the prompt should be {form}')
        if not 2 <= len(letters) <= self.length:
            raise ValueError(f'the prompt has {len(letters)} letters; this model takes 2 to {self.length}')
        first = [self.none + 1 + self.difficulties.index(int(head))] if self.several else []
        return first + [known.index(letter) for letter in letters]

    def decode(self, tokens) -> str:
        """Letters as text, '-' for none, 'P:' for a token that gives p."""
        letters = list('abcdefghijklmnopqrstuvwxyz'[:self.n_letters])
        names = letters + ['-'] + [f'{p}:' for p in self.difficulties]
        return ''.join(names[token] for token in tokens)


def sample_phop(key, ids, p: int, length: int, n_letters: int):
    """(B, length + 1): letters whose last position has exactly the sampled chain of p hops, and the answer.

    A, App. A.1: a chain c_0 .. c_p without equal neighbours is laid out from the right. The last letter is
    c_0, and hop t is the pair c_{t-1} c_t; the p pairs keep their order and are spread uniformly. Between the
    pair of hop t and what it refers to, any letter but c_{t-1} may stand; before the leftmost pair, any.
    """
    B, n_free = len(ids), length - 1 - 2 * p
    n16 = (p + 1) + p + 2 * length
    r16 = random_words(key, ids, -(-n16 // 4)).view(np.uint16)
    chain16, place16, fill16 = r16[:, :p + 1], r16[:, p + 1:2 * p + 1], r16[:, 2 * p + 1:2 * p + 1 + length]
    steps = 1 + below(chain16, n_letters - 1)
    steps[:, 0] = below(chain16[:, 0], n_letters)
    chain = steps.cumsum(1) % n_letters  # c_0 .. c_p

    # Which of p + n_free slots hold pairs: a uniform subset, by Floyd's algorithm on all rows at once.
    taken = np.zeros((B, p + n_free), bool)
    rows = np.arange(B)
    for i in range(p):
        top = n_free + i
        slot = (place16[:, i].astype(np.int64) * (top + 1)) >> 16
        taken[rows, np.where(taken[rows, slot], top, slot)] = True
    pairs = np.nonzero(taken)[1].reshape(B, p) + np.arange(p)  # where each pair starts, from the left

    # What a filler must avoid changes at a pair's second letter: c_{p-1}, .., c_0; before that, nothing.
    left, right = chain[:, p - 1::-1].astype(np.uint8), chain[:, :0:-1].astype(np.uint8)
    bounds = np.concatenate([np.zeros((B, 1), int), pairs + 1, np.full((B, 1), length)], 1)
    regions = np.concatenate([np.zeros((B, 1), np.uint8), left], 1)
    avoid = np.repeat(regions.ravel(), np.diff(bounds).ravel()).reshape(B, length)
    letters = avoid + 1 + below(fill16, n_letters - 1)
    letters = np.where(letters >= n_letters, letters - n_letters, letters).astype(np.uint8)
    prefix = np.arange(length) < bounds[:, 1:2]
    letters = np.where(prefix, below(fill16, n_letters), letters)
    np.put_along_axis(letters, pairs, left, 1)
    np.put_along_axis(letters, pairs + 1, right, 1)
    letters[:, -1] = chain[:, 0]
    return np.concatenate([letters, right[:, :1]], 1)


def hop(letters, p, n_letters: int):
    """hop_p at every position of letters (B, n), p (B,): the letter (B, n), or -1 for fewer than p hops.

    A, Def. A.1: find_1(i) = max({0} u {j <= i : v_{j-1} = v_i}), find_p its p-th power, by repeated squaring.
    """
    B, n = letters.shape
    step = np.zeros((B, n + 1), np.int64)  # find_1, positions from 1; 0 means none and stays 0
    places = np.arange(1, n + 1)
    for letter in range(n_letters):
        here = letters == letter
        latest = np.maximum.accumulate(np.where(here, places, 0), 1)
        before = np.concatenate([np.zeros((B, 1), int), latest[:, :-1]], 1)
        step[:, 1:] = np.where(here & (before > 0), before + 1, step[:, 1:])
    found, left = np.broadcast_to(np.arange(n + 1), (B, n + 1)), np.array(p)
    while left.any():
        found = np.where((left % 2 == 1)[:, None], np.take_along_axis(step, found, 1), found)
        left = left // 2
        step = np.take_along_axis(step, step, 1)
    padded = np.concatenate([np.full((B, 1), -1), letters], 1)
    return np.take_along_axis(padded, found, 1)[:, 1:]


TASKS = {
    'phop': lambda c: PHop(c.p, c.length, c.n_letters, c.supervise, c.p_start),
}


def make_task(config) -> Task:
    """The task of a training configuration (any object with its fields)."""
    return TASKS[config.task](config)
