"""Tables from CSV files: ours beside the paper's, means over seeds, and what is refused."""
import csv
import json

import pytest

import plot
from engine.configurator import UserError


def fake_run(folder, stages, seed, scores, max_steps=10, last=10):
    """A run's folder as train.py and eval_tasks.py leave it; scores by difficulty."""
    folder.mkdir()
    files = {'metrics': [dict(step=5, ms_per_step=6000), dict(step=last, ms_per_step=12000)],
             'eval': [dict(step=10, accuracy=0.5)],
             'test': [dict(difficulty=d, loops=loops, accuracy=score if loops == 2 else 0, count=100)
                      for d, score in scores.items() for loops in (1, 2)],
             'baselines': [dict(baseline='guess', difficulty=d, accuracy=0.25, count=100) for d in scores]}
    for name, rows in files.items():
        with open(folder / f'{name}.csv', 'w', encoding='utf-8', newline='') as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    config = dict(config=dict(stages=stages, seed=seed, max_steps=max_steps),
                  about=dict(parameters=1234, flops_per_token=5678, loops=2))
    (folder / 'config.json').write_text(json.dumps(config), encoding='utf-8')
    return str(folder)


def test_table_with_the_papers_numbers(tmp_path, capsys):
    folders = [fake_run(tmp_path / f'{stages}{seed}', stages, seed, {8: score, 16: 0.5})
               for stages, seed, score in (('1x12', 0, 0.9), ('1x12', 1, 0.8), ('2x6', 0, 1.0))]
    plot.main(['table', *folders, f'--out={tmp_path}/new/t', '--paper=results/paper_table1_addition.csv'])
    text = capsys.readouterr().out
    assert '| 1x12 | 1,234 | 5,678 | 10 | 1.5 ± 0.0 | 85.00 ± 7.07 | 50.00 ± 0.00 | 99.9 | 100.0 |' in text
    assert '| 2x6 | 1,234 | 5,678 | 10 | 1.5 | 100.00 | 50.00 | 100.0 | 99.8 | 1 |' in text
    assert '| guess |  |  |  |  | 25.00 | 25.00 |  |  |  |' in text
    with open(tmp_path / 'new' / 't.csv', encoding='utf-8') as file:
        assert [row['paper_8'] for row in csv.DictReader(file)] == ['99.9', '99.9', '100.0', '']


@pytest.mark.parametrize('table,model,difficulty,percent', [
    ('table1_phop', '3x1', '32', 73.0), ('table1_addition', '2x1', '24', 49.3),
    ('table2_igsm', '2x4', '', 73.6)])
def test_the_papers_numbers_are_found(table, model, difficulty, percent):
    assert plot.read_paper(f'results/paper_{table}.csv')[model, difficulty] == percent


def test_a_table_of_one_number_for_all_difficulties(tmp_path):
    runs = [plot.read_run(fake_run(tmp_path / 'run', '2x4', 0, {15: 0.7}))]
    assert plot.table_rows(runs, 'results/paper_table2_igsm.csv')[0]['paper_15'] == 73.6


def test_unfinished_or_unevaluated_runs_are_refused(tmp_path):
    with pytest.raises(UserError, match='not finished'):
        plot.read_run(fake_run(tmp_path / 'cut', '1x2', 0, {8: 1.0}, last=7))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='eval_tasks.py'):
        plot.read_run(str(tmp_path / 'empty'))


def test_text_table_of_bits_per_byte_and_similarity(tmp_path, capsys):
    """Bits per byte at the trained loops; of the last step's matrices the mean cosine."""
    files = {'metrics': [dict(step=10, tokens=500, ms_per_step=6000)],
             'test': [dict(loops=loops, bits_per_byte=bits) for loops, bits in ((1, 2.5), (3, 2.25))],
             'similarity': [dict(step=step, group=group, kind=kind, layer=0, cosine=cosine)
                            for step, group, kind, cosine in (
                                (5, 'a', 'matrix', 0.1), (10, 'a', 'matrix', 0.5), (10, 'b', 'matrix', 0.75),
                                (10, 'n', 'vector', 1.0))]}
    for name, rows in files.items():
        with open(tmp_path / f'{name}.csv', 'w', encoding='utf-8', newline='') as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    about = dict(config=dict(stages='6x1', seed=0, regularize_k=2, regularize_weight=10.0),
                 about=dict(parameters=1234, flops_per_token=5678, loops=3))
    (tmp_path / 'config.json').write_text(json.dumps(about), encoding='utf-8')
    plot.main(['text', str(tmp_path), f'--out={tmp_path}/t'])
    assert '| 6x1 reg2 | 1,234 | 5,678 | 500 | 1.0 | 2.250 | 0.625 |' in capsys.readouterr().out
