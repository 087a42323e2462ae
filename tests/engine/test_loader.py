"""Batches made ahead by worker processes."""
import pytest
from training import assert_same_runs, rows, run


@pytest.mark.parametrize('task', [dict(task='addition', operands=(2, 3), test_operands=(4,), digits=1),
                                  dict(task='igsm', max_ops=(3,), max_edges=6),
                                  dict(task='group', elements=4),
                                  dict(task='variables')])
def test_every_task_trains_the_same_with_any_number_of_workers(tmp_path, task):
    short = dict(max_steps=4, eval_interval=2, supervise='all') | task
    alone, ahead = (run(tmp_path / str(n), data_workers=n, **short) for n in (0, 2))
    assert_same_runs(alone, ahead)
    assert len(rows(alone, 'metrics.csv')) == 4
