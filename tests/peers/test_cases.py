"""A row of bench.py: above 1 ours is better, whatever is measured."""
from engine.runtime import start
from peers import cases
from peers.cases import Case, Size


def test_ratios_above_one_are_better(monkeypatch):
    """A clock that goes forward by what a function says."""
    now = [0.0]
    monkeypatch.setattr(cases.time, 'perf_counter', lambda: now[0])

    def lasts(*seconds):
        left = list(seconds)
        return lambda: now.__setitem__(0, now[0] + left.pop(0))
    runtime = start('cpu', 'float32', 'False')
    case = Case('row', 'case', lasts(9, 1, 2, 1), lasts(9, 3, 3, 4), 100, 'things/s', flops=50,
                peer_work=200)
    row = cases.rate_row(case, runtime, 3, dict(float32=100))
    assert (row['ours'], row['peer'], row['mfu']) == ('100', '66.67', 0.5)
    assert (row['ratio'], row['low'], row['high']) == (3, 1.5, 4)
    once = cases.rate_row(Case('row', 'case', lasts(2), lasts(8), 1, 'starts/s', once=True), runtime, 3, {})
    assert (once['ratio'], once['low'], once['high'], once['mfu']) == (4, '', '', '')
    size = cases.size_row(Size('row', 'case', 2, 5, 'MB'), runtime)
    assert (size['ours'], size['peer'], size['ratio']) == ('2', '5', 2.5)
    alone = cases.size_row(Size('row', 'case', 2, None, 'graphs'), runtime)
    assert (alone['ours'], alone['peer'], alone['ratio']) == ('2', '', '')
