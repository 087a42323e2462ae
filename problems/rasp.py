"""The n-RASP-L programs of the six length tasks in numpy (Fan et al. 2025, Sec. 3 and App. A).
An iteration is what a Transformer block could do; a program makes T(n) of them. It takes a sequence of
tokens, query, '>' and EOS, and returns one of the same length: answer and EOS from '>' on; what stands before
is not looked at. Core operations are elementwise functions and one causal attention, kqv. Positions are
compared and counted (Zhou et al. 2024), and subtracted only where multiplication reads its operands."""
import numpy as np


class Tokens:
    """The numbers of the signs in a task's vocabulary."""

    def __init__(self, words: list[str]):
        self.number = {word: i for i, word in enumerate(words)}
        self.eoq = self.number['>']
        self.eos = self.number['#']


# --- core operations: sequences are (T,)

where = np.where  # (condition, a, b): a where the condition holds, else b


def full(x, value):
    return np.full(len(x), value)


def indices(x):
    return np.arange(len(x))


def select(k, q, predicate):
    """Causal attention pattern (T, T): query i looks at key j where j <= i and predicate(k_j, q_i)."""
    is_causal = np.tri(len(k), dtype=bool)
    return predicate(k[None, :], q[:, None]) & is_causal


def kqv(k, q, v, predicate, default=0):
    """The mean, rounded down, of v where the query looks; `default` where it looks nowhere."""
    pattern = select(k, q, predicate)
    width = pattern.sum(1)
    total = pattern @ v.astype(int)
    mean = total // np.maximum(width, 1)
    return where(width > 0, mean, default)


def first(k, q, v, predicate, default=0):
    """v at the first position where the query looks: kqv with a minimum in place of the mean."""
    pattern = select(k, q, predicate)
    return where(pattern.any(1), v[pattern.argmax(1)], default)


# --- made of these

def shift_right(x, default=0):
    """Each position gets what its predecessor has."""
    here = indices(x)
    return kqv(here + 1, here, x, np.equal, default)


def has_seen(x, value):
    """1 from the first `value` on."""
    return kqv(x, full(x, value), full(x, 1), np.equal)


def count(mask):
    """How many of the mask's ones stand here or before: the width of an attention pattern."""
    return select(mask, full(mask, 1), np.equal).sum(1)


def from_eoq(seq, t: Tokens):
    """The number of each position counted from '>', which is 1; 0 before it."""
    return count(has_seen(seq, t.eoq))


def align(seq, mask, wanted):
    """What stands at the wanted-th position of mask, for each position of `wanted` from 1; else 0."""
    ranks = where(mask, count(mask), -1)
    return first(ranks, wanted, seq, np.equal)


# --- programs: (tokens (T,), iterations) -> answer (T,)

def parity(seq, steps: int, t: Tokens):
    """The query moves to the right and each bit is XORed into the answer as it passes (Listing 1); T = n."""
    in_answer = has_seen(seq, t.eoq)
    ended = shift_right(in_answer)
    bits = where(in_answer, 0, seq)
    answer = full(seq, 0)
    for _ in range(steps):
        bits = shift_right(bits)
        answer = answer ^ bits
    return where(ended, t.eos, answer)


def copy(seq, steps: int, t: Tokens):
    """The query moves right until it stands on the answer's place, its EOS behind it (Listing 2); T = n."""
    ended = has_seen(seq, t.eoq)
    for _ in range(steps):
        seq = shift_right(seq)
        ended = shift_right(ended)
    return where(ended, t.eos, seq)


def binary_addition(seq, steps: int, t: Tokens):
    """Ripple carry, most significant bit first (Listing 3); T = n + 1.
    The sum without carries moves right at every step while the carries stay, so a carry meets the next more
    significant digit. After n + 1 steps the sum stands on the answer's place."""
    ended = has_seen(seq, t.eoq)
    seen_sign = has_seen(seq, t.number['+'])
    in_first = 1 - seen_sign
    in_second = shift_right(seen_sign) & (1 - ended)

    # the first number on the place of the second
    first_number = align(seq, in_first, count(in_second))
    total = where(in_second, first_number, 0)
    carry = where(in_second, seq, 0)
    for _ in range(steps):
        without_carry = total ^ carry
        carry = total & carry
        total = shift_right(without_carry)
        ended = shift_right(ended)
    return where(ended, t.eos, total)


def binary_sum(seq, steps: int, t: Tokens):
    """Counts the ones at once, then halves: the j-th answer position is halved j times; T = n is enough."""
    in_answer = has_seen(seq, t.eoq)
    is_one = where(in_answer, 0, seq == 1)
    ones = where(in_answer, count(is_one), 0)
    halved = in_answer
    for _ in range(steps):
        halved = shift_right(halved)
        ones = where(halved, ones // 2, ones)
    ended = in_answer & (ones == 0)  # at once where there are no ones
    return where(ended, t.eos, ones % 2)


def multiplication(seq, steps: int, t: Tokens):
    """a0 * b + 2 * a1 * b, least significant bit first, carries moving right; T = n + bits of a is enough."""
    place = from_eoq(seq, t)
    seen_sign = has_seen(seq, t.number['*'])
    in_query = 1 - has_seen(seq, t.eoq)
    in_first = 1 - seen_sign
    in_second = shift_right(seen_sign) & in_query
    n_first = count(in_first)
    n_second = count(in_second)

    # b times each bit of a, on the answer's place: a0, a1 and b are read from the right
    from_left = where(place > n_second, 0, n_second + 1 - place)
    b = align(seq, in_second, from_left)
    a0 = align(seq, in_first, n_first)
    a1 = align(seq, in_first, n_first - 1)
    total = where(place, b & a0, 0)
    twice = shift_right(where(place, b & a1, 0))

    carry = where(place, twice, 0)
    for _ in range(steps):
        without_carry = total ^ carry
        carry = shift_right(total & carry)
        total = without_carry
    return where(place > n_first + n_second, t.eos, total)


def unique_set(seq, steps: int, t: Tokens):
    """First occurrences, numbered, are fetched by number: full-answer prediction needs no iteration."""
    in_query = 1 - has_seen(seq, t.eoq)
    here = indices(seq)
    first_here = first(seq, seq, here, np.equal)  # where this symbol stood first
    is_first = where(first_here == here, in_query, 0)
    place = from_eoq(seq, t)
    answer = align(seq, is_first, place)
    return where(place > count(is_first), t.eos, answer)


PROGRAMS = {'parity': parity, 'copy': copy, 'binary_addition': binary_addition, 'binary_sum': binary_sum,
            'multiplication': multiplication, 'unique_set': unique_set}
