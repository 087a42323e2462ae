"""The command: every stopping rule, figures of what it writes, loop counts, baselines."""
import csv
import os
import subprocess
import sys

import pytest
from training import PARITY, rows, run

import eval_tasks
import plot
from engine.errors import UserError, one_line_errors
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


def test_tables_go_to_another_folder(tmp_path):
    folder = run(tmp_path / 'run')
    before = sorted(os.listdir(folder))
    eval_tasks.main([folder, '--examples=30', f'--out_dir={tmp_path}/a/b', *CPU])
    assert sorted(os.listdir(tmp_path / 'a' / 'b')) == ['baselines.csv', 'test.csv', 'test.png']
    assert sorted(os.listdir(folder)) == before


@pytest.mark.parametrize('out_dir', ['/proc/self', '/proc/a', '{run}/config.json', '{run}/config.json/a'])
def test_a_folder_that_cannot_be_written_is_found_before_the_work(tmp_path, monkeypatch, capsys, out_dir):
    folder = run(tmp_path / 'run')
    monkeypatch.setattr(eval_tasks, 'evaluate', None)
    with pytest.raises(SystemExit) as left, one_line_errors():
        eval_tasks.main([folder, f'--out_dir={out_dir.format(run=folder)}', *CPU])
    error = capsys.readouterr().err
    assert left.value.code == 2 and error.startswith('error: ') and error.count('\n') == 1


def test_ctrl_c_leaves_with_a_line_and_without_half_of_the_tables(tmp_path, monkeypatch, capsys):
    folder = run(tmp_path / 'run')
    before = sorted(os.listdir(folder))

    def interrupted(*_):
        raise KeyboardInterrupt
    monkeypatch.setattr('engine.evaluation.score', interrupted)
    with pytest.raises(SystemExit) as left, one_line_errors():
        eval_tasks.main([folder, '--examples=30', *CPU])
    assert left.value.code == 130 and capsys.readouterr().err == 'error: stopped by Ctrl-C\n'
    assert sorted(os.listdir(folder)) == before


@pytest.mark.parametrize('options,says', [
    (['--loops_min=0'], 'loops_min=0 must be at least'), (['--loops_min=5', '--loops_max=4'], 'loops_max=4'),
    (['--loops_max=10001'], '0 to 10000'), (['--loops_margin=-1'], '0 to 10000'), (['--group=-1'], 'not neg'),
    (['--threshold=nan'], 'positive'), (['--threshold=0'], 'positive'), (['--loops=-1'], '0 to 10000'),
    (['--examples=0'], 'at least 1'), (['--batch_size=-1'], 'not negative')])
def test_options_out_of_range_are_named(options, says):
    with pytest.raises(UserError, match=says):
        eval_tasks.main(['nowhere', *options, *CPU])


@pytest.mark.slow
def test_the_number_of_processes_changes_no_row(tmp_path, root):
    """Groups of two: the 13th has an example of each of the two processes."""
    folder = run(tmp_path / 'run', **PARITY | dict(max_steps=60, learning_rate=1e-2, test_lengths=(4, 6)))
    options = ['--examples=50', '--batch_size=1', '--group=2', '--threshold=0.5', *CPU]
    eval_tasks.main([folder, f'--out_dir={tmp_path}/one', *options])
    launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    subprocess.run([*launch, 'eval_tasks.py', folder, f'--out_dir={tmp_path}/two', *options], cwd=root,
                   check=True, capture_output=True, env=os.environ | {'OMP_NUM_THREADS': '1'})
    for name in ('test.csv', 'steps.csv'):
        one, two = (rows(tmp_path / part, name) for part in ('one', 'two'))
        assert one == two and len(one) > 1
    chosen = {row['loops'] for row in rows(tmp_path / 'one', 'test.csv') if 'of the batch' in row['rule']}
    assert any(float(loops) % 1 for loops in chosen), chosen  # groups differ
