"""The files of a run: rows that a resumed run writes again, what config.json says."""
import os
import shutil

import pytest
from training import assert_same_runs, run, stop_at

from engine import logs


def test_rows_after_the_checkpoint_are_written_again(tmp_path, monkeypatch):
    """A run killed between checkpoints leaves rows past its last checkpoint, the last one cut short."""
    whole = run(tmp_path / 'whole')
    with monkeypatch.context() as patch:
        stop_at(patch, 5)
        with pytest.raises(SystemExit):
            run(tmp_path / 'cut')
    cut = str(tmp_path / 'cut')
    for name in ('metrics.csv', 'eval.csv'):
        shutil.copy(os.path.join(whole, name), os.path.join(cut, name))
        with open(os.path.join(cut, name), 'a', encoding='utf-8') as file:
            file.write('1')
    run(cut, resume='auto')
    assert_same_runs(whole, cut)


def test_without_git_a_run_still_starts(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    assert logs.git_commit() == 'unknown'


def test_what_a_kill_left_half_written_goes(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 5)
        with pytest.raises(SystemExit):
            run(tmp_path / 'run')
    (tmp_path / 'run' / 'best.pt.tmp').write_bytes(b'half')
    run(tmp_path / 'run', resume='auto')
    assert not list((tmp_path / 'run').glob('*.tmp'))
