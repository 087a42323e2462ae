"""Few-shot scores: a mean and its error, over tasks and over seeds, %Gap, and how they stand in a table."""
import math
from statistics import mean, stdev
from typing import NamedTuple


class Score(NamedTuple):
    """A mean and its standard error; 0 where that is not known."""
    value: float
    error: float = 0.0


def mean_score(scores: dict, names) -> Score | None:
    """The plain mean of the tasks `names`, its error from theirs; None where any is missing."""
    if not scores.keys() >= set(names):
        return None
    values, errors = zip(*[scores[name] for name in names], strict=True)
    return Score(mean(values), math.hypot(*errors) / len(errors))  # tasks err independently


def mean_over_seeds(scores: list[Score | None]) -> Score | None:
    """The mean over one model's runs, its error that of the examples or, where larger, that over seeds.
    All runs are prompted with the same examples, whose errors do not average out."""
    if None in scores:
        return None
    values, errors = zip(*scores, strict=True)
    error = mean(errors)
    if len(values) > 1:  # one seed leaves the spread unknown
        error = max(error, stdev(values) / math.sqrt(len(values)))
    return Score(mean(values), error)


def means_over_seeds(seeds: list, columns: dict) -> dict:
    """{column: Score or None} of {column: its tasks}: means over the tasks and one model's runs."""
    means = {}
    for name, tasks in columns.items():
        means[name] = mean_over_seeds([mean_score(run['last_scores'], tasks) for run in seeds])
    return means


def percent_gap(score: Score | None, iso_param: Score | None, iso_flop: Score | None) -> float | str:
    """How much of the gap between the baselines looping closes (Saunshi et al. 2025, Eq. 3), percent. 'n/a'
    without one of the three, or where the baselines differ by no more than twice their standard error."""
    if None in (score, iso_param, iso_flop):
        return 'n/a'
    whole = iso_flop.value - iso_param.value
    noise = math.hypot(iso_param.error, iso_flop.error)
    if abs(whole) <= 2 * noise:
        return 'n/a'
    return 100 * (score.value - iso_param.value) / whole


def cell(score, digits=1) -> str:
    """For Markdown: a Score with its error if that is known, or a number; n/a for None, words as they are."""
    if score is None:
        return 'n/a'
    if isinstance(score, Score):
        text = f'{score.value:.{digits}f}'
        return f'{text} ± {score.error:.{digits}f}' if score.error else text
    return f'{score:.{digits}f}' if isinstance(score, float) else score


def rounded(number):
    """For CSV: four digits of a number, anything else as it is."""
    return round(number, 4) if isinstance(number, float) else number


def rounded_pair(score: Score | None) -> tuple:
    """For CSV: the value and the standard error of a score, which is '' where it is not known."""
    if score is None:
        return 'n/a', ''
    return rounded(score.value), rounded(score.error or '')
