"""Random numbers by key and id: the reference generator, permutations, spread."""
import numpy as np
import pytest

from problems.randomness import below, hash_rows, key_of, random_16, random_below, random_words, shuffled

WORD = 2 ** 64


def splitmix64(state):
    """The generator of Steele et al. 2014 with Python's own integers."""
    while True:
        state = (state + 0x9E3779B97F4A7C15) % WORD
        z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % WORD
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % WORD
        yield z ^ (z >> 31)


def test_a_stream_is_splitmix64_from_a_start_of_its_own():
    """The start of id i is the mixed counter i beyond the key."""
    key = key_of(3, 5)
    words = random_words(key, np.array([0, 7]), 4)
    for row, number in zip(words.tolist(), (0, 7), strict=True):
        before = (int(key[0]) + (number - 1) * 0x9E3779B97F4A7C15) % WORD
        stream = splitmix64(next(splitmix64(before)))
        assert row == [next(stream) for _ in range(4)]


def test_halves_and_quarters_of_words():
    key, ids = key_of(1), np.arange(50)
    words = random_words(key, ids, 5)
    assert (random_16(key, ids, 17) == words.view(np.uint16)[:, :17]).all()
    thirds = words.view(np.uint32)[:, :7].astype(object) * 1000 // 2 ** 32
    assert (random_below(key, ids, 7, 1000) == thirds).all()


@pytest.mark.parametrize('bound', [2, 3, 7, 50])
def test_numbers_below_a_bound_are_uniform(bound):
    numbers = below(random_16(key_of(2), np.arange(3000), 20), bound)
    assert np.abs(np.bincount(numbers.ravel(), minlength=bound) * bound / 60_000 - 1).max() < 0.1


def test_hashes_tell_rows_apart_by_place():
    rows = np.random.default_rng(0).integers(0, 4, (5000, 12)).astype(np.uint8)
    different = len({row.tobytes() for row in rows})
    assert len(set(hash_rows(rows).tolist())) == different > 4900
    assert hash_rows(np.array([[1, 2]])) != hash_rows(np.array([[2, 1]]))


@pytest.mark.parametrize('n', [1, 2, 3, 5, 64, 1000, 4097])
def test_shuffled_is_a_permutation_that_differs_by_key(n):
    orders = [shuffled(key_of(seed), np.arange(n), n) for seed in range(2)]
    assert all(sorted(order) == list(range(n)) for order in orders)
    assert n < 64 or (orders[0] != orders[1]).mean() > 0.9
    assert n < 1000 or abs(np.corrcoef(orders[0], np.arange(n))[0, 1]) < 0.1


def test_shuffled_serves_billions():
    places = np.array([0, 1, 10 ** 9, 10 ** 12 - 1])
    assert len(set(shuffled(key_of(3), places, 10 ** 12).tolist())) == 4
