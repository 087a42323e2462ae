"""Every table and figure, from the CSV files that training and evaluation leave.

    python plot.py demo out/demo_1x1 out/demo_1x4 out/demo_4x1 --out=out/demo

prints the table of these runs and writes it, its CSV and its figure: OUT.md, OUT.csv, OUT.png. In place of
`demo`, `table` makes the table alone, with the paper's numbers where --paper names a CSV of them; `lengths`
draws accuracy against length for B's methods (B, Fig. 4 and 5) and `steps` accuracy and confidence after
every loop (B, Fig. 6); `similarity` how alike the layers of regularized runs are (A, Fig. 2). Of language
models, `text` tables bits per byte, `downstream` makes A's Tables 3 and 4, `tasks` Tables 5 to 8; `isoplot`
draws scores against log perplexity (A, Fig. 1), `scaling` against log depth; `composition` draws A's Thm 5.1
from what theory.py leaves. Runs that differ by their seed only are one row or line: mean and spread over
seeds.
"""
import os
import re
import sys
from collections import defaultdict
from statistics import mean, stdev

import matplotlib.pyplot as plt

from engine.configurator import UserError, configure, one_line_errors
from plots.composition import composition
from plots.downstream_tables import downstream, model_name, tasks
from plots.drawing import COLORS, PlotConfig, markdown_table, read_config, read_csv, save, write_table
from plots.isoplots import isoplot, scaling
from problems.lengths import LENGTH_TASKS
from stages import parse_stages, trained_loops


def read_run(folder: str) -> dict:
    """config, metrics, eval, test and baselines of a run's folder."""
    names = ('metrics', 'eval', 'test', 'baselines')
    run = {name: read_csv(os.path.join(folder, f'{name}.csv')) for name in names} | read_config(folder)
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
    return {f"{row['difficulty']:g}": 100 * row['accuracy'] for row in run['test']
            if row['loops'] == loops or row.get('rule') == 'oracle'}


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
    lines = []
    for name, group in groups.items():
        first, trained = group[0], group[0]['steps'] != ''
        cells = [name, *(f'{first[key]:,}' if trained else ''
                         for key in ('parameters', 'training_flops_per_token', 'steps'))]
        cells.append(spread([row['training_minutes'] for row in group], 1))
        cells += [spread([row[key] for row in group], 2) for key in ours]
        cells += [str(first[key]) for key in theirs]
        cells.append(str(len({row['seed'] for row in group})) if trained else '')
        lines.append(cells)
    return markdown_table(head, lines)


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
    save(figure, path)


def loops_figure(folder: str, split: str):
    """Accuracy, or bits per byte, against loops, a line for each difficulty, beside the CSV they come from.

    Under stopping rules there is no one loop count: no figure.
    """
    rows = read_csv(os.path.join(folder, f'{split}.csv'))
    if 'rule' in rows[0]:
        return
    figure, axes = plt.subplots(figsize=(5, 3.4))
    for color, difficulty in zip(COLORS * 9, dict.fromkeys(row['difficulty'] for row in rows), strict=False):
        own = [row for row in rows if row['difficulty'] == difficulty]
        of_text = 'bits_per_byte' in own[0]
        scores = [row['bits_per_byte'] if of_text else 100 * row['accuracy'] for row in own]
        axes.plot([row['loops'] for row in own], scores, marker='o', color=color,
                  label=f'difficulty {difficulty:g}')
    name = os.path.basename(os.path.normpath(folder))
    axes.set(xlabel='loops', title=f'{name}, {split}')
    axes.set(**dict(ylabel='bits per byte') if of_text else dict(ylabel='accuracy %', ylim=(0, 102)))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize=8)
    save(figure, os.path.join(folder, f'{split}.png'))


def method_of(config: dict) -> str:
    """B's name of a run's method (B, Sec. 6.1.2 and 6.3)."""
    name = config['answer'].upper()
    if config['adaptive_loops']:
        return 'FAP-Loop-Adaptive' if config['input_injection'] else 'FAP-Loop-Adaptive-WO'
    if trained_loops(parse_stages(config['stages'])) > 1:
        name += '-Loop'
    return name + '-Pause' * (config['pause_tokens'] > 0)


def length_rows(runs: list[dict]) -> list[dict]:
    """Exact match in percent by method, stopping rule and length: mean and standard error over seeds."""
    groups = defaultdict(list)
    for run in runs:
        for row in run['test']:
            groups[method_of(run['config']), row.get('rule', ''), int(row['difficulty'])].append(row)
    return [dict(method=method, rule=rule, length=length, seeds=len(rows),
                 accuracy=round(100 * mean(row['accuracy'] for row in rows), 2),
                 standard_error=round(100 * stdev(row['accuracy'] for row in rows) / len(rows) ** 0.5, 2)
                 if len(rows) > 1 else '', loops=round(mean(row['loops'] for row in rows), 2))
            for (method, rule, length), rows in groups.items()]


