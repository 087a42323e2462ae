"""The command: every stopping rule, figures of what it writes, loop counts, baselines."""
import csv

import pytest
from training import PARITY, rows, run

import eval_tasks
import plot
from engine.errors import UserError
from engine.stopping import RULES

CPU = ['--device=cpu', '--dtype=float32']


def test_train_evaluate_and_draw_under_stopping_rules(tmp_path, capsys):
    """Every rule at every length, means of steps by hand, both figures of Fan et al. 2025."""
    folder = run(tmp_path / 'run', **PARITY)
    eval_tasks.main([folder, '--examples=40', '--loops_max=8', *CPU])
    with open(f'{folder}/test.csv', encoding='utf-8') as file:
        found = list(csv.DictReader(file))
    assert [(row['difficulty'], row['rule']) for row in found] == [(n, rule) for n in '246' for rule in RULES]
    assert [float(row['loops']) for row in found if row['rule'] == 'oracle'] == [2, 4, 6]
    with open(f'{folder}/steps.csv', encoding='utf-8') as file:
        steps = list(csv.DictReader(file))
    at_oracle = {(row['difficulty'], row['step']): row['accuracy'] for row in steps}
    assert [row['accuracy'] for row in found if row['rule'] == 'oracle'] == [at_oracle[n, n] for n in '246']
    capsys.readouterr()
    plot.main(['lengths', folder, f'--out={tmp_path}/figure'])
    plot.main(['steps', folder, f'--out={tmp_path}/steps'])
    assert '| FAP-Loop-Adaptive | oracle |' in capsys.readouterr().out
    assert (tmp_path / 'figure.png').stat().st_size < 200_000 > (tmp_path / 'steps.png').stat().st_size


def test_a_sweep_over_loop_counts(tmp_path, capsys):
    """Twice the trained count by default, one count without the sweep; a validation split of its own."""
    folder = run(tmp_path / 'run')
    capsys.readouterr()
    eval_tasks.main([folder, '--examples=30', *CPU])
    assert [(row['difficulty'], row['loops']) for row in rows(folder, 'test.csv')] == [
        (p, loops) for p in '12' for loops in '1234']
    assert {row['baseline'] for row in rows(folder, 'baselines.csv')} == {'majority letter', 'one hop'}
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith('1x2, difficulty 1, loops 1: accuracy ') and first.endswith(', 30 test examples')
    eval_tasks.main([folder, '--examples=30', '--sweep=False', *CPU])
    assert [row['loops'] for row in rows(folder, 'test.csv')] == ['2', '2']
    eval_tasks.main([folder, '--examples=30', '--loops=3,0', '--split=val', *CPU])
    assert [row['loops'] for row in rows(folder, 'val.csv')] == ['3', '0'] * 2
    assert (tmp_path / 'run' / 'test.png').exists() and (tmp_path / 'run' / 'val.png').exists()


def test_a_plain_model_takes_no_loop_counts(tmp_path):
    folder = run(tmp_path / 'run', stages='2x1', max_steps=4)
    eval_tasks.main([folder, '--examples=30', *CPU])
    assert [row['loops'] for row in rows(folder, 'test.csv')] == ['1', '1']
    with pytest.raises(UserError, match='2x1 holds no loop'):
        eval_tasks.main([folder, '--loops=2', *CPU])
