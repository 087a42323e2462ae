"""Lines fitted to the scores of language models, called by plot.py: against log perplexity (A, Fig. 1), and
against log depth, which is A's scaling law.
"""
import math
from collections import defaultdict
from statistics import StatisticsError, correlation, linear_regression, variance
from typing import NamedTuple

import matplotlib.pyplot as plt

from engine.configurator import UserError
from plots.downstream_tables import GROUPS, TITLES, cell, last, mean_score, notes, read_runs, rounded
from plots.drawing import COLORS, PlotConfig, markdown_table, save, write_table
from stages import effective_depth, is_looped

PAPER_RATIO = {'reasoning_primitives': 1.19}  # alpha, looped / alpha, plain; A states no other


class Fit(NamedTuple):
    """y = slope * x + intercept; error: the slope's standard error, 0 where two points leave it unknown."""
    slope: float
    intercept: float
    r_squared: float
    error: float


def fit(x: list[float], y: list[float]) -> Fit | None:
    """Least squares; None where the points determine no line or no R²: too few, or all of one x or one y."""
    try:
        slope, intercept = linear_regression(x, y)
        r_squared = correlation(x, y) ** 2
    except StatisticsError:
        return None
    n, left = len(x), sum((b - slope * a - intercept) ** 2 for a, b in zip(x, y, strict=True))
    error = math.sqrt(left / (n - 2) / (variance(x) * (n - 1))) if n > 2 else 0.0
    return Fit(slope, intercept, r_squared, error)


def fit_columns(line: Fit | None, names: tuple) -> dict:
    """slope, intercept and R² under these names, n/a without a line."""
    return dict(zip(names, map(rounded, line[:3]) if line else ['n/a'] * 3, strict=True))


def isoplot(folders: list[str], config: PlotConfig):
    """A group's score against log perplexity as training proceeds, a line fitted to each run (A, Fig. 1)."""
    runs, rows, lines = read_runs(folders), [], []
    for group, names in GROUPS.items():
        for run in runs:
            points = iso_points(run, names, config.first_step)
            line = fit([loss for _, loss, _ in points], [score for *_, score in points])
            known = fit_columns(line, ('slope', 'intercept', 'r_squared'))
            seed, looped = run['config']['seed'], is_looped(run['stages'])
            rows += [dict(group=group, model=run['model'], seed=seed, looped=looped, step=step,
                          log_perplexity=rounded(loss), score=rounded(score), **known)
                     for step, loss, score in points]
            lines.append([TITLES[group], run['model'], f'{seed}', f'{len(points)}',
                          *(cell(number, 2) for number in known.values())])
    if not rows:
        raise UserError('no step is both in eval.csv and, with all tasks of a group, in downstream.csv: '
                        'run eval_downstream.py on kept checkpoints')
    head = ['group', 'model', 'seed', 'points', 'slope, % a nat', 'intercept, %', 'R²']
    publish(isoplot_figure(rows), rows, markdown_table(head, lines, left=2), runs, config.out)


def iso_points(run: dict, names: tuple, first_step: int) -> list[tuple]:
    """(step, log perplexity, mean score of the tasks) of every step where both are known."""
    steps = sorted(step for step in run['scores'].keys() & run['losses'].keys() if step >= first_step)
    scores = {step: mean_score(run['scores'][step], names) for step in steps}
    return [(step, run['losses'][step]['loss'], score.value) for step, score in scores.items() if score]


def isoplot_figure(rows: list[dict]):
    """A panel for each group; log perplexity falls upwards; squares are looped, circles plain."""
    figure, panels = plt.subplots(1, len(GROUPS), figsize=(12, 3.4), sharey=True, layout='constrained')
    models = list(dict.fromkeys(row['model'] for row in rows))
    for axes, group in zip(panels, GROUPS, strict=True):
        runs = defaultdict(list)
        for row in rows:
            if row['group'] == group:
                runs[row['model'], row['seed']].append(row)
        for (model, _), own in runs.items():
            losses = [row['log_perplexity'] for row in own]
            color, marker = COLORS[models.index(model) % len(COLORS)], 's' if own[0]['looped'] else 'o'
            axes.plot([row['score'] for row in own], losses, marker, color=color, markersize=4.5, label=model)
            if own[0]['slope'] != 'n/a':
                ends = [min(losses), max(losses)]
                axes.plot([own[0]['slope'] * loss + own[0]['intercept'] for loss in ends], ends, color=color,
                          linewidth=1.2)
        axes.set(xlabel='score %', title=TITLES[group])
    panels[0].set(ylabel='validation log perplexity, nats')
    panels[0].invert_yaxis()
    legend_below(figure, panels)
    return figure


def publish(figure, rows: list[dict], text: str, runs: list[dict], out: str):
    """OUT.png, OUT.csv and OUT.md, what is missing beneath."""
    save(figure, f'{out}.png')
    write_table(rows, '\n'.join([text, '', *notes(runs)]).rstrip(), out)
    print(f'figure: {out}.png')