def lengths(folders: list[str], config: PlotConfig):
    """Exact match against length, a line for each method; dashed: the longest in training (B, Fig. 4)."""
    runs = [read_run(folder) for folder in folders]
    if len({run['config']['task'] for run in runs}) > 1 or runs[0]['config']['task'] not in LENGTH_TASKS:
        raise UserError("lengths takes runs of one of B's tasks")
    rows, trained = length_rows(runs), runs[0]['config']['max_length']
    figure, axes = plt.subplots(figsize=(6, 3.6))
    lines = list(dict.fromkeys((row['method'], row['rule']) for row in rows))
    methods = list(dict.fromkeys(method for method, _ in lines))
    for method, rule in lines:
        if rule in ('', 'oracle', 'confidence of the batch'):
            own = sorted((row for row in rows if (row['method'], row['rule']) == (method, rule)),
                         key=lambda row: row['length'])
            label = f'{method}, {rule}' if rule else method
            axes.errorbar([row['length'] for row in own], [row['accuracy'] for row in own],
                          yerr=[row['standard_error'] or 0 for row in own], label=label, elinewidth=0.8,
                          linestyle='--' if rule.startswith('confidence') else '-',
                          color=COLORS[methods.index(method)])
    axes.axvline(trained + 0.5, color='grey', linestyle='--', linewidth=1)
    axes.set(xlabel='length', ylabel='exact match %', title=runs[0]['config']['task'], ylim=(-2, 103))
    axes.legend(fontsize=8)
    save(figure, f'{config.out}.png')
    write_table(rows, lengths_markdown(rows, trained), config.out)
    print(f'figure: {config.out}.png')


def lengths_markdown(rows: list[dict], trained: int) -> str:
    """Exact match in distribution (mean over its lengths) and at lengths 0, 5, 10 and 20 beyond."""
    tested = {row['length'] for row in rows}
    shown = [trained + more for more in (0, 5, 10, 20) if trained + more in tested]
    head = ['method', 'stops by', f'mean, 1 to {trained}', *map(str, shown), 'seeds']
    lines = []
    for method, rule in dict.fromkeys((row['method'], row['rule']) for row in rows):
        own = {row['length']: row for row in rows if (row['method'], row['rule']) == (method, rule)}
        inside = mean(row['accuracy'] for length, row in own.items() if length <= trained)
        errors = [own[n]['standard_error'] for n in shown]
        cells = [f"{own[n]['accuracy']:.2f}" + (f' ± {error:.2f}' if error != '' else '')
                 for n, error in zip(shown, errors, strict=True)]
        lines.append([method, rule or 'fixed', f'{inside:.2f}', *cells, str(own[shown[0]]['seeds'])])
    return markdown_table(head, lines, left=2)


def text(folders: list[str], config: PlotConfig):
    """Bits per byte of language models, and how alike their matrices are, k layers apart (A, Sec. 4)."""
    rows = []
    for folder in folders:
        about, metrics = read_config(folder), read_csv(os.path.join(folder, 'metrics.csv'))
        score = [row.get('bits_per_byte') for row in read_csv(os.path.join(folder, 'test.csv'))
                 if row['loops'] == about['about']['loops']]
        if len(score) != 1 or not isinstance(score[0], float):
            raise UserError(f'{folder}/test.csv has no bits per byte at the trained loop count: text takes '
                            'language models, after eval_tasks.py without --loops')
        rows.append(dict(model=model_name(about['config']), seed=about['config']['seed'],
                         parameters=about['about']['parameters'],
                         training_flops_per_token=about['about']['flops_per_token'],
                         tokens=int(metrics[-1]['tokens']),
                         training_minutes=round(training_minutes(dict(metrics=metrics)), 2),
                         bits_per_byte=round(score[0], 4), similarity=matrix_similarity(folder)))
    head = ['model', 'parameters', 'training FLOPs a token', 'tokens', 'training minutes', 'bits per byte',
            'cosine of matrices']
    lines = [[row['model'], f"{row['parameters']:,}", f"{row['training_flops_per_token']:,}",
              f"{row['tokens']:,}", f"{row['training_minutes']:.1f}", f"{row['bits_per_byte']:.3f}",
              str(row['similarity'])] for row in rows]
    write_table(rows, markdown_table(head, lines), config.out)


