"""The dict of tasks: what a configuration becomes, every task's options, imports only when asked for."""
import dataclasses
import glob
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

import tasks
from engine.configurator import configure, field_lines
from problems.lengths import LENGTH_TASKS
from problems.task import Task
from settings import Config, with_task

ECHO = '''
from dataclasses import dataclass

import numpy as np

from problems.randomness import random_below
from problems.task import Task, majority


@dataclass(kw_only=True, eq=False)
class Echo(Task):
    """A letter, said again."""

    letters: tuple[int, ...] = (3,)  # size of the alphabet
    width: int = 12                  # letters before the one that is asked for
    train_examples: int = 0          # size of a fixed training set

    def __post_init__(self):
        self.set_difficulties('letters', self.letters)
        self.vocab_size = max(self.letters)
        self.block_size = self.width

    def draw(self, key, ids, difficulty):
        rows = self.new_rows(len(ids))
        rows[:, :-1] = random_below(key, ids, self.width, self.vocab_size) % difficulty[:, None]
        rows[:, -1] = rows[:, -2]
        return rows

    def encode(self, text):
        return [ord(letter) - ord('a') for letter in text]

    def decode(self, tokens):
        return ''.join(chr(ord('a') + token) for token in tokens)

    def solve(self, prompt):
        return prompt[-1:]

    def baselines(self, batch):
        return {'majority answer': majority(batch)}
'''


def config_of(**options):
    """An object with the defaults of every task's options, of which some differ."""
    names = [*tasks.TASKS, options.get('task', 'phop')]  # of a name that tasks share, this one's default
    fields = {field.name: field.default for name in names
              for field in dataclasses.fields(tasks.task_class(name))}
    return SimpleNamespace(**fields | dict(block_size=32, supervise='answer') | options)


@pytest.mark.parametrize('name', tasks.TASKS)
def test_a_task_is_made_of_the_options_of_a_configuration(name):
    task = tasks.make_task(config_of(task=name))
    assert isinstance(task, Task) and type(task) is tasks.task_class(name)
    assert task.vocab_size > 1 and task.block_size > 1
    assert len(task.starts) == len(task.difficulties) and 0 in task.starts


@pytest.mark.parametrize('name', tasks.TASKS)
def test_every_option_is_a_field_with_a_comment_on_its_line_and_reaches_the_task(name):
    """What --help prints of an option stands on its line; a changed value is that of the task."""
    changed = dict(
        p=(2, 4), length=50, n_letters=5, supervise='all', operands=(3, 5), test_operands=(7,), digits=2,
        max_ops=(4, 6), max_edges=8, group='c5', elements=9, depths=(0, 2), form='math', max_length=7,
        test_lengths=(3,), interval=5, answer='ntp', pause_tokens=2, adaptive_loops=True, data='elsewhere',
        tokenizer='bytes', vocab_size=400, block_size=16)
    shown = help_lines(name)
    for option in tasks.option_names(tasks.task_class(name)):
        line, = (line for line in shown if line.split('=')[0] == f'  --{option}')
        assert len(line[35:].strip()) > 3, line
        if option == 'train_examples':
            values = dict(train_examples=100)
        elif option == 'difficulty_start':
            several = dict(phop=dict(p=(2, 4)), igsm=dict(max_ops=(2, 4)), addition=dict(operands=(2, 4)))
            values = dict(difficulty_start=(0, 5), **several.get(name, dict(depths=(0, 1))))
        else:
            values = {option: changed[option]}
        task = tasks.make_task(config_of(task=name, **values))
        assert all(getattr(task, key) == value for key, value in values.items())


def help_lines(name) -> list[str]:
    """The lines of --help on a task's own options."""
    cls = tasks.task_class(name)
    bases = [base for base in reversed(cls.__mro__) if dataclasses.is_dataclass(base)]
    return [line for base in dict.fromkeys(bases) for line in field_lines(cls, base)]


def test_takers_are_the_tasks_that_have_an_option():
    assert tasks.takers('p') == ['phop'] and tasks.takers('max_length') == list(LENGTH_TASKS)
    assert tasks.takers('supervise') == ['phop', 'addition', 'igsm', 'group', 'variables']
    assert tasks.takers('difficulty_start') == ['phop', 'addition', 'igsm', 'variables']
    assert tasks.takers('train_examples') == tasks.takers('supervise')
    assert tasks.takers('vocab_size') == ['tokens'] and tasks.takers('n_embd') == []


def test_the_length_tasks_are_in_the_dict_under_the_same_names():
    assert {name: tasks.task_class(name) for name in LENGTH_TASKS} == LENGTH_TASKS


def test_every_configuration_makes_its_task(root):
    """Those of one task alone; the others change what they are given after."""
    paths = glob.glob(os.path.join(root, 'config', '**', '*.py'), recursive=True)
    made = set()
    for path in paths:
        if os.path.basename(path).startswith('as_') or os.path.basename(path) in ('base.py', 'lengths.py'):
            continue
        config, _ = configure(Config, [path], '', extend=with_task)
        tasks.make_task(config)
        made.add(config.task)
    assert len(paths) > 60 and made == set(tasks.TASKS)


def modules_after(code, root):
    result = subprocess.run([sys.executable, '-c', f'{code}\nimport sys\nprint(*sys.modules)'], cwd=root,
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_a_problem_is_imported_only_when_it_is_asked_for(root):
    loaded = modules_after('import tasks', root)
    assert not {name for name in loaded if name.split('.')[0] in ('torch', 'numpy', 'problems')}
    loaded = modules_after("import tasks; tasks.task_class('addition')", root)
    assert {name for name in loaded if name.startswith('problems.')} == {
        'problems.addition', 'problems.task', 'problems.randomness'}
    assert 'torch' not in modules_after("import tasks; tasks.takers('p')", root)


def test_a_task_in_a_file_of_its_own(tmp_path, monkeypatch):
    """One file, one line in the dict, one configuration: options, splits, batches and baselines work."""
    (tmp_path / 'echo_task.py').write_text(ECHO, encoding='utf-8')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(tasks.TASKS, 'echo', 'echo_task:Echo')
    task = tasks.make_task(SimpleNamespace(task='echo', letters=(2, 3), width=10, train_examples=40))
    assert 'echo' in tasks.takers('width') and 'echo' in tasks.takers('train_examples')
    assert (task.vocab_size, task.block_size, task.starts) == (3, 10, (0, 0))
    batch = task.train_batch(0, 0, 20)
    assert batch.tokens.shape == (20, 10) and (batch.targets[:, -1] == batch.tokens[:, -1]).all()
    assert task.solve(task.encode('abc')) == task.encode('c')
    held_out = {row.tobytes() for row in task.eval_batch('test', 3, 0, 50).tokens}
    trained = {row.tobytes() for step in range(4) for row in task.train_batch(0, step, 20).tokens}
    assert len(trained) <= 40 and not trained & held_out
    assert task.baselines(task.eval_batch('val', 3, 0, 30))['majority answer'].shape == (30,)
