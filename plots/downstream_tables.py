"""The tables of language models (A, Tables 3 to 8), called by plot.py.

They read eval.csv, downstream.csv and config.json of every run, at the loop count it was trained with. Scores
are percent. A model's runs that differ by seed are averaged; the standard error of a score is that of its
examples, or that over seeds where it is larger. A baseline is looked for among the runs given.
"""
import math
import os
from collections import defaultdict
from statistics import mean, stdev
from typing import NamedTuple

from downstream.fewshot import ALL, TASKS
from engine.configurator import UserError
from engine.files import ROOT
from plots.drawing import PlotConfig, markdown_table, read_config, read_csv, write_table
from stages import distinct_layers, effective_depth, is_looped, parse_stages

GROUPS = {group: tuple(name for name in ALL if TASKS[name].group == group)  # A, Tables 5 to 8
          for group in dict.fromkeys(TASKS[name].group for name in ALL)}
*QA_AND_MATH, PRIMITIVES = GROUPS
MEANS = {group: GROUPS[group] for group in QA_AND_MATH}  # in the order of A, Table 3
MEANS |= {'all_15_tasks': sum(MEANS.values(), ()), PRIMITIVES: GROUPS[PRIMITIVES]}
TITLES = dict(zip(MEANS, ('closed-book QA', 'open-book QA', 'math word problems', 'all 15 tasks',
                          'reasoning primitives'), strict=True))
PAPER_TABLES = dict(zip(GROUPS, ('table5_closed_book', 'table6_open_book', 'table7_math',
                                 'table8_primitives'), strict=True))
PAPER_WIDTH = 2048  # of A's language models (App. A.2)
RECIPE = ('data', 'tokenizer', 'block_size', 'n_embd', 'n_head', 'n_ff', 'optimizer', 'learning_rate',
          'batch_size', 'max_steps')  # what the runs of one table share


class Score(NamedTuple):
    """A mean and its standard error; 0 where that is not known."""
    value: float
    error: float = 0.0


class Entry(NamedTuple):
    """A model of Tables 3 and 4: its runs, means, %Gap by column, and A's numbers for both."""
    model: str
    runs: list
    means: dict
    gaps: dict
    paper: dict
    paper_gaps: dict


def read_runs(folders: list[str]) -> list[dict]:
    """Every run with its scores and losses by step. UserError where they are not runs of one recipe."""
    runs, seen = [read_run(folder) for folder in folders], {}
    first = runs[0]
    for run in runs:
        for key in RECIPE:
            ours, theirs = first['config'].get(key), run['config'].get(key)
            if ours != theirs:
                raise UserError(f"{first['folder']} has {key}={ours}, {run['folder']} {theirs}: give runs of "
                                'one recipe')
        for task, asked in run['asked'].items():
            known = first['asked'].get(task, asked)
            if asked != known:
                raise UserError(f"{task} has {known[0]:g} shots and {known[1]:g} items in {first['folder']}, "
                                f"{asked[0]:g} and {asked[1]:g} in {run['folder']}: run eval_downstream.py "
                                'alike on both')
        key = run['model'], run['config']['seed']
        if key in seen:
            raise UserError(f"{seen[key]} and {run['folder']} are both {key[0]} with seed {key[1]}")
        seen[key] = run['folder']
    return runs


def read_run(folder: str) -> dict:
    """config.json with model (its name), stages, asked {task: (shots, items)}, scores {step: {task: Score}},
    losses {step: row}.

    Scores and losses are those at the trained loop count.
    """
    run, path = read_config(folder), os.path.join(folder, 'downstream.csv')
    loops, remedy = run['about']['loops'], f'run python eval_downstream.py {folder}'
    scores, asked = defaultdict(dict), {}
    for row in read_csv(path, remedy):
        if row['loops'] == loops:
            asked[row['task']] = row['shots'], row['count']
            error = row['standard_error'] or 0
            scores[int(row['step'])][row['task']] = Score(100 * row['score'], 100 * error)
    if not scores:
        raise UserError(f'{path} lacks the trained loop count {loops}; {remedy}')
    losses = {int(row['step']): row for row in read_csv(os.path.join(folder, 'eval.csv'), 'run train.py')
              if row['split'] == 'val' and row['loops'] == loops}
    config = run['config']
    return run | dict(folder=folder, model=model_name(config), stages=parse_stages(config['stages']),
                      asked=asked, scores=scores, losses=losses,
                      of_papers_width=config.get('n_embd') == PAPER_WIDTH)


