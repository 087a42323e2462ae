"""Addition, group composition, variable assignment and i-GSM as tasks: labels, splits, text."""
import itertools
import re

import numpy as np
import pytest
from oracles import by_the_text

from problems.task import IGNORE
from problems.variables import solve
from tasks import IGSM, Addition, Group, PHop, Variables

TASKS = {
    'addition': lambda **more: Addition((2, 4), (3, 4), 2, **more),
    'addition of the paper': lambda **more: Addition(**more),
    'igsm': lambda **more: IGSM((4, 6), 8, **more),
    'group': lambda **more: Group('s4', 6, **more),
    'variables': lambda **more: Variables((0, 1, 2), 'inline', **more),
    'variables, math': lambda **more: Variables((0, 1), 'math', **more),
    'variables, code': lambda **more: Variables((1,), 'code', **more),
    'variables, values': lambda **more: Variables((0, 1), 'inline', **dict(supervise='values') | more),
    'phop': lambda **more: PHop((2, 4), 20, **more),
}


def asked(task, split='test', count=100):
    """(prompt tokens, answer tokens) of examples of every difficulty of a split."""
    for difficulty in task.evaluated(split):
        batch = task.eval_batch(split, difficulty, 0, count)
        for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
            end = (targets != IGNORE).argmax() + 1
            yield tokens[:end].tolist(), targets[targets != IGNORE].tolist()


@pytest.mark.parametrize('name', TASKS)
def test_what_every_task_keeps(name):
    task = TASKS[name]()
    for prompt, answer in asked(task):
        assert task.solve(prompt) == answer and task.encode(task.decode(prompt)) == prompt
        assert max(prompt + answer) < task.vocab_size
    batch = task.train_batch(seed=0, step=0, batch_size=200)
    assert batch.tokens.shape == batch.targets.shape == (200, task.block_size)
    for baseline in task.baselines(task.eval_batch('val', task.difficulties[0], 0, 300)).values():
        assert baseline.shape == (300,) and baseline.mean() < 0.7


@pytest.mark.parametrize('name', TASKS)
def test_no_test_problem_is_trained_on(name):
    task = TASKS[name]()
    held_out = {row.tobytes() for difficulty in task.difficulties
                for row in task.eval_batch('test', difficulty, 0, 150).tokens}
    train = {row.tobytes() for step in range(4) for row in task.train_batch(1, step, 500).tokens}
    assert not train & held_out


@pytest.mark.parametrize('name', TASKS)
def test_parts_of_a_batch_join_to_the_whole(name):
    task = TASKS[name](supervise='all')
    whole = task.train_batch(5, 2, 20)
    parts = [task.train_batch(5, 2, 20, 0, *part) for part in ((0, 7), (7, 20))]
    for i in range(2):
        assert (np.concatenate([part[i] for part in parts]) == whole[i]).all()


def test_addition_as_the_paper_writes_it():
    task = Addition()
    prompt = task.encode('315+120+045+824=')
    assert task.decode(task.solve(prompt)) == '1304' and task.solve(prompt)[-1] == task.end
    texts = [(task.decode(prompt), task.decode(answer)) for prompt, answer in asked(task)]
    for text, answer in texts:
        operands = re.fullmatch(r'\d{3}(\+\d{3})*=', text)[0][:-1].split('+')
        assert str(sum(map(int, operands))) == answer
    assert {text.count('+') + 1 for text, _ in texts} == {8, 16, 24, 32}
    trained = {int((row == task.number['+']).sum()) + 1 for row in task.train_batch(0, 0, 300).tokens}
    assert trained == {2, 4, 8, 16, 32}
    values = [int(part) for text, _ in texts for part in text[:-1].split('+')]
    assert min(values) < 5 and max(values) > 994 and abs(np.mean(values) - 499.5) < 10


def test_every_token_is_supervised_but_padding():
    task = Addition((2,), (2,), 1, supervise='all')
    for tokens, targets in zip(*task.train_batch(0, 0, 50)[:2], strict=True):
        row = [*tokens, targets[-1]]
        length = row.index(task.end) + 1
        assert targets[:length - 1].tolist() == row[1:length] and (targets[length - 1:] == IGNORE).all()


