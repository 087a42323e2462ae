"""p-hop induction (Saunshi et al. 2025, Def. A.1 and App. A.1; Sanford et al. 2024, Def. 4.1).
The sampler of sequences with p hops, the definition for any sequence, and the task."""
import string
from dataclasses import dataclass
from typing import Literal

import numpy as np

from problems.randomness import below, random_16
from problems.task import IGNORE, Batch, Task, correct


def sample_phop(key, ids, p: int, length: int, n_letters: int):
    """(B, length + 1): letters whose last position has exactly the sampled chain of p hops, and the answer.
    Saunshi et al. 2025, App. A.1: a chain c_0 .. c_p without equal neighbours is laid out from the right. The
    last letter is c_0, hop t the pair c_{t-1} c_t. The pairs keep their order and are spread uniformly."""
    B = len(ids)
    random16 = random_16(key, ids, 2 * p + 1 + length)
    chain16, place16, filler16 = np.split(random16, [p + 1, 2 * p + 1], axis=1)

    chain = draw_chain(chain16, n_letters)  # (B, p + 1)
    left = chain[:, p - 1::-1]              # (B, p), first letters of the pairs: c_{p-1} .. c_0
    right = chain[:, :0:-1]                 # (B, p), their second letters: c_p .. c_1
    pairs = draw_places(place16, length)    # (B, p), where each starts

    rows = np.arange(B)[:, None]
    out = np.empty((B, length + 1), np.uint8)
    out[:, :length] = draw_fillers(filler16, left, pairs, n_letters)
    out[rows, pairs] = left
    out[rows, pairs + 1] = right
    out[:, length - 1] = chain[:, 0]
    out[:, length] = chain[:, p]
    return out


def draw_chain(random16, n_letters: int):
    """Letters c_0 .. c_p (B, p + 1) uint8, uniform among chains without equal neighbours."""
    steps = 1 + below(random16, n_letters - 1)
    steps[:, 0] = below(random16[:, 0], n_letters)
    return (steps.cumsum(1) % n_letters).astype(np.uint8)


def draw_places(random16, length: int):
    """Where each of p pairs starts, from the left (B, p), uniform among places that do not overlap.
    A pair or a free letter takes one slot; those of pairs are a uniform subset, by Floyd's algorithm."""
    B, p = random16.shape
    n_free = length - 1 - 2 * p
    taken = np.zeros((B, n_free + p), bool)
    slots = np.empty((B, p), np.int64)
    rows = np.arange(B)

    # the i-th pair takes one of slots 0 .. last, and `last` itself where another has that one
    for i in range(p):
        last = n_free + i
        slot = below(random16[:, i], last + 1).astype(np.int64)
        slot = np.where(taken[rows, slot], last, slot)
        taken[rows, slot] = True
        slots[:, i] = slot
    slots.sort(1)
    return slots + np.arange(p)


def draw_fillers(random16, left, pairs, n_letters: int):
    """A letter for every position (B, length), where pairs are not written yet, that lengthens no chain.
    Between the pair of hop t and what it refers to, any letter but c_{t-1} may stand; before the leftmost
    pair, any. So what a filler must avoid changes at each pair's second letter: c_{p-1}, .., c_0."""
    B, length = random16.shape

    # regions of equal letters, one above the letter that must be avoided; the leftmost avoids none
    zero = np.zeros((B, 1), np.uint8)
    end = np.full((B, 1), length)
    bounds = np.concatenate([zero, pairs + 1, end], axis=1)   # (B, p + 2)
    above_avoided = np.concatenate([zero, left + 1], axis=1)  # (B, p + 1)
    letters = np.repeat(above_avoided, np.diff(bounds).ravel()).reshape(B, length)

    # steps from there lead to every other letter; uint8 below 0 is large, so the minimum is the remainder
    letters += below(random16, n_letters - 1).astype(np.uint8)
    letters = np.minimum(letters, letters - n_letters)

    # the leftmost region
    ends = bounds[:, 1:2]
    longest = ends.max()
    is_leftmost = np.arange(longest) < ends
    free = below(random16[:, :longest], n_letters)
    np.copyto(letters[:, :longest], free, where=is_leftmost, casting='unsafe')
    return letters


def hop(letters, p, n_letters: int):
    """hop_p at every position of letters (B, n), p (B,): the letter (B, n), or -1 for fewer than p hops.
    Saunshi et al. 2025, Def. A.1: find_p is the p-th power of find_1, here by repeated squaring."""
    power = find_1(letters, n_letters)  # (B, n + 1)
    found = np.broadcast_to(np.arange(power.shape[1]), power.shape)
    hops_left = np.array(p)[:, None]

    # p in binary: the powers 1, 2, 4, .. of find_1 that it holds, one after the other
    while hops_left.any():
        hopped = np.take_along_axis(power, found, 1)
        found = np.where(hops_left % 2 == 1, hopped, found)
        hops_left = hops_left // 2
        power = np.take_along_axis(power, power, 1)

    none = np.full((len(letters), 1), -1)
    letters_from_0 = np.concatenate([none, letters], axis=1)  # (B, n + 1)
    return np.take_along_axis(letters_from_0, found[:, 1:], 1)