def model_name(config: dict) -> str:
    """The stages, or A's words for 24 regularized layers: reg4 (lambda 10), reg4 lambda 1."""
    name = '+'.join(f'{layers}x{loops}' for layers, loops in parse_stages(config['stages']))
    weight, kind = config.get('regularize_weight', 0), config.get('regularize_kind', 'cosine')
    if not weight:
        return name
    words = ('' if name == '24x1' else name, f"reg{config['regularize_k']:g}",
             '' if kind == 'cosine' else kind, '' if weight == 10 else f'lambda {weight:g}')
    return ' '.join(word for word in words if word)


def baseline_names(stages: list) -> tuple[str, str]:
    """The plain models of as many distinct layers (iso-param), of the same effective depth (iso-FLOP)."""
    return f'{distinct_layers(stages)}x1', f'{effective_depth(stages)}x1'


def gap(score: Score | None, base: Score | None, flops: Score | None) -> float | str:
    """Percent of the gap from the iso-param to the iso-FLOP baseline that looping closes (A, Eq. 3).

    'n/a' without one of the three, or where the baselines differ by no more than twice their standard error.
    """
    if None in (score, base, flops):
        return 'n/a'
    whole = flops.value - base.value
    if abs(whole) <= 2 * math.hypot(base.error, flops.error):
        return 'n/a'
    return 100 * (score.value - base.value) / whole


def mean_score(scores: dict, names) -> Score | None:
    """The plain mean of the tasks `names`, its error from theirs; None if any is missing."""
    if not all(name in scores for name in names):
        return None
    own = [scores[name] for name in names]
    return Score(mean(score.value for score in own), math.hypot(*(score.error for score in own)) / len(own))


def over_seeds(scores: list[Score | None]) -> Score | None:
    """The mean of one model's runs. They are asked the same examples, whose errors do not average out."""
    if None in scores:
        return None
    values = [score.value for score in scores]
    over = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0
    return Score(mean(values), max(over, mean(score.error for score in scores)))


def by_model(runs: list[dict]) -> dict:
    """{name: its runs}, in the order given."""
    models = defaultdict(list)
    for run in runs:
        models[run['model']].append(run)
    return models


def last(run: dict) -> int:
    """The step whose scores the tables show."""
    return max(run['scores'])


def run_means(run: dict) -> dict:
    """{column: Score or None}: perplexity over the run's own tokens, bits per byte, MEANS."""
    scores, row = run['scores'][last(run)], run['losses'].get(last(run))
    means = dict(perplexity=row and Score(math.exp(row['loss'])),
                 bits_per_byte=row and Score(row['bits_per_byte']))
    return means | {name: mean_score(scores, names) for name, names in MEANS.items()}


def read_paper(table: str) -> dict:
    """{model: {column: number}} of results/paper_TABLE.csv; rows of Table 4 are named as by model_name."""
    path = os.path.join(ROOT, 'results', f'paper_{table}.csv')
    numbers = {}
    for row in read_csv(path, 'it comes with the code'):
        if 'block_size' in row:
            row['model'] = model_name(dict(stages='24x1', regularize_k=row.pop('block_size'),
                                           regularize_weight=row.pop('lambda')))
        numbers[row.pop('model')] = row
    return numbers


def beside(numbers: dict, runs: list[dict]) -> dict:
    """A's numbers for this model; {} where it has none, or is one of another width."""
    return numbers.get(runs[0]['model'], {}) if runs[0]['of_papers_width'] else {}


def notes(runs: list[dict]) -> list[str]:
    """A line on tasks that are missing, one on losses that are."""
    lacking = [(run['folder'], [task for names in GROUPS.values() for task in names
                                if task not in run['scores'][last(run)]]) for run in runs]
    tasks_missing = [f'{", ".join(names)} ({folder})' for folder, names in lacking if names]
    unread = [f"step {last(run)} ({run['folder']})" for run in runs if last(run) not in run['losses']]
    return [f'{what}: {"; ".join(parts)}.' for what, parts in
            (('Tasks missing', tasks_missing), ('No validation loss', unread)) if parts]


def shown_steps(runs: list[dict]) -> str:
    """The step of the scores; of seeds at several steps, the first and the last."""
    return ' to '.join(f'{step:,}' for step in sorted({min(map(last, runs)), max(map(last, runs))}))


def cell(score, digits=1) -> str:
    """A Score with its error if that is known, or a number; n/a for None."""
    if isinstance(score, Score):
        return f'{score.value:.{digits}f}' + (f' ± {score.error:.{digits}f}' if score.error else '')
    return f'{score:.{digits}f}' if isinstance(score, float) else 'n/a' if score is None else score


def rounded(number):
    """For a CSV file: four digits of a number, words as they are, n/a for None."""
    return round(number, 4) if isinstance(number, float) else 'n/a' if number is None else number


