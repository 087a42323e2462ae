"""Lines fitted to the scores of language models (Saunshi et al. 2025).
Isoplots: scores against log perplexity as training proceeds, a line for each run (Fig. 1). The scaling law:
score = alpha * log D + beta (natural log), D = kL the effective depth, for looped and for plain models."""
import math
from statistics import StatisticsError, correlation, linear_regression, variance
from typing import NamedTuple

import numpy as np

from engine.errors import UserError
from plots.drawing import COLORS, colors_of, legend_below, new_panels, save_and_announce
from plots.scored_runs import TASK_GROUPS, TITLES, missing_notes, read_scored_runs
from plots.scores import cell, mean_score, rounded
from plots.tables import PlotConfig, column, group_rows, markdown_table, write_table
from stages import effective_depth, is_looped

PLAIN = 'plain Dx1'
PAPER_RATIO = {'reasoning_primitives': 1.19}  # alpha, looped / alpha, plain; the paper states no other


# --- fits

class Fit(NamedTuple):
    """y = slope * x + intercept; error: the slope's standard error, 0 where two points leave it unknown."""
    slope: float
    intercept: float
    r_squared: float
    error: float


def fit_line(x: list, y: list) -> Fit | None:
    """Least squares; None where the points determine no line or no R²: too few, or all of one x or one y."""
    try:
        slope, intercept = linear_regression(x, y)
        r_squared = correlation(x, y) ** 2
    except StatisticsError:
        return None
    error = 0.0
    if len(x) > 2:
        unexplained = max(0.0, 1 - r_squared) * variance(y)
        error = math.sqrt(unexplained / variance(x) / (len(x) - 2))
    return Fit(slope, intercept, r_squared, error)


def fit_columns(line: Fit | None, names: tuple) -> dict:
    """The slope, the intercept and R² under three names; n/a without a line."""
    if line is None:
        return dict.fromkeys(names, 'n/a')
    return dict(zip(names, map(rounded, line[:3]), strict=True))


def fit_cells(points: list, fitted: dict) -> list:
    """For Markdown: the number of points, then the columns of their fit."""
    return [str(len(points)), *[cell(number, 2) for number in fitted.values()]]


def point_rows(points: list, labels: dict, fitted: dict) -> list:
    """For CSV: a row for each point, its numbers rounded, between its labels and the columns of the fit."""
    rows = []
    for point in points:
        row = {name: rounded(value) for name, value in point.items()}
        rows.append(labels | row | fitted)
    return rows


def publish(figure, rows: list, head: list, lines: list, runs: list, out: str):
    """Writes OUT.png, OUT.csv and OUT.md; what the runs lack, if anything, stands beneath the table."""
    text = markdown_table(head, lines, left=2)
    notes = missing_notes(runs)
    if notes:
        text = '\n'.join([text, '', *notes])
    write_table(rows, text, out)
    save_and_announce(figure, out)


# --- isoplots

def make_isoplot(folders: list, config: PlotConfig):
    """Draws and tables a line for each run and group of tasks; points are steps with a loss and all tasks."""
    runs = read_scored_runs(folders)
    rows = []
    lines = []
    for group, names in TASK_GROUPS.items():
        for run in runs:
            points = isoplot_points(run, names, config.first_step)
            line = fit_line(column(points, 'log_perplexity'), column(points, 'score'))
            fitted = fit_columns(line, ('slope', 'intercept', 'r_squared'))
            lines.append([TITLES[group], run['model'], str(run['seed']), *fit_cells(points, fitted)])
            labels = dict(group=group, model=run['model'], seed=run['seed'], looped=is_looped(run['stages']))
            rows += point_rows(points, labels, fitted)
    if not rows:
        raise UserError('no step is both in eval.csv and, with all tasks of a group, in downstream.csv: '
                        'run eval_downstream.py on kept checkpoints')

    head = ['group', 'model', 'seed', 'points', 'slope, % a nat', 'intercept, %', 'R²']
    publish(isoplot_figure(rows), rows, head, lines, runs, config.out)


def isoplot_points(run: dict, names: tuple, first_step: int) -> list:
    """Step, log perplexity (nats) and mean score of the tasks at every step where both are known."""
    points = []
    for step, scores in sorted(run['scores'].items()):
        score = mean_score(scores, names)
        loss = scores.get('log_perplexity')
        if step >= first_step and None not in (score, loss):
            points.append(dict(step=step, log_perplexity=loss.value, score=score.value))
    return points


def isoplot_figure(rows: list):
    """A panel for each group; log perplexity falls upwards; squares are looped, circles plain."""
    panels = new_panels(len(TASK_GROUPS), width=3, height=3.4, sharey=True, layout='constrained')
    panel_of = dict(zip(TASK_GROUPS, panels, strict=True))
    colors = colors_of(column(rows, 'model'))
    for (group, model, _), points in group_rows(rows, 'group', 'model', 'seed').items():
        axes = panel_of[group]
        first = points[0]
        losses = column(points, 'log_perplexity')
        marker = 's' if first['looped'] else 'o'
        axes.plot(column(points, 'score'), losses, marker, color=colors[model], markersize=4.5, label=model)
        if first['slope'] != 'n/a':
            ends = np.array([min(losses), max(losses)])
            fitted = first['slope'] * ends + first['intercept']
            axes.plot(fitted, ends, color=colors[model], linewidth=1.2)

    for group, axes in panel_of.items():
        axes.set(xlabel='score %', title=TITLES[group])
    panels[0].set(ylabel='validation log perplexity, nats')
    panels[0].invert_yaxis()
    legend_below(panels)
    return panels[0].figure


