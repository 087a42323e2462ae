"""p-hop: the function against its definition, the sampler, the task."""
import numpy as np
import pytest

from problems.phop import PHop, hop, sample_phop
from problems.task import IGNORE


def hop_at(letters, i, p):
    """hop_p at position i, counted from 1, straight from Saunshi et al. 2025, Def. A.1."""
    for _ in range(p):
        i = max([0] + [j for j in range(2, i + 1) if letters[j - 2] == letters[i - 1]]) if i else 0
    return letters[i - 1] if i else -1


def hop_by_definition(letters, p):
    return [hop_at(letters, i, p) for i in range(1, len(letters) + 1)]


def letters_of(text):
    return np.array([[ord(letter) - ord('a') for letter in text]])


def test_the_papers_example():
    example = letters_of('baebcabebdea')
    assert [hop(example, np.array([p]), 5)[0, -1] for p in (1, 2)] == [1, 2]  # b, c


@pytest.mark.parametrize('p', [1, 2, 3, 4, 7, 16])
@pytest.mark.parametrize('n_letters', [2, 4, 7])
def test_hop_equals_the_definition_everywhere(p, n_letters):
    letters = np.random.default_rng(p).integers(0, n_letters, (20, 33))
    for row, answers in zip(letters, hop(letters, np.full(20, p), n_letters), strict=True):
        assert answers.tolist() == hop_by_definition(row.tolist(), p)


@pytest.mark.parametrize('n_letters', [2, 3, 4, 7, 26])
def test_hop_equals_the_definition_on_many_sequences(n_letters):
    """2,000 random sequences for each alphabet, p drawn for each, at the last position."""
    rng = np.random.default_rng(n_letters)
    letters, p = rng.integers(0, n_letters, (2000, 40)), rng.integers(1, 33, 2000)
    expected = [hop_at(row, 40, hops) for row, hops in zip(letters.tolist(), p.tolist(), strict=True)]
    assert hop(letters, p, n_letters)[:, -1].tolist() == expected


@pytest.mark.parametrize('p,length,n_letters', [
    (1, 3, 2), (1, 8, 2), (3, 7, 4), (4, 32, 4), (9, 20, 5), (16, 256, 4)])
def test_sampled_chains_give_p_hops_and_the_answer(p, length, n_letters):
    task = PHop(p=(p,), length=length, n_letters=n_letters)
    sampled = sample_phop(np.array([5], np.uint64), np.arange(300), p, length, n_letters)
    for row in sampled.tolist():
        assert hop_at(row[:-1], length, p) == row[-1]
    batch = task.batch(sampled, 'answer')
    assert (batch.targets[:, :-1] == IGNORE).all() and (batch.targets[:, -1] == sampled[:, -1]).all()
    assert [task.solve(row) for row in batch.tokens.tolist()] == sampled[:, -1:].tolist()


def test_every_position_is_supervised_with_its_own_prefix():
    task = PHop(p=(2, 5), length=24, n_letters=4, supervise='all')
    batch = task.train_batch(seed=1, step=0, batch_size=40)
    for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
        p = {task.none + 1: 2, task.none + 2: 5}[tokens[0]]
        hops = hop_by_definition(tokens[1:].tolist(), p)
        expected = [task.none if letter < 0 else letter for letter in hops]
        assert targets.tolist() == [IGNORE, *expected]


def test_sampler_is_not_lopsided():
    """Letters, answers and the place of the chain are spread as the construction says."""
    sampled = sample_phop(np.array([1], np.uint64), np.arange(20_000), 4, 32, 4)
    assert np.abs(np.bincount(sampled[:, -1]) / 20_000 - 0.25).max() < 0.015
    assert np.abs(np.bincount(sampled[:, :-1].ravel()) / (20_000 * 32) - 0.25).max() < 0.01
    first = (sampled[:, :-2, None] == sampled[:, -2:-1, None]).argmax(1)  # where the last letter stood first
    assert 1 < first.mean() < 6


def test_each_p_joins_at_its_step():
    task = PHop(p=(1, 2, 4), length=20, n_letters=4, difficulty_start=(0, 10, 20))
    seen = [set(task.p_of(task.train_batch(0, step, 200).tokens)) for step in (0, 9, 10, 20)]
    assert seen == [{1}, {1}, {1, 2}, {1, 2, 4}]


def test_baselines():
    """hop_1 = b, hop_2 = c, and b is the commonest letter: shortcuts are right on hop_1 only."""
    example = letters_of('baebcabebdea')
    for p, answer, right in ((1, 1, True), (2, 2, False)):
        task = PHop(p=(p,), length=12, n_letters=5)
        answers = task.baselines(task.batch(np.concatenate([example, [[answer]]], 1), 'answer'))
        names = {name: bool(is_right[0]) for name, is_right in answers.items()}
        assert names == {'majority letter': right, 'one hop': right}


def test_text_round_trip():
    task = PHop(p=(1, 16), length=40, n_letters=4)
    assert task.decode(task.encode('16:abcad')) == '16:abcad'
    for text in ('abcad', '3:abc', '16:abxd', '16:a', '16:' + 'ab' * 40):
        with pytest.raises(ValueError):
            task.encode(text)
    one = PHop(p=(4,), length=40, n_letters=4)
    assert one.encode('dcba') == [3, 2, 1, 0]
    with pytest.raises(ValueError, match='letters alone'):
        one.encode('4:dcba')


@pytest.mark.parametrize('options,says', [
    (dict(n_letters=1), 'n_letters=1: p-hop takes 2 to 26'), (dict(n_letters=27), '2 to 26'),
    (dict(p=()), 'one or several p'), (dict(p=(0,)), 'each at least 1'), (dict(p=(4, 4)), 'different'),
    (dict(p=(2, 130)), 'p=130 hops do not fit into length=256: .* 261 letters, so p can be 127 at most')])
def test_bad_options_are_named(options, says):
    with pytest.raises(ValueError, match=says):
        PHop(**options)
