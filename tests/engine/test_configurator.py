"""Order of precedence, types, help, and bad input: one line, exit code 2, nothing written."""
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import pytest
import torch

from engine.configurator import Amount, Positive, configure
from engine.errors import UserError
from settings import Config, with_task


@dataclass
class Example:
    # --- sizes
    width: int = 3                        # how wide
    rate: float = 0.5                     # how fast
    flag: bool = False
    name: str = 'x'                       # what it is called
    mode: Literal['auto', 'True'] = 'auto'
    p: tuple[int, ...] = (16,)

    def check(self):
        if self.width > 100:
            raise ValueError(f'width={self.width} is above 100')


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding='utf-8')
    return str(path)


def test_defaults_then_files_in_order_then_arguments(tmp_path):
    source = 'import math\n_half = 2\nwidth = int(math.sqrt(16)) * _half\nname = "a"\nrate = 1'
    first = write(tmp_path, 'a.py', source)
    second = write(tmp_path, 'b.py', 'name = "b"')
    config, words = configure(Example, [first, '--rate=2.5', second], '')
    assert (config.width, config.name, config.rate, words) == (8, 'b', 2.5, [first, second])
    assert isinstance(config.rate, float)


@pytest.mark.parametrize('argument,field,value', [
    ('--p=1,2,4', 'p', (1, 2, 4)), ('--p=(8,)', 'p', (8,)), ('--p=', 'p', ()), ('--flag=True', 'flag', True),
    ('--rate=1e-3', 'rate', 1e-3), ('--rate=3', 'rate', 3.0), ('--width=1_000_0', 'width', None),
    ('--mode=True', 'mode', 'True'), ('--name=a=b', 'name', 'a=b'), ('--name=', 'name', '')])
def test_typed_arguments(argument, field, value):
    if value is None:
        with pytest.raises(UserError, match='above 100'):
            configure(Example, [argument], '')
    else:
        assert getattr(configure(Example, [argument], '')[0], field) == value


def test_values_in_a_file_are_typed_too(tmp_path):
    path = write(tmp_path, 'a.py', 'p = [1, 2]\nmode = True')
    config, _ = configure(Example, [path], '')
    assert config.p == (1, 2) and config.mode == 'True'
    for line in ('width = 1.5', 'width = True', 'p = "a"', 'flag = 1', 'name = 3', 'rate = None'):
        with pytest.raises(UserError, match='takes .* in .*b.py'):
            configure(Example, [write(tmp_path, 'b.py', line)], '')


@dataclass
class Bounded:
    count: Positive = 1
    amount: Amount = 0.0


@pytest.mark.parametrize('argument,says', [
    ('--count=0', 'count takes a whole number, at least 1'), ('--amount=-0.5', 'a number, not negative'),
    ('--amount=nan', 'a number'), ('--amount=inf', 'a number'), ('--amount=-inf', 'a number'),
    (f'--count={2 ** 63}', 'whole number'), ('--amount=1e999', 'a number')])
def test_bounds_and_finite_numbers(argument, says):
    with pytest.raises(UserError, match=says):
        configure(Bounded, [argument], '')
    assert configure(Bounded, [f'--count={2 ** 63 - 1}', '--amount=1e300'], '')[0].amount == 1e300


def test_a_row_file_builds_on_another(root):
    path = os.path.join(root, 'config', 'ghop_1x6.py')
    config, _ = configure(Config, [path], '', extend=with_task)
    assert (config.stages, config.max_steps, config.p) == ('1x6', 200_000, (16,))


def test_help_lists_every_field(capsys):
    with pytest.raises(SystemExit) as leaving:
        configure(Example, ['--help'], 'usage line')
    text = capsys.readouterr().out
    assert leaving.value.code == 0 and text.startswith('usage line') and '\nsizes\n' in text
    assert '--width=3' in text and 'how wide' in text
    assert all(f'--{name}=' in text for name in ('rate', 'flag', 'name', 'mode', 'p'))


