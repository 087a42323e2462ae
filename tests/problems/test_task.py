"""What every task keeps: labels and text, disjoint splits, the order of training data, batches in parts."""
import os

import numpy as np
import pytest
from examples import prompts_and_answers, rows_of

from engine.configurator import configure
from problems.addition import Addition
from problems.group import Group
from problems.igsm import IGSM
from problems.phop import PHop
from problems.task import IGNORE, Batch, Task, majority, split_of, train_ids
from problems.variables import Variables
from settings import Config, with_task
from tasks import make_task

SMALL = {
    'addition': (Addition, dict(operands=(2, 4), test_operands=(3, 4), digits=2)),
    'addition of the paper': (Addition, dict()),
    'igsm': (IGSM, dict(max_ops=(4, 6), max_edges=8)),
    'group': (Group, dict(group='s4', elements=6)),
    'variables': (Variables, dict(depths=(0, 1, 2), form='inline')),
    'variables, math': (Variables, dict(depths=(0, 1), form='math')),
    'variables, code': (Variables, dict(depths=(1,), form='code')),
    'variables, values': (Variables, dict(depths=(0, 1), form='inline', supervise='values')),
    'phop': (PHop, dict(p=(2, 4), length=20)),
}


def small(name, **changes):
    cls, options = SMALL[name]
    return cls(**options | changes)


@pytest.mark.parametrize('name', SMALL)
def test_what_every_task_keeps(name):
    task = small(name)
    for prompt, answer in prompts_and_answers(task):
        assert task.solve(prompt) == answer and task.encode(task.decode(prompt)) == prompt
        assert max(prompt + answer) < task.vocab_size
    batch = task.train_batch(seed=0, step=0, batch_size=200)
    assert batch.tokens.shape == batch.targets.shape == (200, task.block_size)
    for baseline in task.baselines(task.eval_batch('val', task.difficulties[0], 0, 300)).values():
        assert baseline.shape == (300,) and baseline.mean() < 0.7


@pytest.mark.parametrize('name', SMALL)
def test_no_test_problem_is_trained_on(name):
    task = small(name)
    held_out = {row for difficulty in task.difficulties
                for row in rows_of(task.eval_batch('test', difficulty, 0, 150))}
    train = {row for step in range(4) for row in rows_of(task.train_batch(1, step, 500))}
    assert not train & held_out


@pytest.mark.slow
@pytest.mark.parametrize('name', ['laptop/ghop_demo', 'laptop/addition', 'laptop/igsm', 'laptop/group',
                                  'laptop/variables'])