def downstream(folders: list[str], config: PlotConfig):
    """Tables 3 and 4: means and %Gap, A's beneath ours. A's perplexity is one over other tokens."""
    runs = read_runs(folders)
    models = by_model(runs)
    means = {name: {column: over_seeds([scores[column] for scores in map(run_means, own)])
                    for column in ('perplexity', 'bits_per_byte', *MEANS)} for name, own in models.items()}
    published = read_paper('table4_regularizer') | read_paper('table3_pile')
    published_gaps, entries, absent = read_paper('table3_gap'), [], []
    for name, own in models.items():
        gaps = {}
        if is_looped(own[0]['stages']):
            pair = baseline_names(own[0]['stages'])
            absent += [f'{base} for {name}' for base in pair if base not in models]
            gaps = {column: gap(means[name][column], *(means.get(base, {}).get(column) for base in pair))
                    for column in ('perplexity', *MEANS)}
        entries.append(Entry(name, own, means[name], gaps, beside(published, own),
                             beside(published_gaps, own)))
    head = ['model', 'parameters', 'training FLOPs a token', 'step', 'bits per byte', 'perplexity (A)',
            *(f'{title} %' for title in TITLES.values()), 'seeds']
    text = markdown_table(head, [line for entry in entries for line in downstream_lines(entry)])
    text += ('\n\nScore ± standard error. %Gap: A, Eq. 3; under bits per byte, that of perplexity over our '
             'own tokens; n/a where the baselines differ by no more than twice their standard error.')
    lines = [text, *([f'Baselines not given: {", ".join(absent)}.'] if absent else []), *notes(runs)]
    write_table([downstream_columns(entry) for entry in entries], '\n'.join(lines), config.out)


def downstream_columns(entry: Entry) -> dict:
    """A model's row of the CSV file."""
    about = entry.runs[0]['about']
    row = dict(model=entry.model, seeds=len(entry.runs), parameters=about['parameters'],
               training_flops_per_token=about['flops_per_token'], step=max(map(last, entry.runs)))
    for column, score in entry.means.items():
        row[column] = rounded(score and score.value)
        row[f'{column}_error'] = rounded(score.error) if score and score.error else ''
    for column in ('perplexity', *MEANS):
        row[f'gap_{column}'] = rounded(entry.gaps.get(column, ''))
        row[f'paper_{column}'] = entry.paper.get(column, '')
        row[f'paper_gap_{column}'] = entry.paper_gaps.get(column, '')
    return row


def downstream_lines(entry: Entry) -> list[list[str]]:
    """A model's lines in the Markdown table: ours, our %Gap, A's, A's %Gap."""
    name, means, about = entry.model, entry.means, entry.runs[0]['about']
    lines = [[name, f"{about['parameters']:,}", f"{about['flops_per_token']:,}", shown_steps(entry.runs),
              cell(means['bits_per_byte'], 3), '', *(cell(means[column]) for column in MEANS),
              str(len(entry.runs))]]
    if entry.gaps:
        lines.append([f'{name}, %Gap', '', '', '', cell(entry.gaps['perplexity'], 0), '',
                      *(cell(entry.gaps[column], 0) for column in MEANS), ''])
    for words, numbers, digits in (('A', entry.paper, 1), ('A, %Gap', entry.paper_gaps, 0)):
        if numbers:
            lines.append([f'{name}, {words}', '', '', '', '', cell(numbers['perplexity'], 2 * digits),
                          *(cell(numbers[column], digits) for column in MEANS), ''])
    return lines


def tasks(folders: list[str], config: PlotConfig):
    """Tables 5 to 8: every task of every group, A's numbers beneath ours."""
    runs, rows, text = read_runs(folders), [], []
    for group, names in GROUPS.items():
        published, lines = read_paper(PAPER_TABLES[group]), []
        for model, own in by_model(runs).items():
            at_end, paper = [run['scores'][last(run)] for run in own], beside(published, own)
            scores = {name: over_seeds([scores.get(name) for scores in at_end]) for name in names}
            scores['average'] = over_seeds([mean_score(scores, names) for scores in at_end])
            lines.append([model, *map(cell, scores.values()), str(len(own))])
            lines += [[f'{model}, A', *(cell(paper[name]) for name in scores), '']] if paper else []
            rows += [dict(group=group, model=model, seeds=len(own), step=max(map(last, own)), task=name,
                          score=rounded(score and score.value),
                          standard_error=rounded(score.error) if score and score.error else '',
                          paper=paper.get(name, '')) for name, score in scores.items()]
        text += [f"Table {PAPER_TABLES[group][5]} of A, {TITLES[group]}, %:", '',
                 markdown_table(['model', *names, 'average', 'seeds'], lines), '']
    write_table(rows, '\n'.join([*text, 'Score ± standard error.', *notes(runs)]), config.out)