BAD = [  # arguments, what the line must name
    (['--max_step=5'], 'max_steps'),
    (['--batchsize=5'], 'batch_size'),
    (['--zzzzzz=5'], '--help'),
    (['--max_steps'], '--max_steps=VALUE'),
    (['-max_steps=5'], '--max_steps=VALUE'),
    (['--max_steps=ten'], 'whole number'),
    (['--max_steps=1e3'], 'whole number'),
    (['--learning_rate=fast'], 'a number'),
    (['--dry_run=yes'], 'True or False'),
    (['--device=tpu'], 'auto, cpu, cuda'),
    (['--p=1,x'], 'whole number'),
    (['no_such_file.py'], 'no_such_file.py'),
    (['{tmp}'], 'configuration file'),
    (['{tmp}/syntax.py'], 'syntax.py, line 2'),
    (['{tmp}/raises.py'], 'raises.py, line 1: ZeroDivisionError'),
    (['{tmp}/unknown.py'], "'stagse' in"),
    (['{tmp}/type.py'], 'n_embd takes a whole number'),
    (['--learning_rate=nan'], 'a number, positive'),
    (['--vocab_size=3'], 'the task needs 5'),
    (['{tmp}/binary.py'], 'UTF-8'),
    (['--n_embd=100'], 'multiple of n_head'),
    (['--n_embd=24', '--n_head=8'], 'even head size'),
    (['--stages=6'], 'kxL'),
    (['--stages=1x0'], 'kxL'),
    (['--stages=4x1+', '--dry_run=True'], 'kxL'),
    (['--max_steps=0'], 'at least 1'),
    (['--batch_size=-1'], 'at least 1'),
    (['--dropout=1'], 'dropout'),
    (['--learning_rate=0'], 'positive'),
    (['--p=130'], 'p can be 127 at most'),
    (['--p=0'], 'each at least 1'),
    (['--p='], 'p-hop takes one or several'),
    (['--p=4,4'], 'different difficulties'),
    (['--task=addition', '--digits=9'], '1 to 4 digits'),
    (['--task=igsm', '--max_edges=60'], 'have 6 to 48 edges'),
    (['--task=igsm', '--max_edges=5'], 'have 6 to 48 edges'),
    (['--task=group', '--group=s9'], 's2 .. s5'),
    (['--task=variables', '--depths=9'], 'depths 0 to 4'),
    (['--p=2,4', '--difficulty_start=5,6'], 'difficulty_start'),
    (['--supervise=values'], 'one of answer, all, not'),
    (['--operands=2'], 'operands is an option of task=addition, not of task=phop'),
    (['--p=32', '--task=addition'], 'p is an option of task=phop, not of task=addition'),
    (['--task=chess'], 'one of phop, addition'),
    (['--n_letters=1'], '2 to 26'),
    (['--block_size=10'], 'needs 256 tokens'),
    (['--stages=6x1', '--input_injection=True'], 'holds no loop'),
    (['--truncate_loops=2'], 'unknown key'),
    (['--beta1=2'], 'beta1'),
    (['--init_std=-1'], 'init_std'),
    (['--weight_decay=-1'], 'weight_decay'),
    (['--seed=99999999999999'], 'seed'),
    (['--task=group', '--difficulty_start=0'], 'option of task=phop, addition, igsm, variables, not of'),
    (['--p=2,4', '--difficulty_start=0,5', '--train_examples=100'], 'difficulty_start'),
    (['--wandb=True'], 'pip install wandb'),
    (['--resume=must'], 'no checkpoint at out/phop/ckpt.pt'),
    (['--device=cuda'], 'finds no CUDA device'),
]


def run_script(script, arguments, cwd, root):
    return subprocess.run([sys.executable, os.path.join(root, script), *arguments], cwd=cwd,
                          capture_output=True, text=True, timeout=120)


def is_one_line(result, says):
    lines = result.stderr.splitlines()
    return result.returncode == 2 and result.stdout == '' and len(lines) == 1 and says in lines[0]


@pytest.mark.parametrize('arguments,says', BAD, ids=[' '.join(arguments) for arguments, _ in BAD])
def test_bad_input_ends_in_one_line(arguments, says, tmp_path, root):
    if 'wandb' in says and find_spec('wandb') or 'CUDA' in says and torch.cuda.is_available():
        pytest.skip('this machine has what the row says is missing')
    files, work = tmp_path / 'files', tmp_path / 'work'
    files.mkdir()
    work.mkdir()
    write(files, 'syntax.py', 'n_embd = 128\nn_head = = 3\n')
    write(files, 'raises.py', 'n_embd = 1 / 0\n')
    write(files, 'unknown.py', "stagse = '1x6'\n")
    write(files, 'type.py', 'n_embd = 1.5\n')
    (files / 'binary.py').write_bytes(b'\xff\xfe\x00')
    result = run_script('train.py', [argument.format(tmp=files) for argument in arguments], work, root)
    assert is_one_line(result, says), result.stderr
    assert list(work.iterdir()) == []


@pytest.mark.parametrize('script', ['eval_tasks.py', 'sample.py'])
def test_bad_input_of_the_scripts_that_read_a_run(script, tmp_path, root):
    (tmp_path / 'empty').mkdir()
    for arguments, says in ((['no_such_folder'], 'no folder no_such_folder'), ([], 'give one folder'),
                            (['empty'], 'no checkpoint at empty/best.pt'),
                            (['empty', '--loops=-1'], '0 to 10000')):
        result = run_script(script, arguments, tmp_path, root)
        assert is_one_line(result, says), result.stderr
    assert list((tmp_path / 'empty').iterdir()) == []


def test_bad_input_is_reported_before_torch_is_imported(root):
    code = ("import sys, runpy\nsys.argv = ['train.py', '--max_step=5']\n"
            "try:\n    runpy.run_path('train.py', run_name='__main__')\n"
            "except SystemExit:\n    print('torch' in sys.modules)")
    result = subprocess.run([sys.executable, '-c', code], cwd=root, capture_output=True, text=True)
    assert result.stdout.strip() == 'False'
