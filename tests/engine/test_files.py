"""Files that are whole or absent."""
import errno
import os

import pytest

from engine import files


def test_atomic_writes_leave_old_or_new(tmp_path):
    path = str(tmp_path / 'file')
    files.write_atomically(path, lambda file: file.write('old'))
    with pytest.raises(RuntimeError):
        def fail(file):
            file.write('half of the new')
            raise RuntimeError
        files.write_atomically(path, fail)
    with open(path, encoding='utf-8') as file:
        assert file.read() == 'old'
    assert os.listdir(tmp_path) == ['file']


def test_a_full_disk_is_named(tmp_path):
    def fill(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OSError, match=f'No space left on device: .{tmp_path}/file'):
        files.write_atomically(f'{tmp_path}/file', fill)
    assert not os.listdir(tmp_path)


def test_a_folder_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path):
    files.check_writable(f'{tmp_path}/to/be/made')
    assert not os.listdir(tmp_path)
    (tmp_path / 'file').write_text('', encoding='utf-8')
    with pytest.raises(NotADirectoryError, match=f'{tmp_path}/file'):
        files.check_writable(f'{tmp_path}/file/new')