def legend_below(figure, panels):
    """One legend for all panels, outside of them."""
    handles = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(handles.values(), handles, loc='outside lower center', ncols=6, fontsize=9, frameon=False)


def depth_series(runs: list[dict]) -> dict:
    """{'looped 4xL': runs, 'plain Dx1': runs}; 4x1 is in both. UserError for other models than these."""
    for run in runs:
        if len(run['stages']) > 1 or run['config'].get('regularize_weight'):
            raise UserError(f"{run['folder']} is {run['model']}: scaling takes kxL and Dx1, not regularized")
    ks = sorted({run['stages'][0].layers for run in runs if is_looped(run['stages'])})
    if len(ks) != 1:
        raise UserError('scaling takes looped models kxL of one k and plain ones; here k is '
                        f'{" and ".join(map(str, ks)) or "missing"}')
    return {f'looped {ks[0]}xL': [run for run in runs if run['stages'][0].layers == ks[0]],
            'plain Dx1': [run for run in runs if not is_looped(run['stages'])]}


def slope_ratio(looped: Fit | None, plain: Fit | None) -> float | str:
    """alpha of looped models / alpha of plain ones; n/a where the latter is within twice its error of 0."""
    if looped is None or plain is None or plain.slope <= 2 * plain.error:
        return 'n/a'
    return looped.slope / plain.slope


def scaling(folders: list[str], config: PlotConfig):
    """Score = alpha * log D + beta (natural log), D = kL the effective depth, looped and plain models."""
    runs, rows, lines = read_runs(folders), [], []
    series = depth_series(runs)
    for group, names in GROUPS.items():
        points = {kind: depth_points(own, names) for kind, own in series.items()}
        fits = {kind: fit([math.log(depth) for _, depth, _ in own], [score.value for *_, score in own])
                for kind, own in points.items()}
        ratio = slope_ratio(*fits.values())
        paper = PAPER_RATIO.get(group, '') if runs[0]['of_papers_width'] else ''
        for kind, own in points.items():
            known = fit_columns(fits[kind], ('alpha', 'beta', 'r_squared'))
            rows += [dict(group=group, kind=kind, model=run['model'], seed=run['config']['seed'], depth=depth,
                          score=rounded(score.value), standard_error=rounded(score.error), **known,
                          ratio=rounded(ratio), paper_ratio=paper) for run, depth, score in own]
            lines.append([TITLES[group], kind, f'{len(own)}', *(cell(number, 2) for number in known.values()),
                          *([cell(ratio, 2), cell(paper, 2)] if kind.startswith('looped') else ['', ''])])
    if not rows:
        raise UserError('no run has all tasks of a group: run eval_downstream.py on them')
    head = ['group', 'models', 'points', 'alpha, %', 'beta, %', 'R²', 'alpha looped / plain', 'that in A']
    publish(scaling_figure(rows), rows, markdown_table(head, lines, left=2), runs, config.out)


def depth_points(runs: list[dict], names: tuple) -> list[tuple]:
    """(run, effective depth, mean Score of the tasks) of the runs that have them all."""
    points = [(run, effective_depth(run['stages']), mean_score(run['scores'][last(run)], names))
              for run in runs]
    return [point for point in points if point[2]]


def scaling_figure(rows: list[dict]):
    """A panel for each group: score against effective depth on a log axis, with the fitted lines."""
    figure, panels = plt.subplots(1, len(GROUPS), figsize=(12, 3.5), layout='constrained')
    depths, kinds = sorted({row['depth'] for row in rows}), sorted({row['kind'] for row in rows})
    ratios = {row['group']: cell(row['ratio'], 2) for row in rows}
    for axes, group in zip(panels, GROUPS, strict=True):
        for kind in kinds:
            color, marker = (COLORS[1], 's') if kind.startswith('looped') else (COLORS[0], 'o')
            own = [row for row in rows if (row['group'], row['kind']) == (group, kind)]
            if own:
                x, y, error = ([row[name] for row in own] for name in ('depth', 'score', 'standard_error'))
                axes.errorbar(x, y, error, fmt=marker, color=color, markersize=4.5, label=kind)
            if own and own[0]['alpha'] != 'n/a':
                fitted = [own[0]['alpha'] * math.log(depth) + own[0]['beta'] for depth in depths]
                axes.plot(depths, fitted, color=color, linewidth=1.2)
        axes.set(xlabel='effective depth D', xscale='log',
                 title=f"{TITLES[group]}\nratio of alpha: {ratios.get(group, 'n/a')}")
        axes.set_xticks(depths, [f'{depth:g}' for depth in depths])
        axes.minorticks_off()
    panels[0].set(ylabel='score %')
    legend_below(figure, panels)
    return figure
