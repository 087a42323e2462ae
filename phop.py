"""p-hop induction: sampler and definition (A, Def. A.1 and App. A.1; Sanford et al. 2024, Def. 4.1)."""
import numpy as np

from randomness import below, random_words


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
