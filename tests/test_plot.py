"""The command: every figure is explained, and what is not one is refused."""
import csv
import os
import subprocess
import sys

import pytest
from training import command, rows

import plot
from engine.errors import UserError


def test_every_figure_is_named_in_the_usage():
    assert all(f'`{name}`' in plot.__doc__ for name in plot.FIGURES)


@pytest.mark.parametrize('words', [[], ['demo'], ['figure', 'out/demo']])
def test_a_figure_and_folders_are_needed(words):
    with pytest.raises(UserError, match=r'give a figure \(demo, table, .*\) and the folders of its runs'):
        plot.main(words)


@pytest.mark.slow
def test_from_training_to_tables(tmp_path, root):
    """train.py, eval_tasks.py, sample.py and plot.py by their command lines, in a folder of their own."""
    def python(*words):
        return subprocess.run([sys.executable, *words], cwd=root, check=True, capture_output=True, text=True)

    folders = [str(tmp_path / name) for name in ('looped', 'plain')]
    for folder, stages in zip(folders, ('1x2', '2x1'), strict=True):
        python(*command(folder, f'--stages={stages}', '--max_steps=30')[1:])
        assert python('eval_tasks.py', folder, '--examples=300').stderr == ''
        assert os.path.getsize(os.path.join(folder, 'test.png')) > 5000
    assert [row['loops'] for row in rows(folders[0], 'test.csv')] == ['1', '2', '3', '4']
    out = str(tmp_path / 'demo')
    table = python('plot.py', 'demo', *folders, f'--out={out}').stdout
    assert '| 1x2 | 1' in table and '| one hop |' in table and os.path.getsize(out + '.png') > 5000
    with open(out + '.csv', encoding='utf-8', newline='') as file:
        assert [row['model'] for row in csv.DictReader(file)] == ['1x2', '2x1', 'majority letter', 'one hop']
    result = python('sample.py', folders[0], '--prompt=abcadbcadbcabdca')
    assert result.stdout.count('\n  loops ') == 4 and 'true answer' in result.stdout and result.stderr == ''
