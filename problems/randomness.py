"""Random numbers as pure functions of (key, id), for many ids at once: a counter-based generator in numpy."""
import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


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
    """Random uint16 -> uniform in 0 .. bound - 1 (bound far below 65,536), as uint16."""
    return (np.multiply(random16, bound, dtype=np.uint32) >> np.uint32(16)).astype(np.uint16)


def hash_rows(rows):
    """A 64-bit hash of each row of small whole numbers (B, T), position by position."""
    places = mix(GOLDEN * np.arange(1, rows.shape[1] + 1, dtype=np.uint64)) | np.uint64(1)
    return mix((rows.astype(np.uint64) + np.uint64(1)) @ places)


def shuffled(key, places, n: int):
    """Where a random permutation of 0 .. n - 1 puts `places` (B,), without holding it: n may be billions.

    Four Feistel rounds permute the next larger power of four; what falls outside 0 .. n - 1 goes on through
    them until it is inside (cycle walking, Black and Rogaway 2002).
    """
    half = np.uint64(max(1, (max(n - 1, 1).bit_length() + 1) // 2))
    mask = (np.uint64(1) << half) - np.uint64(1)
    x, outside = places.astype(np.uint64), np.ones(len(places), bool)
    while outside.any():
        left, right = x[outside] >> half, x[outside] & mask
        for round_key in mix(key + GOLDEN * np.arange(1, 5, dtype=np.uint64)):
            left, right = right, left ^ (mix(mix(right) + round_key) & mask)
        x[outside] = left << half | right
        outside = x >= n
    return x.astype(np.int64)
