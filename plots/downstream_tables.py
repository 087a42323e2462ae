"""The tables of few-shot evaluation (Saunshi et al. 2025, Tables 3 to 8), the paper's numbers beneath ours.
A model's runs that differ by their seed are averaged. The standard error of a score is that of its examples,
or that over seeds where it is larger. A looped model's baselines are looked for among the runs given."""
from plots.scored_runs import MEANS, TASK_GROUPS, TITLES, missing_notes, papers_row, read_scored_runs
from plots.scores import cell, means_over_seeds, percent_gap, rounded, rounded_pair
from plots.tables import PlotConfig, column, group_rows, markdown_table, write_table
from stages import distinct_layers, effective_depth, is_looped

GAP_COLUMNS = ('perplexity', *TITLES)
PAPER_TABLES = {  # results/paper_NAME.csv
    'closed_book_qa': 'table5_closed_book',
    'open_book_qa': 'table6_open_book',
    'math_word_problems': 'table7_math',
    'reasoning_primitives': 'table8_primitives',
}
LABELS = {'gap': '%Gap', 'paper': 'paper', 'paper_gap': 'paper, %Gap'}  # of the lines beneath our scores
EXPLANATION = ('Score ± standard error. %Gap: Saunshi et al. 2025, Eq. 3; under bits per byte, that of '
               'perplexity over our own tokens; n/a where the baselines differ by no more than twice their '
               'standard error.')


# --- Tables 3 and 4

def make_downstream_table(folders: list, config: PlotConfig):
    """Means over groups of tasks and %Gap. The paper's perplexity is one over other tokens."""
    runs = read_scored_runs(folders)
    models = group_rows(runs, 'model')
    columns = {'perplexity': ('perplexity',), 'bits_per_byte': ('bits_per_byte',)}
    for title in TITLES:
        columns[title] = MEANS[title]
    means = {}
    for model, seeds in models.items():
        means[model] = means_over_seeds(seeds, columns)

    rows = []
    lines = []
    absent = []
    for model, seeds in models.items():
        run = seeds[0]
        beneath = {  # our scores; tables 3 and 4 both hold 24x1
            'gap': gaps_of(run, means),
            'paper': papers_row(run, 'table4_regularizer', 'table3_pile'),
            'paper_gap': papers_row(run, 'table3_gap'),
        }
        if beneath['gap']:
            absent += [f'{name} for {model}' for name in baseline_names(run['stages']) if name not in models]
        rows.append(csv_row(seeds, means[model], beneath))
        lines += markdown_lines(seeds, means[model], beneath)

    head = ['model', 'parameters', 'training FLOPs a token', 'step', 'bits per byte', 'perplexity (paper)',
            *[f'{title} %' for title in TITLES.values()], 'seeds']
    text = [markdown_table(head, lines), '', EXPLANATION]
    if absent:
        text.append(f'Baselines not given: {", ".join(absent)}.')
    text += missing_notes(runs)
    write_table(rows, '\n'.join(text), config.out)


def baseline_names(stages: list) -> tuple[str, str]:
    """The plain models of as many distinct layers (iso-param), of the same effective depth (iso-FLOP)."""
    return f'{distinct_layers(stages)}x1', f'{effective_depth(stages)}x1'


def gaps_of(run: dict, means: dict) -> dict:
    """{column: %Gap or 'n/a'} of a looped model, {} of a plain one; `means` are those of all models."""
    if not is_looped(run['stages']):
        return {}
    scores = means[run['model']]
    iso_param, iso_flop = [means.get(name, {}) for name in baseline_names(run['stages'])]
    return {name: percent_gap(scores[name], iso_param.get(name), iso_flop.get(name)) for name in GAP_COLUMNS}


def csv_row(seeds: list, means: dict, beneath: dict) -> dict:
    about = seeds[0]['about']  # seeds share their size
    row = dict(model=seeds[0]['model'], seeds=len(seeds), parameters=about['parameters'],
               training_flops_per_token=about['flops_per_token'], step=max(column(seeds, 'step')))
    for name, score in means.items():
        row[name], row[f'{name}_error'] = rounded_pair(score)
    for name in GAP_COLUMNS:
        for kind, numbers in beneath.items():
            row[f'{kind}_{name}'] = rounded(numbers.get(name, ''))
    return row


def markdown_lines(seeds: list, means: dict, beneath: dict) -> list:
    """A model's lines in the Markdown table: ours, our %Gap, the paper's, the paper's %Gap."""
    model = seeds[0]['model']
    about = seeds[0]['about']
    steps = column(seeds, 'step')
    step = f'{min(steps):,}'
    if min(steps) < max(steps):
        step += f' to {max(steps):,}'

    # columns: model, parameters, FLOPs, step, bits per byte, the paper's perplexity, means, seeds
    parameters = f"{about['parameters']:,}"
    flops = f"{about['flops_per_token']:,}"
    bits = cell(means['bits_per_byte'], 3)
    lines = [[model, parameters, flops, step, bits, '', *mean_cells(means, 1), str(len(seeds))]]
    for kind, numbers in beneath.items():
        if numbers:
            perplexity = cell(numbers['perplexity'], 2 if kind == 'paper' else 0)
            losses = [perplexity, ''] if kind == 'gap' else ['', perplexity]
            scores = mean_cells(numbers, 1 if kind == 'paper' else 0)
            lines.append([f'{model}, {LABELS[kind]}', '', '', '', *losses, *scores, ''])
    return lines


def mean_cells(numbers: dict, digits: int) -> list:
    return [cell(numbers[title], digits) for title in TITLES]


# --- Tables 5 to 8

def make_task_tables(folders: list, config: PlotConfig):
    """Every task of every group, in one CSV file and one Markdown table for each group."""
    runs = read_scored_runs(folders)
    models = group_rows(runs, 'model')
    rows = []
    text = []
    for group, names in TASK_GROUPS.items():
        columns = {name: (name,) for name in names} | {'average': names}
        lines = []
        for model, seeds in models.items():
            scores = means_over_seeds(seeds, columns)
            paper = papers_row(seeds[0], PAPER_TABLES[group])
            for name, score in scores.items():
                value, error = rounded_pair(score)
                rows.append(dict(group=group, model=model, seeds=len(seeds), step=max(column(seeds, 'step')),
                                 task=name, score=value, standard_error=error, paper=paper.get(name, '')))
            lines.append([model, *map(cell, scores.values()), str(len(seeds))])
            if paper:
                lines.append([f'{model}, paper', *[cell(paper[name]) for name in scores], ''])

        number = PAPER_TABLES[group].removeprefix('table')[0]  # 5 to 8
        text.append(f'Table {number} of Saunshi et al. 2025, {TITLES[group]}, %:\n')
        text.append(markdown_table(['model', *names, 'average', 'seeds'], lines) + '\n')
    text.append('Score ± standard error.')
    write_table(rows, '\n'.join([*text, *missing_notes(runs)]), config.out)
