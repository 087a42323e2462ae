"""Files that are whole or absent."""
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
