"""The options of a run, a model and a task as one flat configuration."""
import dataclasses
from dataclasses import fields

import pytest

from engine.configurator import configure
from engine.errors import UserError
from settings import Config, make_config, with_task
from stages import ModelConfig
from tasks import TASKS, task_class


@pytest.mark.parametrize('task', TASKS)
def test_a_configuration_has_the_options_of_its_task_and_of_no_other(task):
    names = {field.name for field in fields(with_task(dict(task=task)))}
    options = {field.name for field in fields(task_class(task))}
    assert options <= names
    general = {field.name for field in fields(Config)}
    assert names == general | options and {field.name for field in fields(ModelConfig)} <= general


def test_help_lists_the_options_of_the_task_that_is_named(capsys):
    def help_of(*argv):
        with pytest.raises(SystemExit):
            configure(Config, [*argv, '--help'], 'usage', extend=with_task)
        return capsys.readouterr().out
    text = help_of()
    assert '--stages=1x6' in text and '--learning_rate=0.001' in text and '\ntask=phop\n' in text
    assert '--length=256' in text and '--operands' not in text
    text = help_of('--task=addition')
    assert '\ntask=addition\n' in text and '--operands=2,4,8,16,32' in text and '--length' not in text
    text = help_of('--task=parity')
    assert '--max_length=19' in text and text.count('--max_length') == 1
    assert all(f'--{field.name}=' in text for field in fields(with_task(dict(task='parity'))))


def test_values_that_do_not_fit_are_refused():
    assert make_config(dict(task='addition', operands=(2, 4))).operands == (2, 4)
    assert make_config({}).p == (16,)
    for values, says in ((dict(operands=(2,)), 'option of task=addition, not of task=phop'),
                         (dict(nonsense=1), 'unknown key'), (dict(p=(0,)), 'at least 1')):
        with pytest.raises(UserError, match=says):
            make_config(values)


def test_the_models_options_are_declared_once():
    declared = set(Config.__annotations__) & set(ModelConfig.__annotations__)
    assert not declared and dataclasses.is_dataclass(ModelConfig)


@pytest.mark.parametrize('argument,says', [
    ('--decay_start=-2', 'at least -1'), ('--stages=1x1000000000000', 'at most 100,000'),
    ('--stages=4x1+100x1000', 'applies 100,004 blocks')])
def test_values_without_a_meaning(argument, says):
    with pytest.raises(UserError, match=says):
        configure(Config, [argument], '', extend=with_task)


@pytest.mark.parametrize('line', ['task = ["phop"]', 'task = None', 'out_dir = "a\\0b"'])
def test_values_of_a_file_that_are_of_no_use(line, tmp_path):
    (tmp_path / 'run.py').write_text(line, encoding='utf-8')
    with pytest.raises(UserError, match='takes'):
        configure(Config, [str(tmp_path / 'run.py')], '', extend=with_task)
