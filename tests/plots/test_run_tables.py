"""Tables of runs: ours beside the paper's, means over seeds; the figure beside an evaluation's CSV file."""
import pytest
from run_folders import read, write_run

import plot
from engine.files import write_csv
from plots.run_tables import loops_figure, published_accuracies, table_rows
from plots.runs import read_run


def test_table_with_the_papers_numbers(tmp_path, capsys):
    folders = [write_run(tmp_path / f'{stages}{seed}', stages, seed, {8: accuracy, 16: 0.5})
               for stages, seed, accuracy in (('1x12', 0, 0.9), ('1x12', 1, 0.8), ('2x6', 0, 1.0))]
    plot.main(['table', *folders, f'--out={tmp_path}/new/t', '--paper=results/paper_table1_addition.csv'])
    text = capsys.readouterr().out
    assert text.splitlines()[0].endswith('test % (8) | test % (16) | paper % (8) | paper % (16) | seeds |')
    assert '| 1x12 | 1,234 | 5,678 | 10 | 1.5 ± 0.0 | 85.00 ± 7.07 | 50.00 ± 0.00 | 99.9 | 100.0 |' in text
    assert '| 2x6 | 1,234 | 5,678 | 10 | 1.5 | 100.00 | 50.00 | 100.0 | 99.8 | 1 |' in text
    assert '| guess |  |  |  |  | 25.00 | 25.00 |  |  |  |' in text
    assert [row['paper_8'] for row in read(tmp_path / 'new' / 't.csv')] == ['99.9', '99.9', '100.0', '']


def test_a_table_of_one_number_for_all_difficulties(tmp_path):
    runs = [read_run(write_run(tmp_path / 'run', '2x4', 0, {15: 0.7}))]
    assert table_rows(runs, 'results/paper_table2_igsm.csv')[0]['paper_15'] == 73.6


@pytest.mark.parametrize('table,model,difficulty,percent', [
    ('table1_phop', '3x1', '32', 73.0), ('table1_addition', '2x1', '24', 49.3),
    ('table2_igsm', '2x4', '', 73.6)])
def test_the_papers_numbers_are_found(table, model, difficulty, percent):
    assert published_accuracies(f'results/paper_{table}.csv')[model, difficulty] == percent


def test_accuracy_and_bits_are_drawn_but_nothing_under_stopping_rules(tmp_path):
    rows = [dict(difficulty=d, loops=loops, accuracy=0.5) for d in (4, 8) for loops in (1, 2, 3)]
    files = {'test': rows, 'val': [row | dict(accuracy='', bits_per_byte=2.0) for row in rows],
             'rules': [row | dict(rule='oracle') for row in rows]}
    for split, rows in files.items():
        write_csv(f'{tmp_path}/{split}.csv', rows)
        loops_figure(str(tmp_path), split)
    assert {path.name for path in tmp_path.glob('*.png')} == {'test.png', 'val.png'}
