"""Length generalization: names of methods, means and errors over seeds, the table's lengths."""
import pytest
from run_folders import read, write_folder

import plot
from engine.errors import UserError
from plots.length_figures import method_of

FAP = dict(answer='fap', adaptive_loops=False, input_injection=False, pause_tokens=0, stages='6x1',
           task='parity', max_length=10, max_steps=10)
ADAPTIVE = FAP | dict(stages='1x6', adaptive_loops=True, input_injection=True)


def length_run(folder, config, seed, accuracies, rule=''):
    rows = [dict(difficulty=length, loops=6, accuracy=accuracy, count=100) | (dict(rule=rule) if rule else {})
            for length, accuracy in accuracies.items()]
    return write_folder(folder, config | dict(seed=seed), dict(loops=6), test=rows, baselines=rows,
                        metrics=[dict(step=10, ms_per_step=1)], eval=[dict(step=10, accuracy=0.5)])


@pytest.mark.parametrize('changes,name', [
    ({}, 'FAP'), (dict(pause_tokens=3), 'FAP-Pause'), (dict(answer='ntp', stages='1x6'), 'NTP-Loop'),
    (ADAPTIVE, 'FAP-Loop-Adaptive'), (ADAPTIVE | dict(input_injection=False), 'FAP-Loop-Adaptive-WO')])
def test_names_of_methods(changes, name):
    assert method_of(FAP | changes) == name


def test_means_and_standard_errors_over_seeds(tmp_path, capsys):
    """The errors of (0.9, 0.7): 100 * stdev / sqrt(2) = 10; one seed has none."""
    folders = [length_run(tmp_path / 'a', FAP, 0, {5: 1.0, 10: 0.9, 20: 0.2}),
               length_run(tmp_path / 'b', FAP, 1, {5: 1.0, 10: 0.7, 20: 0.4}),
               length_run(tmp_path / 'c', ADAPTIVE, 0, {5: 1.0, 10: 0.5, 20: 0.25}, rule='oracle')]
    plot.main(['lengths', *folders, f'--out={tmp_path}/t'])
    out = capsys.readouterr().out
    assert '| method | stops by | mean, 1 to 10 | 10 | 20 | seeds |' in out
    assert '| FAP | fixed | 90.00 | 80.00 ± 10.00 | 30.00 ± 10.00 | 2 |' in out
    assert '| FAP-Loop-Adaptive | oracle | 75.00 | 50.00 | 25.00 | 1 |' in out
    row = read(tmp_path / 't.csv')[1]
    found = [row[name] for name in ('length', 'accuracy', 'standard_error', 'loops')]
    assert found == ['10', '80.0', '10.0', '6.0']
    assert (tmp_path / 't.png').stat().st_size > 5000


def test_runs_of_other_tasks_are_refused(tmp_path):
    folders = [length_run(tmp_path / task, FAP | dict(task=task), 0, {10: 1.0})
               for task in ('parity', 'phop')]
    for refused in (folders, folders[1:]):
        with pytest.raises(UserError, match='one of the tasks of Fan et al. 2025'):
            plot.main(['lengths', *refused, f'--out={tmp_path}/t'])
