"""Batches made ahead by worker processes."""
import multiprocessing

import pytest
from training import assert_same_runs, rows, run

from engine.errors import UserError
from problems.phop import PHop


@pytest.mark.parametrize('task', [dict(task='addition', operands=(2, 3), test_operands=(4,), digits=1),
                                  dict(task='igsm', max_ops=(3,), max_edges=6),
                                  dict(task='group', elements=4),
                                  dict(task='variables')])
def test_every_task_trains_the_same_with_any_number_of_workers(tmp_path, task):
    short = dict(max_steps=4, eval_interval=2, supervise='all') | task
    alone, ahead = (run(tmp_path / str(n), data_workers=n, **short) for n in (0, 2))
    assert_same_runs(alone, ahead)
    assert len(rows(alone, 'metrics.csv')) == 4


@pytest.mark.parametrize('workers', [0, 2])
def test_what_a_worker_raises_is_one_line_and_no_worker_stays(workers, tmp_path, monkeypatch):
    """Workers heed no signal: one that was left would keep Python from ending, for ever."""
    real = PHop.train_batch

    def train_batch(task, seed, step, *rest):
        if step == 9:
            raise ValueError('shards: token 300 is too large')
        return real(task, seed, step, *rest)
    monkeypatch.setattr(PHop, 'train_batch', train_batch)
    with pytest.raises(UserError) as error:
        run(tmp_path / 'run', data_workers=workers)
    assert str(error.value) == 'shards: token 300 is too large' and not multiprocessing.active_children()
