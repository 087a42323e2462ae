"""Every table and figure, from the CSV files that training and evaluation leave.

    python plot.py demo out/demo_1x1 out/demo_1x4 out/demo_4x1 --out=out/demo

prints the table of these runs and writes it, its CSV and its figure: OUT.md, OUT.csv, OUT.png.
Runs that differ by their seed only are one row: mean and spread over seeds.
"""
import csv
import json
import os
import sys
from collections import defaultdict
from dataclasses import dataclass
from statistics import mean, stdev

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt

from configurator import UserError, configure, one_line_errors

COLORS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000')  # Okabe and Ito 2008


@dataclass
class PlotConfig:
    # --- output
    out: str = 'out/demo'  # path without its ending: .md, .csv and .png are added


def read_csv(path: str) -> list[dict]:
    """The rows of a CSV file, numbers as floats."""
    def value(text):
        try:
            return float(text)
        except ValueError:
            return text
    try:
        with open(path, encoding='utf-8', newline='') as file:
            return [{key: value(text) for key, text in row.items()} for row in csv.DictReader(file)]
    except OSError as error:
        raise UserError(f'{path}: {error.strerror}; run train.py and then eval_tasks.py '
                        'on that folder') from None


def read_run(folder: str) -> dict:
    """config, metrics, eval, test and baselines of a run's folder."""
    names = ('metrics', 'eval', 'test', 'baselines')
    run = {name: read_csv(os.path.join(folder, f'{name}.csv')) for name in names}
    with open(os.path.join(folder, 'config.json'), encoding='utf-8') as file:
        return run | json.load(file) | dict(folder=folder)


def training_minutes(run: dict) -> float:
    """Time in training steps; evaluation and checkpoints are not counted."""
    steps = [0] + [row['step'] for row in run['metrics']]
    return sum(row['ms_per_step'] * (row['step'] - before)
               for before, row in zip(steps, run['metrics'], strict=False)) / 60_000


def accuracy(run: dict) -> float:
    """Test accuracy in percent at the trained loop count, mean over difficulties."""
    loops = run['about']['loops']
    return 100 * mean(row['accuracy'] for row in run['test'] if row['loops'] == loops)


def demo_rows(runs: list[dict]) -> list[dict]:
    """A row for every run, then one for every baseline."""
    rows = []
    for run in runs:
        config, about = run['config'], run['about']
        rows.append(dict(model=config['stages'], seed=config['seed'], parameters=about['parameters'],
                         training_flops_per_token=about['flops_per_token'],
                         steps=int(run['metrics'][-1]['step']),
                         training_minutes=round(training_minutes(run), 2), accuracy=round(accuracy(run), 2),
                         test_examples=int(run['test'][0]['count'])))
    for row in runs[0]['baselines']:
        known = dict(model=row['baseline'], accuracy=round(100 * row['accuracy'], 2),
                     test_examples=int(row['count']))
        rows.append(dict.fromkeys(rows[0], '') | known)
    return rows


def spread(values: list[float], digits: int) -> str:
    """'mean ± standard deviation (lowest)' over seeds, or the one value."""
    if len(values) == 1:
        return f'{values[0]:.{digits}f}'
    return f'{mean(values):.{digits}f} ± {stdev(values):.{digits}f}'


def markdown(rows: list[dict]) -> str:
    """The table, runs of several seeds as one row."""
    groups = defaultdict(list)
    for row in rows:
        groups[row['model']].append(row)
    head = ('| model | parameters | training FLOPs a token | steps | training minutes | test accuracy % '
            '| seeds |')
    lines = [head, '|---|---:|---:|---:|---:|---:|---:|']
    for name, group in groups.items():
        first = group[0]
        scores = spread([row['accuracy'] for row in group], 2)
        if first['steps'] == '':
            lines.append(f'| {name} | | | | | {scores} | |')
            continue
        minutes = spread([row['training_minutes'] for row in group], 1)
        lines.append(f"| {name} | {first['parameters']:,} | {first['training_flops_per_token']:,} "
                     f"| {first['steps']:,} | {minutes} | {scores} | {len(group)} |")
    return '\n'.join(lines)


def demo_figure(runs: list[dict], path: str):
    """Left: validation accuracy against steps. Right: test accuracy against the loops at inference."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
    stages = list(dict.fromkeys(run['config']['stages'] for run in runs))
    for run in runs:
        name = run['config']['stages']
        color = COLORS[stages.index(name)]
        label = name if run['config']['seed'] == min(r['config']['seed'] for r in runs) else None
        left.plot([row['step'] for row in run['eval']], [100 * row['accuracy'] for row in run['eval']],
                  color=color, label=label, linewidth=1.5)
        loops = [row['loops'] for row in run['test']]
        scores = [100 * row['accuracy'] for row in run['test']]
        if len(loops) > 1:
            right.plot(loops, scores, marker='o', markersize=4, color=color, label=label)
            right.axvline(run['about']['loops'], color='grey', linewidth=0.8, linestyle=':')
        else:
            right.axhline(scores[0], color=color, linestyle='--', linewidth=1, label=label)
    for row, style in zip(runs[0]['baselines'], (':', '-.'), strict=False):
        left.axhline(100 * row['accuracy'], color='grey', linestyle=style, linewidth=1, label=row['baseline'])
    left.set(xlabel='step', ylabel='accuracy %', title='validation, as training proceeds', ylim=(0, 102))
    right.set(xlabel='loops at inference (dotted: as trained)', title='test, by loops')
    left.legend(fontsize=8)
    right.legend(fontsize=8, loc='center left')
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def loops_figure(folder: str, split: str):
    """Accuracy against loops, a line for each difficulty, beside the CSV that it is read from."""
    rows = read_csv(os.path.join(folder, f'{split}.csv'))
    figure, axes = plt.subplots(figsize=(5, 3.4))
    for color, difficulty in zip(COLORS * 9, dict.fromkeys(row['difficulty'] for row in rows), strict=False):
        own = [row for row in rows if row['difficulty'] == difficulty]
        axes.plot([row['loops'] for row in own], [100 * row['accuracy'] for row in own], marker='o',
                  color=color, label=f'difficulty {difficulty:g}')
    name = os.path.basename(os.path.normpath(folder))
    axes.set(xlabel='loops', ylabel='accuracy %', title=f'{name}, {split}', ylim=(0, 102))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(os.path.join(folder, f'{split}.png'), dpi=110)
    plt.close(figure)


def demo(folders: list[str], out: str):
    runs = [read_run(folder) for folder in folders]
    rows = demo_rows(runs)
    with open(f'{out}.csv', 'w', encoding='utf-8', newline='') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with open(f'{out}.md', 'w', encoding='utf-8') as file:
        file.write(markdown(rows) + '\n')
    demo_figure(runs, f'{out}.png')
    print(markdown(rows))
    print(f'\nfigure: {out}.png, rows: {out}.csv')


FIGURES = {'demo': demo}


def main(argv):
    config, words = configure(PlotConfig, argv, __doc__, positional='words')
    if len(words) < 2 or words[0] not in FIGURES:
        raise UserError(f'give a figure ({", ".join(FIGURES)}) and the folders of its runs')
    FIGURES[words[0]](words[1:], config.out)


if __name__ == '__main__':
    with one_line_errors():
        main(sys.argv[1:])
