"""theory.py as a command: the table, the products by loop, what it refuses."""
import csv

import pytest

import plot
import theory
from engine.errors import UserError


def test_held_products_are_those_of_algorithm_2():
    for n in (1, 5, 8):
        spans = [(i, i) for i in range(n + 1)]  # first and last factor; (0, 0) is the identity
        for loop in range(len(f'{n - 1:b}') + 1 if n > 1 else 1):
            rows = [row for row in theory.held_products(n) if row['loop'] == loop]
            assert [(row['first'], row['last']) for row in rows] == spans
            pairs = [(spans[max(0, 2 * i - n - 1)], spans[max(0, 2 * i - n)]) for i in range(n + 1)]
            spans = [(a[0] or b[0], b[1]) for a, b in pairs]
        assert spans[-1] == (1, n) or n == 1


def test_the_table_is_written_and_drawn(tmp_path, capsys):
    assert theory.TheoryConfig().out == 'out/theory.csv'  # not the published table
    theory.main(['--inputs=20', '--steps=0', f'--out={tmp_path}/t.csv'])
    with open(tmp_path / 't.csv', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    assert {row['theorem'] for row in rows} == {'5.1', '5.2', '5.3', '5.4', 'B'}
    assert all(row['mismatches'] == '0' for row in rows)
    assert all(int(row['mismatches_one_loop_fewer']) > 0 for row in rows if row['loops'] != '0')
    assert all(float(row['max_error'] or 0) < 1e-4 for row in rows)
    assert '| 5.4 | 8 | 160 | 0 | 0e+00 | at least 100% |' in capsys.readouterr().out
    plot.main(['composition', f'{tmp_path}/t_group.csv', f'--out={tmp_path}/g'])
    assert 1000 < (tmp_path / 'g.png').stat().st_size < 200_000
    with pytest.raises(UserError, match='theory.py writes one'):
        plot.main(['composition', f'{tmp_path}/none.csv'])


def test_a_theorem_that_is_not_there_is_refused():
    with pytest.raises(UserError, match='5.1, 5.2, 5.3, 5.4, B'):
        theory.main(['--theorems=5.1,5.9'])
    with pytest.raises(UserError, match='options only'):
        theory.main(['5.1'])


@pytest.mark.slow
def test_a_base_trained_by_train_py_is_simulated(tmp_path):
    theory.main(['--theorems=5.2', '--inputs=500', '--steps=60', f'--out={tmp_path}/t.csv'])
    with open(tmp_path / 't.csv', encoding='utf-8') as file:
        *_, row = csv.DictReader(file)
    assert row['case'].startswith('trained 4x1, accuracy') and row['inputs'] == '500'
    assert row['mismatches'] == '0' and float(row['max_error']) < 1e-4
    assert row['used'] == 'layers 1, d 134, ff 2058, heads 16 x 33'