def test_no_test_problem_among_many_training_examples(name):
    """Against all of the test set at laptop size; OVERLAP_EXAMPLES=1000000 looks at a million."""
    config, _ = configure(Config, [f'config/{name}.py'], '', extend=with_task)
    task, wanted = make_task(config), int(os.environ.get('OVERLAP_EXAMPLES', 50_000))
    held_out = {row for difficulty in task.evaluated('test')
                for row in rows_of(task.eval_batch('test', difficulty, 0, 10_000))}
    first = max(task.starts)  # from here on every difficulty is drawn
    for step in range(first, first + -(-wanted // 1000)):
        assert not rows_of(task.train_batch(0, step, 1000)) & held_out


@pytest.mark.parametrize('name', SMALL)
def test_parts_of_a_batch_join_to_the_whole(name):
    task = small(name, supervise='all')
    whole = task.train_batch(5, 2, 20)
    parts = [task.train_batch(5, 2, 20, *part) for part in ((0, 7), (7, 20))]
    for i in range(2):
        assert (np.concatenate([part[i] for part in parts]) == whole[i]).all()


@pytest.mark.parametrize('train_examples', [0, 500])
def test_a_batch_is_the_same_however_it_is_shared_out(train_examples):
    task = PHop(p=(3, 5), length=20, n_letters=4, supervise='all', train_examples=train_examples)
    whole = task.train_batch(7, 11, 60)
    parts = [task.train_batch(7, 11, 60, lo, hi) for lo, hi in ((0, 13), (13, 40), (40, 60))]
    for i in range(2):
        assert (np.concatenate([part[i] for part in parts]) == whole[i]).all()
    assert (task.train_batch(8, 11, 60).tokens != whole.tokens).any()


def test_splits_are_disjoint_and_shared_by_all_seeds():
    task = PHop(p=(2,), length=6)  # few problems, so that overlap would be certain without the split
    val = rows_of(task.eval_batch('val', 2, 0, 500))
    test = rows_of(task.eval_batch('test', 2, 0, 500))
    train = {row for seed in range(3) for row in rows_of(task.train_batch(seed, 0, 2000))}
    assert len(train) > 300
    assert not train & val and not train & test and not val & test


def test_drawing_several_candidates_at_once_changes_no_example(monkeypatch):
    """An example is the first of its attempts that belongs to the split, however many are drawn at once."""
    found = []
    for tries in (1, 3, 4):
        monkeypatch.setattr(PHop, 'redraws_at_once', tries)
        task = PHop(p=(2, 3), length=12, n_letters=4)
        found.append([task.examples(split, 5, np.arange(200), np.repeat([2, 3], 100))
                      for split in ('train', 'val')])
    for other in found[1:]:
        assert all((a == b).all() for a, b in zip(found[0], other, strict=True))


def test_split_shares():
    tokens = np.random.default_rng(0).integers(0, 4, (40_000, 20)).astype(np.uint8)
    shares = np.bincount(split_of(tokens)) / 40_000
    assert np.abs(shares - [14 / 16, 1 / 16, 1 / 16]).max() < 0.006


def test_a_space_too_small_to_split_is_an_error():
    with pytest.raises(ValueError, match='too few distinct problems'):
        task = PHop(p=(1,), length=3, n_letters=2)
        for split in ('train', 'val', 'test'):
            task.eval_batch(split, 1, 0, 1)


def test_a_fixed_set_is_visited_once_an_epoch_in_new_order():
    epochs = [np.concatenate([train_ids(3, step, 10, 50, 0, 10) for step in range(first, first + 5)])
              for first in (0, 5)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert (epochs[0] != epochs[1]).any()
    straddling = train_ids(3, 1, 40, 50, 0, 40)
    assert len(set(straddling[:10])) == 10 and straddling.max() < 50


def test_a_fixed_set_is_the_same_for_every_seed():
    task = PHop(p=(3,), length=20, n_letters=4, train_examples=100)
    sets = [{row for step in range(4) for row in rows_of(task.train_batch(seed, step, 25))}
            for seed in (0, 1)]
    assert sets[0] == sets[1] and len(sets[0]) == 100


def difficulties_of(**options) -> Task:
    task = Task()
    for name, value in options.items():
        setattr(task, name, value)
    task.set_difficulties('p', (2, 4))
    return task


def test_starts_are_0_or_those_given():
    assert difficulties_of().starts == (0, 0) and difficulties_of(difficulty_start=(5, 0)).starts == (5, 0)
    assert difficulties_of(train_examples=9).difficulties == (2, 4)


@pytest.mark.parametrize('options,says', [
    (dict(difficulty_start=(5, 6)), r'=\(5, 6\) needs one step for each of \(2, 4\), and a 0'),
    (dict(difficulty_start=(0,)), 'one step for each'),
    (dict(difficulty_start=(0, 1, 2)), 'one step for each'),
    (dict(difficulty_start=(0, 5), train_examples=100), 'does not go with a fixed set, train_examples=100'),
    (dict(train_examples=-1), 'train_examples=-1 must not be negative')])
def test_options_of_the_order_of_data_that_do_not_fit(options, says):
    with pytest.raises(ValueError, match=says):
        difficulties_of(**options)


@pytest.mark.parametrize('difficulties', [(), (4, 4)])
def test_difficulties_are_several_different_ones(difficulties):
    with pytest.raises(ValueError, match='p=.*one or several different'):
        Task().set_difficulties('p', difficulties)


@pytest.mark.parametrize('name,text,says', [
    ('addition', '12+3x=', "'x'"), ('addition', '', 'tokens'), ('addition', '12+34', "closed by '='"),
    ('group', '1 99', '0 to 23'), ('igsm', 'E#I := 9. E#I?', "'9'"),
    ('igsm', 'E#I := 4. E#J?', 'no definition'),
    ('variables', 'a=1, b=', 'does not say'), ('variables', 'A=1', "'A'")])
def test_bad_prompts_say_what_is_possible(name, text, says):
    task = small(name)
    with pytest.raises(ValueError, match=says):
        task.solve(task.encode(text))


def test_targets_are_the_next_tokens_of_the_answer_or_of_all():
    task = Task()
    task.block_size, task.pad = 4, 9
    rows = np.array([[1, 2, 3, 4, 5], [1, 2, 3, 4, 9]], np.uint8)
    assert task.batch(rows, 'all').targets.tolist() == [[2, 3, 4, 5], [2, 3, 4, IGNORE]]
    answer = task.batch(rows, 'answer')
    assert answer.targets.tolist() == [[IGNORE] * 3 + [5], [IGNORE] * 4]
    assert answer.tokens.tolist() == rows[:, :-1].tolist() and answer.loops is None


def test_the_commonest_answer_is_a_whole_answer():
    """Not its largest token: four answers share their 7, and two are the same."""
    targets = np.array([[IGNORE, 7, 1], [IGNORE, 7, 2], [IGNORE, 1, 7], [IGNORE, 7, 2], [IGNORE, 3, IGNORE]])
    right = majority(Batch(np.zeros_like(targets), targets))
    assert right.tolist() == [False, True, False, True, False]


def test_rows_of_a_wrong_width_are_named(monkeypatch):
    real = PHop.draw
    monkeypatch.setattr(PHop, 'draw', lambda *parts: real(*parts)[:, :-1])
    with pytest.raises(ValueError, match=r'PHop.draw gave rows of 21 tokens, not block_size \+ 1 = 22'):
        small('phop').eval_batch('test', 2, 0, 4)
