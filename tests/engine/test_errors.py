"""Causes outside of the program end in one line and exit code 2; torchrun's variables are believed whole."""
import errno
import os
import subprocess
import sys

import pytest

from engine.errors import Ranks, UserError, in_one_line, one_line_errors, ranks

TORCHRUN = dict(WORLD_SIZE='4', RANK='3', LOCAL_RANK='1', MASTER_ADDR='localhost', MASTER_PORT='29500')


def test_torchruns_variables_are_believed_whole():
    assert ranks({}) == ranks(dict(RANK='1')) == ranks(dict(WORLD_SIZE='', RANK='1')) == Ranks(0, 1, 0)
    assert ranks(dict(WORLD_SIZE='1', RANK='0')) == Ranks(0, 1, 0)
    assert ranks(TORCHRUN) == Ranks(3, 4, 1)


@pytest.mark.parametrize('name,value', [
    *((name, '') for name in TORCHRUN if name != 'WORLD_SIZE'), ('RANK', 'two'), ('RANK', '4'),
    ('RANK', '-1'), ('LOCAL_RANK', '7'), ('WORLD_SIZE', 'x'), ('MASTER_PORT', '1.5'),
    ('MASTER_PORT', '65536')])
def test_or_not_at_all(name, value):
    with pytest.raises(UserError, match=name):
        ranks(TORCHRUN | {name: value})


@pytest.mark.parametrize('error,line', [
    (OSError(errno.ENOSPC, 'No space left on device', 'out/x.csv'), 'out/x.csv: No space left on device'),
    (PermissionError(errno.EACCES, 'Permission denied', 'ckpt.pt'), 'ckpt.pt: Permission denied'),
    (OSError(errno.EMFILE, 'Too many open files'), 'Too many open files'), (OSError(), 'OSError'),
    (MemoryError(), 'out of memory'), (RuntimeError('CUDA out of memory.\nmore'), 'CUDA out of memory.'),
    (RuntimeError("can't allocate memory: 8 bytes"), "can't allocate memory: 8 bytes"),
    (UserError('do this'), 'do this')])
def test_the_systems_own_words(error, line):
    assert in_one_line(error) == line


def test_a_fault_of_the_program_keeps_its_traceback():
    assert in_one_line(ValueError('x')) is in_one_line(RuntimeError('shapes differ')) is None
    with pytest.raises(ZeroDivisionError), one_line_errors():
        print(1 / 0)


def test_a_wrapped_error_of_the_disk_is_told_as_one():
    try:
        try:
            raise OSError(errno.EIO, 'Input/output error', 'ckpt.pt')
        except OSError:
            raise RuntimeError('unexpected pos 64 vs 0') from None
    except RuntimeError as error:
        assert in_one_line(error) == 'ckpt.pt: Input/output error'


def script(code, **environment):
    code = f'from engine.errors import one_line_errors, UserError\nwith one_line_errors():\n    {code}'
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                          env=os.environ | dict(PYTHONPATH='.') | environment)


def test_every_process_speaks_for_itself(root, monkeypatch):
    monkeypatch.chdir(root)
    result = script('raise UserError("no")', **TORCHRUN)
    assert result.returncode == 2 and result.stderr == 'error (process 3 of 4): no\n'
    result = script('raise UserError("no")', RANK='1')
    assert result.returncode == 2 and result.stderr == 'error: no\n'


def test_a_terminal_without_a_letter_shows_a_question_mark(root, monkeypatch):
    monkeypatch.chdir(root)
    result = script('print("café ± \U0001f600")', PYTHONIOENCODING='ascii')
    assert (result.returncode, result.stdout) == (0, 'caf? ? ?\n')
    assert script('raise KeyboardInterrupt').returncode == 130


def test_an_error_of_several_lines_is_one(root, monkeypatch):
    monkeypatch.chdir(root)
    assert script('raise UserError("one\\ntwo")').stderr == 'error: one two\n'


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='needs /dev/full')
@pytest.mark.parametrize('code', ['print(1)', 'print(1); raise UserError("x")', 'print(1); sys.exit(0)'])
def test_output_to_a_full_disk_is_one_line(code, root, monkeypatch):
    """What is left in the buffer of stdout makes Python complain once more at its end, with exit code 120."""
    monkeypatch.chdir(root)
    code = f'import sys; from engine.errors import one_line_errors, UserError\nwith one_line_errors(): {code}'
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONUNBUFFERED'}
    with open('/dev/full', 'w', encoding='utf-8') as full:
        result = subprocess.run([sys.executable, '-c', code], stdout=full, stderr=subprocess.PIPE, text=True,
                                env=environment | dict(PYTHONPATH='.'))
    says = 'x' if 'UserError' in code.splitlines()[1] else 'No space left on device'
    assert (result.returncode, result.stderr) == (2, f'error: {says}\n')
