"""Random numbers as pure functions of (key, id), for many ids at once: a counter-based generator in numpy.
Arrays are uint64, whose arithmetic wraps around 2^64; numpy takes the plain numbers beside them as uint64."""
import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, by which SplitMix64 counts
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
FEISTEL_ROUNDS = 4


def mix(x):
    """The output function of SplitMix64 (Steele et al. 2014) on uint64: neighbours become independent."""
    x = x ^ (x >> 30)
    x = x * MIX_1
    x = x ^ (x >> 27)
    x = x * MIX_2
    return x ^ (x >> 31)


def counter(n: int):
    """SplitMix64's counter at steps 1 .. n, (n,)."""
    return GOLDEN * np.arange(1, n + 1, dtype=np.uint64)


def key_of(*numbers: int):
    """One 64-bit key (1,) of several non-negative whole numbers."""
    key = np.zeros(1, np.uint64)
    for number in numbers:
        key = mix(key + GOLDEN + np.uint64(number))
    return key


def random_words(key, ids, n_words: int):
    """(len(ids), n_words) random uint64: SplitMix64 as a counter-based generator, a stream for each id."""
    numbers = ids.astype(np.uint64)
    start = mix(key + GOLDEN * numbers)  # (B,)
    return mix(start[:, None] + counter(n_words))


def random_16(key, ids, n: int):
    """(len(ids), n) random uint16, four from each word."""
    words = random_words(key, ids, -(-n // 4))
    return words.view(np.uint16)[:, :n]


def random_below(key, ids, n: int, bound: int):
    """(len(ids), n) uint64, uniform in 0 .. bound - 1, from 32 random bits each."""
    words = random_words(key, ids, -(-n // 2))
    scaled = words.view(np.uint32)[:, :n].astype(np.uint64)
    scaled *= bound
    scaled >>= 32
    return scaled


def below(random16, bound: int):
    """Random uint16 -> uniform in 0 .. bound - 1 (bound far below 65,536), as uint16."""
    scaled = np.multiply(random16, bound, dtype=np.uint32)
    scaled >>= 16
    return scaled.astype(np.uint16)


def hash_rows(rows):
    """A 64-bit hash of each row of small whole numbers (B, T), position by position, (B,)."""
    factors = mix(counter(rows.shape[1])) | 1  # (T,), odd: none loses bits
    numbers = rows.astype(np.uint64)
    numbers += 1
    return mix(numbers @ factors)


def shuffled(key, places, n: int):
    """Where a random permutation of 0 .. n - 1 puts `places` (B,), without holding it: n may be billions.
    A Feistel network permutes the next larger power of four; what falls outside 0 .. n - 1 goes through it
    again until it is inside (cycle walking, Black and Rogaway 2002)."""
    n_bits = max(n - 1, 1).bit_length()
    half = (n_bits + 1) // 2
    x = places.astype(np.uint64)
    outside = np.ones(len(x), bool)

    while outside.any():
        x[outside] = feistel(key, x[outside], half)
        outside = x >= n
    return x.astype(np.int64)


def feistel(key, x, half: int):
    """A random permutation of 0 .. 4^half - 1 at x (B,), by a network whose halves have `half` bits."""
    mask = (1 << half) - 1
    left = x >> half
    right = x & mask
    for round_key in mix(key + counter(FEISTEL_ROUNDS)):
        mixed = mix(mix(right) + round_key) & mask
        left, right = right, left ^ mixed
    return left << half | right
