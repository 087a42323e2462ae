"""Every table and figure, from the CSV files that training and evaluation leave.

    python plot.py demo out/demo_1x1 out/demo_1x4 out/demo_4x1 --out=out/demo

prints the table of these runs and writes it, its CSV and its figure: OUT.md, OUT.csv, OUT.png. `table` in
place of `demo` makes the table alone, with the paper's numbers where --paper names a CSV of them.
Runs that differ by their seed only are one row: mean and spread over seeds.
"""
import csv
import json
import os
import re
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
    paper: str = ''        # table: CSV of the paper's numbers, shown beside ours


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
    try:
        with open(os.path.join(folder, 'config.json'), encoding='utf-8') as file:
            run |= json.load(file)
    except OSError as error:
        raise UserError(f'{folder}/config.json: {error.strerror}') from None
    if not run['metrics'] or run['metrics'][-1]['step'] < run['config']['max_steps']:
        raise UserError(f'{folder} is not finished; train.py with --resume=auto goes on with it')
    if not accuracies(run):
        raise UserError(f'{folder}/test.csv lacks the trained loop count; run eval_tasks.py without --loops')
    return run


def training_minutes(run: dict) -> float:
    """Time in training steps; evaluation and checkpoints are not counted."""
    steps = [0] + [row['step'] for row in run['metrics']]
    return sum(row['ms_per_step'] * (row['step'] - before)
               for before, row in zip(steps, run['metrics'], strict=False)) / 60_000


def accuracies(run: dict) -> dict:
    """Test accuracy in percent at the trained loop count, by difficulty."""
    loops = run['about']['loops']
    return {f"{row['difficulty']:g}": 100 * row['accuracy'] for row in run['test'] if row['loops'] == loops}


def table_rows(runs: list[dict], paper: str = '') -> list[dict]:
    """A row for every run, the paper's numbers beside it where there are any, then one for every baseline."""
    published = read_paper(paper) if paper else {}
    found = {name for run in runs for name in accuracies(run)}
    difficulties = sorted(found, key=float)
    rows = []
    for run in runs:
        config, about, scores = run['config'], run['about'], accuracies(run)
        row = dict(model=config['stages'], seed=config['seed'], parameters=about['parameters'],
                   training_flops_per_token=about['flops_per_token'],
                   steps=int(run['metrics'][-1]['step']), training_minutes=round(training_minutes(run), 2),
                   test_examples=int(run['test'][0]['count']))
        row |= {f'accuracy_{name}': round(scores[name], 2) if name in scores else '' for name in difficulties}
        if paper:
            alone = published.get((row['model'], ''), '')  # a table of one number for each model
            row |= {f'paper_{name}': published.get((row['model'], name), alone) for name in difficulties}
        rows.append(row)
    baselines = defaultdict(dict)
    for row in (row for run in runs for row in run['baselines']):
        baselines[row['baseline']][f"accuracy_{row['difficulty']:g}"] = round(100 * row['accuracy'], 2)
    return rows + [dict.fromkeys(rows[0], '') | dict(model=name) | own for name, own in baselines.items()]


def read_paper(path: str) -> dict:
    """{(model, difficulty): percent} of a table of A; its columns are n8, p16, or plain accuracy."""
    numbers = {}
    for row in read_csv(path):
        for column, value in row.items():
            if column != 'model':
                numbers[row['model'], re.sub(r'[^0-9]', '', column)] = value
    return numbers


def spread(values: list, digits: int) -> str:
    """'mean ± standard deviation' over seeds, or the one value; '' where there is none."""
    values = [value for value in values if value != '']
    if len(values) < 2:
        return ''.join(f'{value:.{digits}f}' for value in values)
    return f'{mean(values):.{digits}f} ± {stdev(values):.{digits}f}'


def markdown(rows: list[dict]) -> str:
    """The table, runs of several seeds as one row."""
    groups = defaultdict(list)
    for row in rows:
        groups[row['model']].append(row)
    ours = [name for name in rows[0] if name.startswith('accuracy_')]
    theirs = [name for name in rows[0] if name.startswith('paper_')]
    titles = [f"test % ({name.split('_')[1]})" for name in ours] if len(ours) > 1 else ['test accuracy %']
    titles += [f"A % ({name.split('_')[1]})" for name in theirs]
    head = ['model', 'parameters', 'training FLOPs a token', 'steps', 'training minutes', *titles, 'seeds']
    lines = ['| ' + ' | '.join(head) + ' |', '|---' + '|---:' * (len(head) - 1) + '|']
    for name, group in groups.items():
        first, trained = group[0], group[0]['steps'] != ''
        cells = [name, *(f'{first[key]:,}' if trained else ''
                         for key in ('parameters', 'training_flops_per_token', 'steps'))]
        cells.append(spread([row['training_minutes'] for row in group], 1))
        cells += [spread([row[key] for row in group], 2) for key in ours]
        cells += [str(first[key]) for key in theirs]
        cells.append(str(len({row['seed'] for row in group})) if trained else '')
        lines.append('| ' + ' | '.join(cells) + ' |')
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


def table(folders: list[str], config: PlotConfig) -> list[dict]:
    """Prints the table of runs and writes it as CSV and Markdown; returns the runs."""
    runs = [read_run(folder) for folder in folders]
    rows = table_rows(runs, config.paper)
    os.makedirs(os.path.dirname(config.out) or '.', exist_ok=True)
    with open(f'{config.out}.csv', 'w', encoding='utf-8', newline='') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with open(f'{config.out}.md', 'w', encoding='utf-8') as file:
        file.write(markdown(rows) + '\n')
    print(markdown(rows))
    print(f'\nrows: {config.out}.csv')
    return runs


def demo(folders: list[str], config: PlotConfig):
    """The table and the figure of the demo."""
    demo_figure(table(folders, config), f'{config.out}.png')
    print(f'figure: {config.out}.png')


FIGURES = {'demo': demo, 'table': table}


def main(argv):
    config, words = configure(PlotConfig, argv, __doc__, positional='words')
    if len(words) < 2 or words[0] not in FIGURES:
        raise UserError(f'give a figure ({", ".join(FIGURES)}) and the folders of its runs')
    FIGURES[words[0]](words[1:], config)


if __name__ == '__main__':
    with one_line_errors():
        main(sys.argv[1:])
