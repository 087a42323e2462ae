"""p-hop against its definition, the splits, and the order of training data."""
import numpy as np
import pytest

from problems.phop import hop, sample_phop
from problems.task import IGNORE, split_of, train_ids
from tasks import PHop


def hop_at(letters, i, p):
    """hop_p at position i, counted from 1, straight from A, Def. A.1."""
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
    task = PHop((p,), length, n_letters)
    sampled = sample_phop(np.array([5], np.uint64), np.arange(300), p, length, n_letters)
    for row in sampled.tolist():
        assert hop_at(row[:-1], length, p) == row[-1]
    batch = PHop((p,), length, n_letters).batch(sampled, 'answer')
    assert (batch.targets[:, :-1] == IGNORE).all() and (batch.targets[:, -1] == sampled[:, -1]).all()
    assert [task.solve(row) for row in batch.tokens.tolist()] == sampled[:, -1:].tolist()


def test_every_position_is_supervised_with_its_own_prefix():
    task = PHop((2, 5), 24, 4, supervise='all')
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


def test_splits_are_disjoint_and_shared_by_all_seeds():
    task = PHop((2,), 6, 4)  # few problems, so that overlap would be certain without the split
    val = {row.tobytes() for row in task.eval_batch('val', 2, 0, 500).tokens}
    test = {row.tobytes() for row in task.eval_batch('test', 2, 0, 500).tokens}
    train = {row.tobytes() for seed in range(3) for row in task.train_batch(seed, 0, 2000).tokens}
    assert len(train) > 300
    assert not train & val and not train & test and not val & test


def test_drawing_several_candidates_at_once_changes_no_example(monkeypatch):
    """An example is the first of its attempts that belongs to the split, however many are drawn at once."""
    found = []
    for tries in (1, 3, 4):
        monkeypatch.setattr(PHop, 'redraws_at_once', tries)
        found.append([PHop((2, 3), 12, 4).examples(split, 5, np.arange(200), np.repeat([2, 3], 100))
                      for split in ('train', 'val')])
    for other in found[1:]:
        assert all((a == b).all() for a, b in zip(found[0], other, strict=True))


def test_split_shares():
    tokens = np.random.default_rng(0).integers(0, 4, (40_000, 20)).astype(np.uint8)
    shares = np.bincount(split_of(tokens)) / 40_000
    assert np.abs(shares - [14 / 16, 1 / 16, 1 / 16]).max() < 0.006


def test_a_space_too_small_to_split_is_an_error():
    with pytest.raises(ValueError, match='too few distinct problems'):
        task = PHop((1,), 3, 2)
        for split in ('train', 'val', 'test'):
            task.eval_batch(split, 1, 0, 1)


@pytest.mark.parametrize('train_examples', [0, 500])
def test_a_batch_is_the_same_however_it_is_shared_out(train_examples):
    task = PHop((3, 5), 20, 4, supervise='all')
    whole = task.train_batch(7, 11, 60, train_examples)
    parts = [task.train_batch(7, 11, 60, train_examples, lo, hi) for lo, hi in ((0, 13), (13, 40), (40, 60))]
    for i in range(2):
        assert (np.concatenate([part[i] for part in parts]) == whole[i]).all()
    assert (task.train_batch(8, 11, 60, train_examples).tokens != whole.tokens).any()


def test_a_fixed_set_is_visited_once_an_epoch_in_new_order():
    epochs = [np.concatenate([train_ids(3, step, 10, 50, 0, 10) for step in range(first, first + 5)])
              for first in (0, 5)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert (epochs[0] != epochs[1]).any()
    straddling = train_ids(3, 1, 40, 50, 0, 40)
    assert len(set(straddling[:10])) == 10 and straddling.max() < 50


def test_a_fixed_set_is_the_same_for_every_seed():
    task = PHop((3,), 20, 4)
    sets = [{row.tobytes() for step in range(4) for row in task.train_batch(seed, step, 25, 100).tokens}
            for seed in (0, 1)]
    assert sets[0] == sets[1] and len(sets[0]) == 100


def test_each_p_joins_at_its_step():
    task = PHop((1, 2, 4), 20, 4, starts=(0, 10, 20))
    seen = [set(task.p_of(task.train_batch(0, step, 200).tokens)) for step in (0, 9, 10, 20)]
    assert seen == [{1}, {1}, {1, 2}, {1, 2, 4}]


def test_baselines():
    """hop_1 = b, hop_2 = c, and b is the commonest letter: shortcuts are right on hop_1 only."""
    example = letters_of('baebcabebdea')
    for p, answer, right in ((1, 1, True), (2, 2, False)):
        task = PHop((p,), 12, 5)
        answers = task.baselines(task.batch(np.concatenate([example, [[answer]]], 1), 'answer'))
        names = {name: bool(is_right[0]) for name, is_right in answers.items()}
        assert names == {'majority letter': right, 'one hop': right}


def test_text_round_trip():
    task = PHop((1, 16), 40, 4)
    assert task.decode(task.encode('16:abcad')) == '16:abcad'
    for text in ('abcad', '3:abc', '16:abxd', '16:a', '16:' + 'ab' * 40):
        with pytest.raises(ValueError):
            task.encode(text)
    assert PHop((4,), 40, 4).encode('dcba') == [3, 2, 1, 0]