def matrix_similarity(folder: str) -> float | str:
    """The mean over groups of matrices and pairs of layers at the end; '' where it was not logged."""
    path = os.path.join(folder, 'similarity.csv')
    rows = read_csv(path) if os.path.exists(path) else []
    last = [row['cosine'] for row in rows if row['step'] == rows[-1]['step'] and row['kind'] == 'matrix']
    return round(mean(last), 3) if last else ''


def steps(folders: list[str], config: PlotConfig):
    """Exact match and cross entropy after every loop, at the longest tested length (B, Fig. 6)."""
    figure, panels = plt.subplots(1, len(folders), figsize=(4.6 * len(folders), 3.2), squeeze=False)
    for axes, folder in zip(panels[0], folders, strict=True):
        rows, run = read_csv(os.path.join(folder, 'steps.csv')), read_run(folder)
        longest = max(row['difficulty'] for row in rows)
        own = [row for row in rows if row['difficulty'] == longest]
        surest, = (row['loops'] for row in run['test']
                   if row['difficulty'] == longest and row['rule'] == 'confidence of the batch')
        x = [row['step'] for row in own]
        axes.plot(x, [100 * row['accuracy'] for row in own], color=COLORS[0], label='exact match %')
        chosen = f'step chosen, {surest:.3g} on average'
        axes.axvline(surest, color='grey', linestyle='--', linewidth=1, label=chosen)
        needed = own[0]['needed']
        axes.axvline(needed, color='grey', linestyle=':', linewidth=1, label=f'T = {needed:g}')
        right = axes.twinx()
        right.plot(x, [row['confidence'] for row in own], color=COLORS[1], label='cross entropy')
        right.set(ylabel='cross entropy, nats', yscale='log')
        axes.set(xlabel='loop', ylabel='exact match %', title=f"{run['config']['task']}, length {longest:g}",
                 ylim=(-2, 103))
        handles = [part for side in (axes, right) for part in side.get_legend_handles_labels()[0]]
        axes.legend(handles=handles, fontsize=7, loc='upper center', bbox_to_anchor=(0.5, -0.24), ncols=2)
    save(figure, f'{config.out}.png')
    print(f'figure: {config.out}.png')


def similarity(folders: list[str], config: PlotConfig):
    """Cosine of layer i with layer i + k at the end, a line for each group of matrices (A, Fig. 2)."""
    size = (4.6 * len(folders), 3.2)
    figure, panels = plt.subplots(1, len(folders), figsize=size, squeeze=False, sharey=True)
    for axes, folder in zip(panels[0], folders, strict=True):
        rows = read_csv(os.path.join(folder, 'similarity.csv'))
        last = [row for row in rows if row['step'] == rows[-1]['step'] and row['kind'] == 'matrix']
        for color, group in zip(COLORS * 2, dict.fromkeys(row['group'] for row in last), strict=False):
            own = [row for row in last if row['group'] == group]
            axes.plot([row['layer'] for row in own], [row['cosine'] for row in own], marker='o', markersize=3,
                      color=color, label=group.removesuffix('.weight'))
        name = os.path.basename(os.path.normpath(folder))
        axes.set(xlabel='layer', title=f"{name}, step {rows[-1]['step']:g}", ylim=(-0.1, 1.05))
        axes.xaxis.get_major_locator().set_params(integer=True)
    panels[0][0].set(ylabel='cosine with the layer k further')
    panels[0][-1].legend(fontsize=7)
    save(figure, f'{config.out}.png')
    print(f'figure: {config.out}.png')


def table(folders: list[str], config: PlotConfig) -> list[dict]:
    """Prints the table of runs and writes it as CSV and Markdown; returns the runs."""
    runs = [read_run(folder) for folder in folders]
    rows = table_rows(runs, config.paper)
    write_table(rows, markdown(rows), config.out)
    return runs


def demo(folders: list[str], config: PlotConfig):
    """The table and the figure of the demo."""
    demo_figure(table(folders, config), f'{config.out}.png')
    print(f'figure: {config.out}.png')


FIGURES = {'demo': demo, 'table': table, 'lengths': lengths, 'steps': steps, 'similarity': similarity,
           'text': text, 'downstream': downstream, 'tasks': tasks, 'isoplot': isoplot, 'scaling': scaling,
           'composition': composition}


def main(argv):
    config, words = configure(PlotConfig, argv, __doc__, positional='words')
    if len(words) < 2 or words[0] not in FIGURES:
        raise UserError(f'give a figure ({", ".join(FIGURES)}) and the folders of its runs')
    FIGURES[words[0]](words[1:], config)


if __name__ == '__main__':
    with one_line_errors():
        main(sys.argv[1:])