# --- the scaling law

def make_scaling_figure(folders: list, config: PlotConfig):
    """Draws and tables both lines of each group of tasks, and the ratio of their alphas."""
    runs = read_scored_runs(folders)
    k = looped_layers(runs)
    looped_runs = [run for run in runs if run['stages'][0].layers == k]  # with kx1, a point of both
    plain_runs = [run for run in runs if not is_looped(run['stages'])]
    rows = []
    lines = []
    for group, names in TASK_GROUPS.items():
        looped = depth_points(looped_runs, names)
        plain = depth_points(plain_runs, names)
        looped_fit = fit_depths(looped)
        plain_fit = fit_depths(plain)
        ratio = slope_ratio(looped_fit, plain_fit)
        paper_ratio = PAPER_RATIO.get(group, '') if runs[0]['of_papers_width'] else ''
        ratios = dict(ratio=rounded(ratio), paper_ratio=paper_ratio)
        for kind, points, line in ((f'looped {k}xL', looped, looped_fit), (PLAIN, plain, plain_fit)):
            fitted = fit_columns(line, ('alpha', 'beta', 'r_squared'))
            rows += point_rows(points, dict(group=group, kind=kind), fitted | ratios)
            ratio_cells = ['', ''] if kind == PLAIN else [cell(ratio, 2), cell(paper_ratio, 2)]
            lines.append([TITLES[group], kind, *fit_cells(points, fitted), *ratio_cells])
    if not rows:
        raise UserError('no run has all tasks of a group: run eval_downstream.py on them')

    head = ['group', 'models', 'points', 'alpha, %', 'beta, %', 'R²', 'alpha looped / plain', 'paper']
    publish(scaling_figure(rows), rows, head, lines, runs, config.out)


def looped_layers(runs: list) -> int:
    """The k of the looped models kxL. UserError for several k, for none, and for other models than these."""
    ks = set()
    for run in runs:
        if len(run['stages']) > 1 or run['config'].get('regularize_weight'):
            raise UserError(f"{run['folder']} is {run['model']}: scaling takes kxL and Dx1, not regularized")
        if is_looped(run['stages']):
            ks.add(run['stages'][0].layers)
    if len(ks) != 1:
        found = ' and '.join(map(str, sorted(ks))) or 'missing'
        raise UserError(f'scaling takes looped models kxL of one k and plain ones; here k is {found}')
    return ks.pop()


def depth_points(runs: list, names: tuple) -> list:
    """Model, effective depth and mean score of the tasks, of every run that has them all."""
    points = []
    for run in runs:
        score = mean_score(run['last_scores'], names)
        if score is not None:
            points.append(dict(model=run['model'], seed=run['seed'], depth=effective_depth(run['stages']),
                               score=score.value, standard_error=score.error))
    return points


def fit_depths(points: list) -> Fit | None:
    """The line through the scores over log depth; its slope is alpha."""
    log_depths = [math.log(depth) for depth in column(points, 'depth')]
    return fit_line(log_depths, column(points, 'score'))


def slope_ratio(looped: Fit | None, plain: Fit | None) -> float | str:
    """alpha of looped models / alpha of plain ones; n/a where the latter is within twice its error of 0."""
    if looped is None or plain is None or plain.slope <= 2 * plain.error:
        return 'n/a'
    return looped.slope / plain.slope


def scaling_figure(rows: list):
    """A panel for each group: score against effective depth on a log axis, with the fitted lines."""
    panels = new_panels(len(TASK_GROUPS), width=3, height=3.5, layout='constrained')
    depths = sorted(set(column(rows, 'depth')))
    by_group = group_rows(rows, 'group')
    for axes, group in zip(panels, TASK_GROUPS, strict=True):
        points = by_group.get(group, [])
        for kind, of_kind in sorted(group_rows(points, 'kind').items()):
            draw_kind(axes, kind, of_kind, depths)
        ratio = cell(points[0]['ratio'], 2) if points else 'n/a'
        axes.set_title(f'{TITLES[group]}\nratio of alpha: {ratio}')
        axes.set(xlabel='effective depth D', xscale='log')
        axes.set_xticks(depths, list(map(str, depths)))
        axes.minorticks_off()

    panels[0].set(ylabel='score %')
    legend_below(panels)
    return panels[0].figure


def draw_kind(axes, kind: str, points: list, depths: list):
    """The points of plain models, blue circles, or of looped, orange squares, and their line if any."""
    color = COLORS[0] if kind == PLAIN else COLORS[1]
    marker = 'o' if kind == PLAIN else 's'
    axes.errorbar(column(points, 'depth'), column(points, 'score'), column(points, 'standard_error'),
                  fmt=marker, color=color, markersize=4.5, label=kind)
    alpha = points[0]['alpha']
    if alpha != 'n/a':
        axes.plot(depths, alpha * np.log(depths) + points[0]['beta'], color=color, linewidth=1.2)
