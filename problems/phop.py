"""p-hop induction (A, Def. A.1 and App. A.1; Sanford et al. 2024, Def. 4.1): sampler, definition, task."""
import string

import numpy as np

from problems.randomness import below, random_words
from problems.task import IGNORE, Batch, Task, check_starts, correct


def sample_phop(key, ids, p: int, length: int, n_letters: int):
    """(B, length + 1): letters whose last position has exactly the sampled chain of p hops, and the answer.

    A, App. A.1: a chain c_0 .. c_p without equal neighbours is laid out from the right. The last letter is
    c_0, and hop t is the pair c_{t-1} c_t; the p pairs keep their order and are spread uniformly. Between the
    pair of hop t and what it refers to, any letter but c_{t-1} may stand; before the leftmost pair, any.
    """
    B, n_free = len(ids), length - 1 - 2 * p
    n16 = (p + 1) + p + length
    r16 = random_words(key, ids, -(-n16 // 4)).view(np.uint16)
    chain16, place16, fill16 = r16[:, :p + 1], r16[:, p + 1:2 * p + 1], r16[:, 2 * p + 1:2 * p + 1 + length]
    steps = 1 + below(chain16, n_letters - 1)
    steps[:, 0] = below(chain16[:, 0], n_letters)
    chain = steps.cumsum(1) % n_letters  # c_0 .. c_p

    # Which of p + n_free slots hold pairs: a uniform subset, by Floyd's algorithm on all rows at once.
    taken, slots, rows = np.zeros((B, p + n_free), bool), np.empty((B, p), np.int64), np.arange(B)
    for i in range(p):
        top = n_free + i
        slot = (place16[:, i].astype(np.int64) * (top + 1)) >> 16
        slots[:, i] = np.where(taken[rows, slot], top, slot)
        taken[rows, slots[:, i]] = True
    slots.sort(1)
    pairs = slots + np.arange(p)  # where each pair starts, from the left

    # What a filler must avoid changes at each pair's second letter: c_{p-1}, .., c_0; before that, nothing.
    left, right = chain[:, p - 1::-1].astype(np.uint8), chain[:, :0:-1].astype(np.uint8)
    bounds = np.concatenate([np.zeros((B, 1), int), pairs + 1, np.full((B, 1), length)], 1)
    regions = np.concatenate([np.zeros((B, 1), np.uint8), left + np.uint8(1)], 1)
    letters = np.repeat(regions.ravel(), np.diff(bounds).ravel()).reshape(B, length)
    letters += below(fill16, n_letters - 1).astype(np.uint8)
    letters = np.minimum(letters, letters - np.uint8(n_letters))  # mod n_letters: uint8 wraps below 0
    free = bounds[:, 1].max()
    prefix = np.arange(free) < bounds[:, 1:2]
    np.copyto(letters[:, :free], below(fill16[:, :free], n_letters), where=prefix, casting='unsafe')

    out = np.empty((B, length + 1), np.uint8)
    out[:, :length] = letters
    flat, starts = out.ravel(), pairs + (np.arange(B) * (length + 1))[:, None]
    flat[starts], flat[starts + 1] = left, right
    out[:, length - 1], out[:, length] = chain[:, 0], chain[:, p]
    return out


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


class PHop(Task):
    """p-hop induction as a task. A set of p puts p before the letters as the first token.

    Vocabulary: the letters, 'none' (a position with fewer than p hops before it), a token for each p.
    supervise='all' scores every position, with hop_p of the prefix that it ends.
    """

    def __init__(self, p=(16,), length=256, n_letters=4, supervise='answer', starts=()):
        if not 2 <= n_letters <= 26:
            raise ValueError(f'n_letters={n_letters}: p-hop takes 2 to 26 letters')
        if not p or min(p) < 1:
            raise ValueError(f'p={p}: p-hop takes one or several p, each at least 1')
        if 2 * max(p) + 1 > length:
            raise ValueError(f'p={max(p)} hops do not fit into length={length}: they take at least '
                             f'{2 * max(p) + 1} letters, so p can be {(length - 1) // 2} at most')
        self.difficulties, self.starts = tuple(p), check_starts(p, starts)
        self.length, self.supervise = length, supervise
        self.letters, self.none, self.several = string.ascii_lowercase[:n_letters], n_letters, len(p) > 1
        self.vocab_size = n_letters + 1 + (len(p) if self.several else 0)
        self.block_size = length + self.several

    def draw(self, key, ids, difficulty):
        out = np.empty((len(ids), self.block_size + 1), np.uint8)
        for p in np.unique(difficulty):
            rows = difficulty == p
            sampled = sample_phop(key[rows], ids[rows], int(p), self.length, len(self.letters))
            out[rows, self.several:] = sampled
            if self.several:
                out[rows, 0] = self.none + 1 + self.difficulties.index(p)
        return out

    def batch(self, rows, supervise):
        tokens = rows[:, :-1].astype(np.int16)
        targets = np.full(tokens.shape, IGNORE, np.int16)
        targets[:, -1] = rows[:, -1]
        if supervise == 'all':
            targets[:, self.several:] = self.hops(tokens)
        return Batch(tokens, targets)

    def hops(self, tokens):
        """hop_p at every letter of tokens (B, T), `none` where there is none."""
        hops = hop(tokens[:, self.several:], self.p_of(tokens), len(self.letters))
        return np.where(hops < 0, self.none, hops)

    def p_of(self, tokens):
        """p of each row (B,), from its first token where there are several."""
        if not self.several:
            return np.full(len(tokens), self.difficulties[0])
        return np.array(self.difficulties)[tokens[:, 0] - self.none - 1]

    def solve(self, prompt: list[int]) -> list[int]:
        return [int(self.hops(np.array([prompt]))[0, -1])]

    def baselines(self, batch: Batch) -> dict:
        """Right or wrong (B,) for shortcuts that do not hop p times: the commonest letter, a single hop."""
        letters = batch.tokens[:, self.several:]
        counts = (letters[:, :, None] == np.arange(len(self.letters))).sum(1)
        one_hop = hop(letters, np.ones(len(letters), int), len(self.letters))[:, -1]
        return {'majority letter': correct(batch, counts.argmax(1)), 'one hop': correct(batch, one_hop)}

    def encode(self, text: str) -> list[int]:
        """'abcab', or with several p '4:abcab' -> tokens. ValueError where it is no such prompt."""
        head, colon, letters = text.rpartition(':')
        if wrong := sorted(set(letters) - set(self.letters)):
            raise ValueError(f'the prompt holds {wrong[0]!r}; its letters are {self.letters}')
        if bool(colon) != self.several or self.several and head not in map(str, self.difficulties):
            form = f'P:LETTERS, P one of {self.difficulties}' if self.several else 'letters alone'
            raise ValueError(f'the prompt should be {form}')
        if not 2 <= len(letters) <= self.length:
            raise ValueError(f'the prompt has {len(letters)} letters; this model takes 2 to {self.length}')
        first = [self.none + 1 + self.difficulties.index(int(head))] if self.several else []
        return first + [self.letters.index(letter) for letter in letters]

    def decode(self, tokens) -> str:
        """Letters as text, '-' for none, 'P:' for a token that gives p."""
        names = [*self.letters, '-'] + [f'{p}:' for p in self.difficulties]
        return ''.join(names[token] for token in tokens)
