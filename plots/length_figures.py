"""Length generalization: exact match against length by method (Fan et al. 2025, Fig. 4 and 5), and what every
loop gives at the longest length (Fan et al. 2025, Fig. 6)."""
from operator import itemgetter
from statistics import mean, stdev

from engine.errors import UserError
from plots.drawing import COLORS, colors_of, new_panels, save_and_announce
from plots.runs import read_run
from plots.tables import PlotConfig, column, group_rows, markdown_table, percents, read_csv, write_table
from problems.lengths import LENGTH_TASKS
from stages import parse_stages, trained_loops

DRAWN_RULES = ('', 'oracle', 'confidence of the batch')  # '': a fixed loop count
BEYOND = (0, 5, 10, 20)  # the table's lengths, less the longest in training


def method_of(config: dict) -> str:
    """The name that Fan et al. 2025, Sec. 6.1.2 and 6.3, give to a run's method."""
    if config['adaptive_loops']:
        return 'FAP-Loop-Adaptive' if config['input_injection'] else 'FAP-Loop-Adaptive-WO'
    name = config['answer'].upper()
    if trained_loops(parse_stages(config['stages'])) > 1:
        name += '-Loop'
    if config['pause_tokens'] > 0:
        name += '-Pause'
    return name


def make_length_figure(folders: list, config: PlotConfig):
    """Draws and tables exact match against length, a line for each method; runs must be of one task."""
    runs = list(map(read_run, folders))
    tasks = set(column(column(runs, 'config'), 'task'))
    if len(tasks) > 1 or not tasks <= set(LENGTH_TASKS):
        raise UserError('lengths takes runs of one of the tasks of Fan et al. 2025')
    rows = length_rows(runs)
    trained_length = runs[0]['config']['max_length']
    write_table(rows, length_table_text(rows, trained_length), config.out)
    save_and_announce(length_figure(rows, tasks.pop(), trained_length), config.out)


def length_rows(runs: list) -> list:
    """Exact match in percent by method, stopping rule and length: mean and standard error over seeds."""
    tests = []
    for run in runs:
        method = method_of(run['config'])
        for row in run['test']:
            length = int(row['difficulty'])
            rule = row.get('rule', '')  # a fixed loop count has none
            tests.append(row | dict(method=method, rule=rule, length=length))

    rows = []
    for (method, rule, length), seeds in group_rows(tests, 'method', 'rule', 'length').items():
        accuracies = column(seeds, 'accuracy')
        mean_loops = mean(column(seeds, 'loops'))
        error = ''  # unknown from one seed
        if len(seeds) > 1:
            error = round(100 * stdev(accuracies) / len(seeds) ** 0.5, 2)
        rows.append(dict(method=method, rule=rule, length=length, seeds=len(seeds),
                         accuracy=round(100 * mean(accuracies), 2), standard_error=error,
                         loops=round(mean_loops, 2)))
    return rows


def length_figure(rows: list, task: str, trained_length: int):
    """A line for each method and rule of DRAWN_RULES; dashed upright: the longest length in training."""
    axes = new_panels(1, width=6, height=3.6)[0]
    colors = colors_of(column(rows, 'method'))
    for (method, rule), tested in group_rows(rows, 'method', 'rule').items():
        if rule not in DRAWN_RULES:
            continue
        tested.sort(key=itemgetter('length'))
        errors = [error or 0 for error in column(tested, 'standard_error')]
        # a method has one colour; its rules differ by the style of line
        linestyle = '--' if rule.startswith('confidence') else '-'
        label = f'{method}, {rule}' if rule else method
        axes.errorbar(column(tested, 'length'), column(tested, 'accuracy'), yerr=errors, label=label,
                      elinewidth=0.8, linestyle=linestyle, color=colors[method])

    axes.axvline(trained_length + 0.5, color='grey', linestyle='--', linewidth=1)
    axes.set(xlabel='length', ylabel='exact match %', title=task, ylim=(-2, 103))
    axes.legend(fontsize=8)
    return axes.figure


def length_table_text(rows: list, trained_length: int) -> str:
    """In Markdown, the mean over the lengths in training, and exact match at some lengths beyond."""
    tested = column(rows, 'length')
    shown = [trained_length + beyond for beyond in BEYOND if trained_length + beyond in tested]
    head = ['method', 'stops by', f'mean, 1 to {trained_length}', *map(str, shown), 'seeds']

    lines = []
    for (method, rule), group in group_rows(rows, 'method', 'rule').items():
        in_training = [row['accuracy'] for row in group if row['length'] <= trained_length]
        line = [method, rule or 'fixed', f'{mean(in_training):.2f}']
        by_length = {row['length']: row for row in group}
        for length in shown:
            row = by_length[length]
            error = row['standard_error']
            text = f"{row['accuracy']:.2f}"
            line.append(text if error == '' else f'{text} ± {error:.2f}')
        line.append(str(by_length[shown[0]]['seeds']))
        lines.append(line)
    return markdown_table(head, lines, left=2)


def make_step_figure(folders: list, config: PlotConfig):
    """Draws, for each run, exact match and confidence after every loop at the longest tested length."""
    panels = new_panels(len(folders), width=4.6, height=3.2)
    for axes, folder in zip(panels, folders, strict=True):
        draw_steps(axes, folder)
    save_and_announce(panels[0].figure, config.out)


def draw_steps(left, folder: str):
    """Left axis: exact match; right: cross entropy against the model's own argmax, which is its confidence.
    Upright lines: the step that the rule of the batch chose, and T, the number of steps needed."""
    by_length = group_rows(read_csv(folder, 'steps.csv'), 'difficulty')
    run = read_run(folder)
    longest = max(by_length)
    steps = by_length[longest]
    needed = steps[0]['needed']
    tests = group_rows(run['test'], 'difficulty', 'rule')
    chosen = tests[longest, 'confidence of the batch'][0]['loops']

    left.plot(column(steps, 'step'), percents(steps), color=COLORS[0], label='exact match %')
    left.axvline(chosen, color='grey', linestyle='--', linewidth=1,
                 label=f'step chosen, {chosen:.3g} on average')
    left.axvline(needed, color='grey', linestyle=':', linewidth=1, label=f'T = {needed:g}')
    title = f"{run['config']['task']}, length {longest:g}"
    left.set(xlabel='loop', ylabel='exact match %', title=title, ylim=(-2, 103))

    right = left.twinx()
    right.plot(column(steps, 'step'), column(steps, 'confidence'), color=COLORS[1], label='cross entropy')
    right.set(ylabel='cross entropy, nats', yscale='log')

    # one legend for both axes, below
    handles = left.get_legend_handles_labels()[0] + right.get_legend_handles_labels()[0]
    left.legend(handles=handles, loc='upper center', bbox_to_anchor=(0.5, -0.24), ncols=2, fontsize=7)
