"""bench.py: what is written is what was measured, and the peers are imported when they are needed."""
import csv
import subprocess
import sys

import pytest

import bench
from peers.cases import Size


def test_rows_measured_anew_replace_the_old(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, 'matmul_peak', lambda *_: 1e9)
    monkeypatch.setattr(bench, 'ROWS', dict(a=lambda runtime: iter([Size('a', 'x', 1, 2, 'MB')]),
                                            b=lambda runtime: iter([Size('b', 'y', 1, 3, 'MB')])))
    out = str(tmp_path / 'bench')
    bench.main(['rows', f'--out={out}'])
    monkeypatch.setattr(bench, 'ROWS', dict(a=lambda runtime: iter([Size('a', 'x', 1, 4, 'MB')]), b=None))
    bench.main(['rows', '--rows=a', f'--out={out}'])
    with open(out + '.csv', encoding='utf-8', newline='') as file:
        assert {(row['row'], row['ratio']) for row in csv.DictReader(file)} == {('a', '4.0'), ('b', '3.0')}
    with pytest.raises(SystemExit), bench.one_line_errors():
        bench.main(['rows', '--rows=c'])
    assert "no row 'c'" in capsys.readouterr().err


def test_importing_it_imports_no_peer(root):
    code = 'import bench, sys; print(*sys.modules)'
    result = subprocess.run([sys.executable, '-c', code], cwd=root, check=True, capture_output=True,
                            text=True)
    assert not {'transformers', 'lm_eval', 'matplotlib'} & set(result.stdout.split())


def test_methods_of_fan_et_al_beside_their_times(tmp_path, root, monkeypatch):
    monkeypatch.chdir(root)
    out = str(tmp_path / 'table')
    bench.main(['inference', 'config/laptop/parity.py', '--length=5', '--batch=3', '--repeats=1',
                '--device=cpu', '--dtype=float32', f'--out={out}'])
    with open(out + '.csv', encoding='utf-8', newline='') as file:
        rows = {row['method']: row for row in csv.DictReader(file)}
    assert list(rows) == ['oracle', 'confidence', 'FAP', 'FAP-Pause', 'NTP', 'NTP-Pause', 'NTP-Loop']
    assert all(float(row['milliseconds']) > 0 for row in rows.values())
    assert (rows['FAP']['times_fap'], rows['oracle']['paper_times_fap']) == ('1.0', '1.76')
