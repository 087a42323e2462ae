"""The table of trained runs, a row for each, with the paper's numbers beside ours; figures of accuracy: the
demo's, and the one over loop counts that eval_tasks.py leaves in a run's folder."""
import os
import re
from statistics import mean, stdev

from engine.errors import UserError
from plots.drawing import colors_of, new_panels, save_and_announce, save_figure, whole_number_ticks
from plots.runs import read_run, training_minutes
from plots.tables import PlotConfig, column, group_rows, markdown_table, percents, read_csv, write_table


def make_run_table(folders: list, config: PlotConfig):
    runs = list(map(read_run, folders))
    rows = table_rows(runs, config.paper)
    write_table(rows, run_table_text(rows), config.out)


def make_demo(folders: list, config: PlotConfig):
    figure = demo_figure(list(map(read_run, folders)))  # before anything is written
    make_run_table(folders, config)
    save_and_announce(figure, config.out)


def table_rows(runs: list, paper: str = '') -> list:
    """A row for every run, with the numbers of the CSV file `paper` if one is given, then the baselines'."""
    published = published_accuracies(paper) if paper else {}
    difficulties = sorted(set().union(*column(runs, 'accuracies')), key=float)  # a run may lack some
    rows = []
    for run in runs:
        model = run['model']
        about = run['about']
        metrics = run['metrics']
        row = dict(model=model, seed=run['seed'], parameters=about['parameters'],
                   training_flops_per_token=about['flops_per_token'], steps=int(metrics[-1]['step']),
                   training_minutes=training_minutes(metrics), test_examples=int(run['test'][0]['count']))
        for difficulty in difficulties:
            row[f'accuracy_{difficulty}'] = run['accuracies'].get(difficulty, '')
        if paper:
            only_number = published.get((model, ''), '')  # of a table without difficulties
            for difficulty in difficulties:
                row[f'paper_{difficulty}'] = published.get((model, difficulty), only_number)
        rows.append(row)
    return rows + shortcut_rows(runs, rows[0])


def published_accuracies(path: str) -> dict:
    """{(model, difficulty): percent} of a table of the paper; its columns are n8, p16, or accuracy."""
    accuracies = {}
    for row in read_csv(path):
        model = row['model']
        for name, value in row.items():
            if name != 'model':
                difficulty = re.sub(r'[^0-9]', '', name)  # 'n8' -> '8', 'accuracy' -> ''
                accuracies[model, difficulty] = value
    return accuracies


def shortcut_rows(runs: list, columns: dict) -> list:
    """A row for each shortcut that does not solve the task: the same columns, with accuracies alone."""
    rows = {}  # by name; of several runs on the same test set the last one counts
    for run in runs:
        for baseline in run['baselines']:
            name = baseline['baseline']
            row = rows.setdefault(name, dict.fromkeys(columns, '') | dict(model=name))
            name = f"accuracy_{baseline['difficulty']:g}"
            if name not in columns:
                raise UserError(f"{run['folder']}: baselines.csv has difficulty {baseline['difficulty']:g}, "
                                'test.csv has not; run eval_tasks.py again')
            row[name] = round(100 * baseline['accuracy'], 2)
    return list(rows.values())


def run_table_text(rows: list) -> str:
    """The table in Markdown; runs that differ by their seed only are one row, mean and spread."""
    ours = [name for name in rows[0] if name.startswith('accuracy_')]
    papers = [name for name in rows[0] if name.startswith('paper_')]  # none without --paper
    head = ['model', 'parameters', 'training FLOPs a token', 'steps', 'training minutes']
    for name in ours:
        head.append(f"test % ({name.removeprefix('accuracy_')})" if len(ours) > 1 else 'test accuracy %')
    head += [f"paper % ({name.removeprefix('paper_')})" for name in papers]

    lines = []
    for model, group in group_rows(rows, 'model').items():
        first = group[0]
        trained = first['steps'] != ''  # a shortcut has no size and no steps
        line = [model]
        for name in ('parameters', 'training_flops_per_token', 'steps'):
            line.append(f'{first[name]:,}' if trained else '')
        line.append(mean_and_sd(column(group, 'training_minutes'), 1))
        line += [mean_and_sd(column(group, name), 2) for name in ours]
        line += [str(first[name]) for name in papers]
        line.append(str(len(set(column(group, 'seed')))) if trained else '')
        lines.append(line)
    return markdown_table([*head, 'seeds'], lines)


def mean_and_sd(values: list, digits: int) -> str:
    """'mean ± standard deviation' over seeds, or the one value; '' where there is none."""
    numbers = [value for value in values if value != '']
    if not numbers:
        return ''
    text = f'{mean(numbers):.{digits}f}'
    return f'{text} ± {stdev(numbers):.{digits}f}' if len(numbers) > 1 else text


def demo_figure(runs: list):
    """Left: validation accuracy against steps. Right: test accuracy against the loops at inference."""
    left, right = new_panels(2, width=4.5, height=3.4, sharey=True)
    colors = colors_of(column(runs, 'model'))
    first_seed = min(column(runs, 'seed'))
    for run in runs:
        # a model's seeds share a colour and one entry of the legend
        label = run['model'] if run['seed'] == first_seed else None
        style = dict(color=colors[run['model']], label=label)
        left.plot(column(run['eval'], 'step'), percents(run['eval']), linewidth=1.5, **style)
        loops = column(run['test'], 'loops')
        accuracies = percents(run['test'])
        if len(loops) == 1:  # a model without loops is a level
            right.axhline(accuracies[0], linestyle='--', linewidth=1, **style)
        else:
            right.plot(loops, accuracies, marker='o', markersize=4, **style)
            right.axvline(run['about']['loops'], color='grey', linewidth=0.8, linestyle=':')

    # levels that need no training
    for baseline, linestyle in zip(runs[0]['baselines'], (':', '-.'), strict=False):
        left.axhline(100 * baseline['accuracy'], color='grey', linestyle=linestyle, linewidth=1,
                     label=baseline['baseline'])
    left.set(xlabel='step', ylabel='accuracy %', title='validation, as training proceeds', ylim=(0, 102))
    right.set(xlabel='loops at inference (dotted: as trained)', title='test, by loops')
    left.legend(fontsize=8)
    right.legend(fontsize=8, loc='center left')
    return left.figure


def loops_figure(folder: str, split: str):
    """Draws accuracy, or bits per byte, of FOLDER/SPLIT.csv against loops as FOLDER/SPLIT.png.
    Under stopping rules no loop count is common to all examples, and there is no figure."""
    rows = read_csv(folder, f'{split}.csv')
    if 'rule' in rows[0]:
        return
    of_text = 'bits_per_byte' in rows[0]
    axes = new_panels(1, width=5, height=3.4)[0]
    by_difficulty = group_rows(rows, 'difficulty')
    colors = colors_of(by_difficulty)
    for difficulty, tests in by_difficulty.items():
        scores = column(tests, 'bits_per_byte') if of_text else percents(tests)
        axes.plot(column(tests, 'loops'), scores, marker='o', color=colors[difficulty],
                  label=f'difficulty {difficulty:g}')

    name = os.path.basename(os.path.normpath(folder))
    axes.set(xlabel='loops', title=f'{name}, {split}')
    if of_text:
        axes.set(ylabel='bits per byte')
    else:
        axes.set(ylabel='accuracy %', ylim=(0, 102))
    whole_number_ticks(axes)
    axes.legend(fontsize=8)
    save_figure(axes.figure, os.path.join(folder, f'{split}.png'))
