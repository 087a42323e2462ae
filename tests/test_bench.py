"""The rows of bench.py: what is measured is the same work, and what is written is what was measured."""
import csv

import pytest
import torch

import bench
from engine.runtime import start
from looped import LoopedGPT
from model import GPTConfig
from peers import rows as bench_rows
from peers.rows import PHOP, Case, Size, our_gradients


def test_ratios_above_one_are_better(monkeypatch):
    """A clock that goes forward by what a function says."""
    now = [0.0]
    monkeypatch.setattr(bench.time, 'perf_counter', lambda: now[0])

    def lasts(*seconds):
        left = list(seconds)
        return lambda: now.__setitem__(0, now[0] + left.pop(0))
    runtime = start('cpu', 'float32', 'False')
    case = Case('row', 'case', lasts(9, 1, 2, 1), lasts(9, 3, 3, 4), 100, 'things/s', flops=50,
                peer_work=200)
    row = bench.rate_row(case, runtime, 3, dict(float32=100))
    assert (row['ours'], row['peer'], row['mfu']) == ('100', '66.67', 0.5)
    assert (row['ratio'], row['low'], row['high']) == (3, 1.5, 4)
    once = bench.rate_row(Case('row', 'case', lasts(2), lasts(8), 1, 'starts/s', once=True), runtime, 3, {})
    assert (once['ratio'], once['low'], once['high'], once['mfu']) == (4, '', '', '')
    size = bench.size_row(Size('row', 'case', 2, 5, 'MB'), runtime)
    assert (size['ours'], size['peer'], size['ratio']) == ('2', '5', 2.5)
    alone = bench.size_row(Size('row', 'case', 2, None, 'graphs'), runtime)
    assert (alone['ours'], alone['peer'], alone['ratio']) == ('2', '', '')


def test_our_step_is_the_mean_loss_in_micro_batches(monkeypatch):
    monkeypatch.setattr(bench_rows, 'micro_batch', lambda *_: 2)
    model, runtime = LoopedGPT(GPTConfig(**PHOP), '1x2'), start('cpu', 'float32', 'False')
    tokens = torch.randint(0, 5, (6, 256))
    (model(tokens, tokens) / tokens.numel()).backward()
    expected = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    our_gradients(PHOP, tokens, runtime)(model)
    for p, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, gradient, atol=1e-6, rtol=1e-4)


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
