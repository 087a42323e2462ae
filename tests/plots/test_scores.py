"""%Gap by hand, and where it says nothing."""
import pytest

from plots.scores import Score, percent_gap


def test_gap():
    assert percent_gap(Score(3), Score(1), Score(5)) == 50 and percent_gap(Score(7), Score(8), Score(6)) == 50
    # 2.1 > 2 * 1.0
    assert percent_gap(Score(9, 5), Score(1, 0.6), Score(3.1, 0.8)) == pytest.approx(100 * 8 / 2.1)
    assert percent_gap(Score(9), Score(1, 0.6), Score(2.9, 0.8)) == 'n/a'
    assert percent_gap(Score(9), Score(3, 0.6), Score(1.1, 0.8)) == 'n/a'
    assert percent_gap(Score(9), Score(2), Score(2)) == percent_gap(None, Score(1), Score(2)) == 'n/a'
    assert percent_gap(Score(1), None, Score(2)) == percent_gap(Score(1), Score(2), None) == 'n/a'
