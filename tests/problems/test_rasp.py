"""The n-RASP-L programs against the labels of the tasks, after their own number of steps."""
import numpy as np
import pytest

from problems import rasp
from problems.lengths import LENGTH_TASKS
from problems.task import IGNORE


@pytest.mark.parametrize('name', LENGTH_TASKS)
def test_labels_equal_the_programs_after_their_own_number_of_steps(name):
    task, program = LENGTH_TASKS[name](max_length=30), rasp.PROGRAMS[name]
    tokens = rasp.Tokens(task.words)
    lengths = np.repeat([1, 2, 3, 7, 12, 30], 25)
    for split in ('train', 'test'):  # first factors of 1 bit are in training only
        batch = task.batch(task.examples(split, 0, np.arange(150), lengths))
        for row, target, n in zip(batch.tokens, batch.targets, lengths.tolist(), strict=True):
            n_first = int((row == tokens.number.get('*')).argmax())
            steps = dict(binary_addition=n + 1, multiplication=n + n_first, unique_set=0).get(name, n)
            scored = target != IGNORE
            assert (program(row, steps, tokens)[scored] == target[scored]).all()


@pytest.mark.parametrize('name,steps', [('parity', 5), ('copy', 5), ('binary_addition', 6)])
def test_the_number_of_steps_is_exact(name, steps):
    """n for parity and copy, n + 1 for addition (Fan et al. 2025, Prop. 3.2 to 3.4): less is wrong."""
    task = LENGTH_TASKS[name](max_length=5)
    batch = task.batch(task.examples('test', 0, np.arange(60), np.full(60, 5)))
    tokens = rasp.Tokens(task.words)
    for tried in (steps - 1, steps, steps + 1):
        answers = np.array([rasp.PROGRAMS[name](row, tried, tokens) for row in batch.tokens])
        all_right = ((answers == batch.targets) | (batch.targets == IGNORE)).all()
        assert all_right == (tried == steps or name == 'parity' and tried > steps)
