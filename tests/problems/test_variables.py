"""Variable assignment as a task: problems run as Python, every question scored."""
import re

import pytest
from examples import prompts_and_answers

from problems.task import IGNORE
from problems.variables import Variables, solve_variables


@pytest.mark.parametrize('form', ['inline', 'math', 'code'])
@pytest.mark.parametrize('depth', [0, 1, 2])
def test_variables_by_running_them(form, depth):
    """The lines of the prompt, run as Python, give the value that is asked for."""
    task = Variables(depths=(depth,), form=form)
    for prompt, answer in prompts_and_answers(task, count=60):
        text, names = task.decode(prompt), {}
        lines = re.findall(r'\b([a-z]) ?= ?([a-z]|\d+)\b', text)
        for name, value in lines:
            exec(f'{name} = {value}', {}, names)
        query = re.findall(r'([a-z])\?', text)[0] if form != 'inline' else text[-2]
        assert str(names[query]) == task.decode(answer).strip()
        assert len(lines) == 5 * (depth + 1) and len(names) == 5 * (depth + 1)


@pytest.mark.parametrize('form,begins', [('inline', ', '), ('math', '\nWhat'), ('code', '\n\nQuestion')])
def test_every_question_about_variables_is_answered_and_scored(form, begins):
    """Each question of a row, asked of its lines, has the answer that follows, and that alone is scored."""
    task = Variables(depths=(0, 1), form=form, supervise='values')
    for tokens, targets in zip(*task.train_batch(0, 0, 40)[:2], strict=True):
        row = [*tokens, task.pad if targets[-1] == IGNORE else targets[-1]]
        parts = ''.join(task.words[token] for token in row).rstrip('_').split(';')[:-1]
        lines, answers = parts[0].rpartition(begins)[0], ''
        for part in [parts[0].removeprefix(lines), *parts[1:]]:
            question, answer = re.fullmatch(r'(.*[=:])( ?\d+)', part, re.DOTALL).groups()
            assert question.startswith(begins) and answer.strip() == str(solve_variables(lines + question))
            answers += answer + ';'
        assert len(parts) == 21
        assert ''.join(task.words[token] for token in targets[targets != IGNORE]) == answers


@pytest.mark.parametrize('depths', [(), (-1,), (5,)])
def test_bad_depths_are_named(depths):
    with pytest.raises(ValueError, match='depths=.*the alphabet allows depths 0 to 4'):
        Variables(depths=depths)
