"""n-RASP-L programs as numpy (B, Sec. 3 and App. A): what a Transformer block could do, looped T(n) times.

A program takes a sequence of tokens, query, '>' and EOS, and returns one of the same length: answer and EOS
from '>' on; what stands before is not looked at. Core operations are elementwise functions and one causal
attention, kqv; positions are compared and counted, never calculated with (Zhou et al. 2024). Steps are
straight-line code.
"""
import numpy as np


class Tokens:
    """The numbers of the signs in a task's vocabulary."""

    def __init__(self, words: list[str]):
        self.number = {word: i for i, word in enumerate(words)}
        self.eoq, self.eos = self.number['>'], self.number['#']


# --- core operations: sequences are (T,)

def full(x, value):
    """`value` at every position."""
    return np.full(len(x), value)


def indices(x):
    return np.arange(len(x))


def select(k, q, predicate):
    """Causal attention pattern (T, T): query i looks at key j where j <= i and predicate(k_j, q_i)."""
    return predicate(k[None, :], q[:, None]) & np.tri(len(k), dtype=bool)


def kqv(k, q, v, predicate, default=0):
    """The mean, rounded down, of v where the query looks; `default` where it looks nowhere."""
    pattern = select(k, q, predicate)
    width = pattern.sum(1)
    return np.where(width > 0, pattern @ v.astype(int) // np.maximum(width, 1), default)


def first(k, q, v, predicate, default=0):
    """v at the first position where the query looks: kqv with a minimum in place of the mean."""
    pattern = select(k, q, predicate)
    return np.where(pattern.any(1), v[pattern.argmax(1)], default)


# --- made of these

def shift_right(x, default=0):
    """Each position gets what its predecessor has."""
    return kqv(indices(x) + 1, indices(x), x, np.equal, default)


def has_seen(x, value):
    """1 from the first `value` on."""
    return kqv(x, full(x, value), full(x, 1), np.equal)


def count(mask):
    """How many of the mask's ones stand here or before: the width of an attention pattern."""
    return select(mask, full(mask, 1), np.equal).sum(1)


def where(condition, a, b):
    return np.where(condition, a, b)


def from_eoq(seq, t: Tokens):
    """The number of each position counted from '>', which is 1; 0 before it."""
    return count(has_seen(seq, t.eoq))


# --- programs: (tokens (T,), iterations) -> answer (T,)

def parity(seq, steps: int, t: Tokens):
    """The query moves to the right and each bit is XORed into the answer as it passes (Listing 1); T = n."""
    ended = shift_right(has_seen(seq, t.eoq))
    bits, answer = where(has_seen(seq, t.eoq), 0, seq), full(seq, 0)
    for _ in range(steps):
        bits = shift_right(bits)
        answer = answer ^ bits
    return where(ended, t.eos, answer)


def copy(seq, steps: int, t: Tokens):
    """The query moves right until it stands on the answer's place, its EOS behind it (Listing 2); T = n."""
    ended = has_seen(seq, t.eoq)
    for _ in range(steps):
        seq, ended = shift_right(seq), shift_right(ended)
    return where(ended, t.eos, seq)


def align(seq, mask, wanted):
    """What stands at the wanted-th position of mask, for each position of `wanted` from 1; else 0."""
    ranks = where(mask, count(mask), -1)
    return first(ranks, wanted, seq, np.equal)


def binary_addition(seq, steps: int, t: Tokens):
    """Ripple carry, most significant bit first (Listing 3); T = n + 1.

    The sum without carries moves right at every step while the carries stay, so a carry meets the next more
    significant digit. After n + 1 steps the sum stands on the answer's place.
    """
    ended = has_seen(seq, t.eoq)
    in_first = 1 - has_seen(seq, t.number['+'])
    in_second = shift_right(has_seen(seq, t.number['+'])) & (1 - ended)
    a, b = where(in_second, align(seq, in_first, count(in_second)), 0), where(in_second, seq, 0)
    for _ in range(steps):
        a, b = shift_right(a ^ b), a & b
        ended = shift_right(ended)
    return where(ended, t.eos, a)


def binary_sum(seq, steps: int, t: Tokens):
    """Counts the ones at once, then halves: the j-th answer position is halved j times; T = n is enough."""
    place = has_seen(seq, t.eoq)
    ones, left, later = count(where(place, 0, seq == 1)), place, place
    ones = where(place, ones, 0)
    for _ in range(steps):
        left = shift_right(left)
        ones = where(left, ones // 2, ones)
    later = shift_right(place)
    return where(later & (ones == 0), t.eos, ones % 2)


def multiplication(seq, steps: int, t: Tokens):
    """a0 * b + 2 * a1 * b, least significant bit first, carries moving right; T = n + 2 is enough."""
    place, seen = from_eoq(seq, t), has_seen(seq, t.number['*'])
    in_first, in_second = 1 - seen, shift_right(seen) & (1 - has_seen(seq, t.eoq))
    once = align(seq, in_second, place) & align(seq, in_first, full(seq, 1))
    twice = shift_right(where(place, align(seq, in_second, place) & align(seq, in_first, full(seq, 2)), 0))
    size = count(in_first) + count(in_second)
    a, b = where(place, once, 0), where(place, twice, 0)
    for _ in range(steps):
        a, b = a ^ b, shift_right(a & b)
    return where(place > size, t.eos, a)


def unique_set(seq, steps: int, t: Tokens):
    """First occurrences, numbered, are fetched by number: full-answer prediction needs no iteration."""
    query = 1 - has_seen(seq, t.eoq)
    before = first(seq, seq, indices(seq), np.equal)  # where this symbol stood first
    is_first = where(before == indices(seq), query, 0)
    place = from_eoq(seq, t)
    return where(place > count(is_first), t.eos, align(seq, is_first, place))


PROGRAMS = {'parity': parity, 'copy': copy, 'binary_addition': binary_addition, 'binary_sum': binary_sum,
            'multiplication': multiplication, 'unique_set': unique_set}


def steps_needed(task: str, n: int, n_first: int = 2) -> int:
    """Iterations after which the program has the answer, for queries of length n."""
    return {'binary_addition': n + 1, 'multiplication': n + n_first, 'unique_set': 0}.get(task, n)
