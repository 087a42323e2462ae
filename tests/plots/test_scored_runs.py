"""Runs that do not belong into one table are refused, with the remedy; task groups are the paper's."""
import pytest
from run_folders import write_scored_run

import plot
from downstream.fewshot import ALL, TASKS
from engine.errors import UserError
from plots.downstream_tables import PAPER_TABLES
from plots.scored_runs import ALL_TASKS, TASK_GROUPS, published_scores


def test_what_is_refused(tmp_path):
    scores = dict.fromkeys(ALL_TASKS, 20.0)
    a = write_scored_run(tmp_path / 'a', '24x1', scores)
    b = write_scored_run(tmp_path / 'b', '12x1', scores, max_steps=5)
    c = write_scored_run(tmp_path / 'c', '24x1', scores)
    for other, message in ((b, 'max_steps=None, .*b 5: give runs of one recipe'), (c, '24x1 with seed 0')):
        with pytest.raises(UserError, match=message):
            plot.main(['downstream', a, other, f'--out={tmp_path}/t'])
    d = write_scored_run(tmp_path / 'd', '12x1', scores)
    path = tmp_path / 'd' / 'downstream.csv'
    text = path.read_text(encoding='utf-8')
    path.write_text(text.replace('coqa,,5,', 'coqa,,1,'), encoding='utf-8')
    with pytest.raises(UserError, match='coqa has 5 shots and 100 items in .*a, 1 and 100 in .*d'):
        plot.main(['tasks', a, d, f'--out={tmp_path}/t'])
    path.write_text(text.replace('\n30,1,', '\n30,3,'), encoding='utf-8')
    with pytest.raises(UserError, match='lacks the trained loop count 1; run python eval_downstream.py .*d$'):
        plot.main(['downstream', d, f'--out={tmp_path}/t'])
    path.unlink()
    with pytest.raises(UserError, match='No such file or directory; run python eval_downstream.py .*d$'):
        plot.main(['downstream', d, f'--out={tmp_path}/t'])


def test_groups_are_those_of_the_printed_tables_and_of_the_evaluator():
    tables = {group: published_scores(table) for group, table in PAPER_TABLES.items()}
    assert {group: tuple(rows['24x1'])[:-1] for group, rows in tables.items()} == TASK_GROUPS
    assert ALL_TASKS == ALL
    assert all(TASKS[name].group == group for group, names in TASK_GROUPS.items() for name in names)
