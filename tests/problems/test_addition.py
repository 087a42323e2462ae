"""Addition of n numbers as a task."""
import re

import numpy as np
import pytest
from examples import prompts_and_answers

from problems.addition import Addition
from problems.task import IGNORE


def counts(task, step, batch_size):
    """How many operands the training problems of a step have."""
    return {int((row == task.number['+']).sum()) + 1 for row in task.train_batch(0, step, batch_size).tokens}


def test_addition_as_the_paper_writes_it():
    task = Addition()
    prompt = task.encode('315+120+045+824=')
    assert task.decode(task.solve(prompt)) == '1304' and task.solve(prompt)[-1] == task.end
    texts = [(task.decode(prompt), task.decode(answer)) for prompt, answer in prompts_and_answers(task)]
    for text, answer in texts:
        operands = re.fullmatch(r'\d{3}(\+\d{3})*=', text)[0][:-1].split('+')
        assert str(sum(map(int, operands))) == answer
    assert {text.count('+') + 1 for text, _ in texts} == {8, 16, 24, 32}
    assert counts(task, 0, 300) == {2, 4, 8, 16, 32}
    values = [int(part) for text, _ in texts for part in text[:-1].split('+')]
    assert min(values) < 5 and max(values) > 994 and abs(np.mean(values) - 499.5) < 10


def test_every_token_is_supervised_but_padding():
    task = Addition(operands=(2,), test_operands=(2,), digits=1, supervise='all')
    for tokens, targets in zip(*task.train_batch(0, 0, 50)[:2], strict=True):
        row = [*tokens, targets[-1]]
        length = row.index(task.end) + 1
        assert targets[:length - 1].tolist() == row[1:length] and (targets[length - 1:] == IGNORE).all()


def test_difficulties_join_at_their_steps():
    task = Addition(operands=(2, 4), test_operands=(4,), digits=1, difficulty_start=(0, 5))
    assert [counts(task, step, 100) for step in (4, 5)] == [{2}, {2, 4}]


@pytest.mark.parametrize('options,says', [
    (dict(digits=0), 'digits=0: addition takes 1 to 1000 operands of 1 to 4 digits'),
    (dict(digits=5), '1 to 4 digits'), (dict(operands=(0,)), '1 to 1000'),
    (dict(test_operands=(1001,)), '1 to 1000'), (dict(operands=()), r'operands=\(\): give one or several'),
    (dict(operands=(), test_operands=()), 'give one or several')])
def test_bad_options_are_named(options, says):
    with pytest.raises(ValueError, match=says):
        Addition(**options)