def find_1(letters, n_letters: int):
    """find_1(i) = max({0} u {j <= i : v_{j-1} = v_i}), positions counted from 1, (B, n + 1); 0 means none."""
    B, n = letters.shape
    positions = np.arange(1, n + 1)
    latest = np.zeros((B, n + 1), np.int64)
    before = latest[:, :-1]
    out = np.zeros_like(latest)

    for letter in range(n_letters):
        is_letter = letters == letter
        seen = np.where(is_letter, positions, 0)
        np.maximum.accumulate(seen, axis=1, out=latest[:, 1:])  # where it stood last, up to each position
        np.copyto(out[:, 1:], before + 1, where=is_letter & (before > 0))
    return out


@dataclass(kw_only=True, eq=False)
class PHop(Task):
    """p-hop induction as a task. Tokens: the letters, 'none' (fewer than p hops), and one for each p.
    Where there are several p, the first token of a sequence says its p."""

    p: tuple[int, ...] = (16,)              # hops; of several, each is drawn equally and given as first token
    length: int = 256                       # letters in a sequence
    n_letters: int = 4                      # size of the alphabet
    supervise: Literal['answer', 'all'] = 'answer'  # where the loss is; all: hop_p of every prefix as well
    difficulty_start: tuple[int, ...] = ()  # the step from which each p is drawn
    train_examples: int = 0                 # size of a fixed training set; 0 draws fresh examples for ever

    def __post_init__(self):
        if not 2 <= self.n_letters <= 26:
            raise ValueError(f'n_letters={self.n_letters}: p-hop takes 2 to 26 letters')
        if not self.p or min(self.p) < 1:
            raise ValueError(f'p={self.p}: p-hop takes one or several p, each at least 1')
        most = max(self.p)
        possible = (self.length - 1) // 2
        if most > possible:
            raise ValueError(f'p={most} hops do not fit into length={self.length}: they take at least '
                             f'{2 * most + 1} letters, so p can be {possible} at most')

        self.set_difficulties('p', self.p)
        self.n_prefix = 1 if len(self.p) > 1 else 0  # tokens before the letters: p, where there are several
        self.letters = string.ascii_lowercase[:self.n_letters]
        self.none = self.n_letters
        self.first_p = self.none + 1
        self.vocab_size = self.first_p + self.n_prefix * len(self.p)
        self.block_size = self.n_prefix + self.length

    def draw(self, key, ids, difficulty):
        out = self.new_rows(len(ids))
        for p in np.unique(difficulty).tolist():
            rows = difficulty == p
            if self.n_prefix:
                out[rows, 0] = self.token_of(p)
            out[rows, self.n_prefix:] = sample_phop(key[rows], ids[rows], p, self.length, self.n_letters)
        return out

    def batch(self, rows, supervise):
        tokens = rows[:, :-1].astype(np.int16)
        targets = np.full(tokens.shape, IGNORE, np.int16)
        if supervise == 'all':
            targets[:, self.n_prefix:] = self.hops(tokens)
        targets[:, -1] = rows[:, -1]
        return Batch(tokens, targets)

    def hops(self, tokens):
        """hop_p at every letter of tokens (B, T), `none` where there is none."""
        hops = hop(tokens[:, self.n_prefix:], self.p_of(tokens), self.n_letters)
        return np.where(hops < 0, self.none, hops)

    def token_of(self, p: int) -> int:
        """The token that says p, where there are several."""
        return self.first_p + self.p.index(p)

    def p_of(self, tokens):
        """p of each row (B,), from its first token where there are several."""
        known = np.array(self.p)
        return known[tokens[:, 0] - self.first_p] if self.n_prefix else np.tile(known, len(tokens))

    def solve(self, prompt: list[int]) -> list[int]:
        return self.hops(np.array([prompt]))[0, -1:].tolist()

    def baselines(self, batch: Batch) -> dict:
        """Right or wrong (B,) for shortcuts that do not hop p times: the commonest letter, a single hop."""
        letters = batch.tokens[:, self.n_prefix:]
        is_letter = letters[:, :, None] == np.arange(self.n_letters)  # (B, length, n_letters)
        commonest = is_letter.sum(1).argmax(1)
        one_hop = hop(letters, np.ones(len(letters), int), self.n_letters)[:, -1]
        return {'majority letter': correct(batch, commonest), 'one hop': correct(batch, one_hop)}

    def encode(self, text: str) -> list[int]:
        """'abcab', or with several p '4:abcab' -> tokens. ValueError where it is no such prompt."""
        head, colon, letters = text.rpartition(':')
        unknown = sorted(set(letters) - set(self.letters))
        if unknown:
            raise ValueError(f'the prompt holds {unknown[0]!r}; its letters are {self.letters}')
        if not self.n_prefix and colon:
            raise ValueError('the prompt should be letters alone')
        if self.n_prefix and head not in map(str, self.p):
            raise ValueError(f'the prompt should be P:LETTERS, P one of {self.p}')
        if not 2 <= len(letters) <= self.length:
            raise ValueError(f'the prompt has {len(letters)} letters; this model takes 2 to {self.length}')

        prefix = [self.token_of(int(head))] if self.n_prefix else []
        return prefix + [self.letters.index(letter) for letter in letters]

    def decode(self, tokens) -> str:
        """Letters as text, '-' for none, 'P:' for a token that gives p."""
        names = [*self.letters, '-', *(f'{p}:' for p in self.p)]
        return ''.join(names[token] for token in tokens)