def compose(g, h):
    return tuple(g[i] for i in h)


@pytest.mark.parametrize('group,order', [('s3', 6), ('s5', 120), ('a4', 12), ('a5', 60), ('c7', 7)])
def test_products_by_permutations(group, order):
    task = Group(group, 8, supervise='all')
    assert task.vocab_size == order
    things = int(group[1])
    if group[0] == 'c':
        elements = [tuple((i + shift) % things for i in range(things)) for shift in range(things)]
    else:
        elements = [p for p in itertools.permutations(range(things)) if group[0] == 's' or
                    np.linalg.det(np.eye(things)[list(p)]) > 0]
    batch = task.train_batch(0, 0, 40)
    for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
        product = tuple(range(things))
        for token, target in zip(tokens, targets, strict=True):
            product = compose(product, elements[token])
            assert elements[target] == product


@pytest.mark.parametrize('form', ['inline', 'math', 'code'])
@pytest.mark.parametrize('depth', [0, 1, 2])
def test_variables_by_running_them(form, depth):
    """The lines of the prompt, run as Python, give the value that is asked for."""
    task = Variables((depth,), form)
    for prompt, answer in asked(task, count=60):
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
    task = Variables((0, 1), form, supervise='values')
    for tokens, targets in zip(*task.train_batch(0, 0, 40)[:2], strict=True):
        row = [*tokens, task.pad if targets[-1] == IGNORE else targets[-1]]
        parts = ''.join(task.alphabet[token] for token in row).rstrip('_').split(';')[:-1]
        lines, answers = parts[0].rpartition(begins)[0], ''
        for part in [parts[0].removeprefix(lines), *parts[1:]]:
            question, answer = re.fullmatch(r'(.*[=:])( ?\d+)', part, re.DOTALL).groups()
            assert question.startswith(begins) and answer.strip() == str(solve(lines + question))
            answers += answer + ';'
        assert len(parts) == 21
        assert ''.join(task.alphabet[token] for token in targets[targets != IGNORE]) == answers


def test_igsm_values_are_scored_where_the_text_so_far_gives_them():
    """At every parameter, '.' and '?', against the evaluator that knows the text alone."""
    task, scored = IGSM((6,), 8, supervise='values'), 0
    for tokens, targets in zip(*task.train_batch(0, 0, 50)[:2], strict=True):
        words = [task.words[token] for token in tokens]
        for t, target in enumerate(targets[:words.index('?') + 1]):
            sentences = task.decode(tokens[:t + 1]).split('. ')
            whole = sentences if words[t] == '.' else sentences[:-1]
            name = words[t - 1] if words[t] == '?' else \
                whole[-1].split(' := ')[0] if words[t] == '.' else words[t]
            try:
                text = '. '.join([*(sentence.rstrip('.') for sentence in whole), f'{name}?'])
                expected = task.number[str(by_the_text(text))]
            except ValueError:
                expected = IGNORE
            assert target == expected
            scored += target != IGNORE
        assert (targets[words.index('?') + 1:] == IGNORE).all()
    assert scored > 500


def test_difficulties_join_at_their_steps():
    task = Addition((2, 4), (4,), 1, starts=(0, 5))
    assert [{int((row == task.number['+']).sum()) + 1 for row in task.train_batch(0, step, 100).tokens}
            for step in (4, 5)] == [{2}, {2, 4}]


@pytest.mark.parametrize('task,text,says', [
    ('addition', '12+3x=', "'x'"), ('addition', '', 'tokens'), ('addition', '12+34', "closed by '='"),
    ('group', '1 99', '0 to 23'), ('igsm', 'E#I := 9. E#I?', "'9'"),
    ('igsm', 'E#I := 4. E#J?', 'no definition'),
    ('variables', 'a=1, b=', 'does not say'), ('variables', 'A=1', "'A'")])
def test_bad_prompts_say_what_is_possible(task, text, says):
    task = TASKS[task]()
    with pytest.raises(ValueError, match=says):
        task.solve(task.encode(text))
