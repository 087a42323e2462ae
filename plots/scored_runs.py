"""Runs of language models after eval_downstream.py: the groups of few-shot tasks, reading the scores of runs
that share one recipe, and the numbers of Saunshi et al. 2025 to stand beside them."""
import math
from collections import defaultdict

from engine.errors import UserError
from engine.files import ROOT
from plots.runs import model_name, read_config
from plots.scores import Score
from plots.tables import read_csv
from stages import parse_stages

TASK_GROUPS = {  # Saunshi et al. 2025, Tables 5 to 8
    'closed_book_qa': ('triviaqa', 'tydiqa_nocontext', 'natural_questions', 'web_questions'),
    'open_book_qa': ('tydiqa_goldp', 'squad_v2', 'drop', 'quac', 'coqa'),
    'math_word_problems': ('asdiv', 'mawps_addsub', 'mawps_multiarith', 'mawps_singleeq', 'mawps_singleop',
                           'svamp'),
    'reasoning_primitives': ('code_depth0', 'math_depth0', 'code_depth1', 'math_depth1'),
}
QA_AND_MATH = TASK_GROUPS['closed_book_qa'] + TASK_GROUPS['open_book_qa'] + TASK_GROUPS['math_word_problems']
ALL_TASKS = QA_AND_MATH + TASK_GROUPS['reasoning_primitives']
MEANS = TASK_GROUPS | {'all_15_tasks': QA_AND_MATH}  # the tasks whose mean a column of Table 3 is
TITLES = {  # the columns of Table 3, in order
    'closed_book_qa': 'closed-book QA',
    'open_book_qa': 'open-book QA',
    'math_word_problems': 'math word problems',
    'all_15_tasks': 'all 15 tasks',
    'reasoning_primitives': 'reasoning primitives',
}
PAPER_WIDTH = 2048  # of the paper's language models (App. A.2)
RECIPE = ('data', 'tokenizer', 'block_size', 'n_embd', 'n_head', 'n_ff', 'optimizer', 'learning_rate',
          'batch_size', 'max_steps')  # what the runs of one table share


def read_scored_runs(folders: list) -> list:
    """Reads runs with their scores. UserError where their recipes differ, or two have one model and seed."""
    runs = list(map(read_scored_run, folders))
    folder_of = {}
    for run in runs:
        check_same_recipe(runs[0], run)
        key = (run['model'], run['seed'])
        if key in folder_of:
            raise UserError(f"{folder_of[key]} and {run['folder']} are both {key[0]} with seed {key[1]}")
        folder_of[key] = run['folder']
    return runs


def check_same_recipe(first: dict, run: dict):
    """UserError where two runs differ in an option of RECIPE, or in the shots or items of a task."""
    first_folder = first['folder']
    folder = run['folder']
    for key in RECIPE:
        expected = first['config'].get(key)
        value = run['config'].get(key)
        if value != expected:
            raise UserError(f'{first_folder} has {key}={expected}, {folder} {value}: give runs of one recipe')

    for task, counts in run['prompted'].items():
        expected = first['prompted'].get(task, counts)
        if counts != expected:
            raise UserError(
                f'{task} has {expected[0]:g} shots and {expected[1]:g} items in {first_folder}, '
                f'{counts[0]:g} and {counts[1]:g} in {folder}: run eval_downstream.py alike on both')


def read_scored_run(folder: str) -> dict:
    """Reads a language model's run after eval_downstream.py, at the loop count that it was trained with.
    Returns config, about, folder, model (its name), seed, stages, of_papers_width, prompted {task: (shots,
    items)}, scores {step: {column: Score}}, and the last of these: step, last_scores. Columns are the tasks,
    in percent, and where the step was evaluated log_perplexity (nats), perplexity and bits_per_byte."""
    run = read_config(folder)
    config = run['config']
    loops = run['about']['loops']
    remedy = f'run python eval_downstream.py {folder}'

    scores = defaultdict(dict)
    prompted = {}
    for row in read_csv(folder, 'downstream.csv', remedy=remedy):
        if row['loops'] == loops:
            prompted[row['task']] = (row['shots'], row['count'])  # the same at every step
            error = row['standard_error'] or 0  # '' where it is not known
            scores[int(row['step'])][row['task']] = Score(100 * row['score'], 100 * error)
    if not scores:
        raise UserError(f'{folder}/downstream.csv lacks the trained loop count {loops}; {remedy}')

    for row in read_csv(folder, 'eval.csv', remedy='run train.py'):
        if row['split'] == 'val' and row['loops'] == loops and row['step'] in scores:
            found = scores[row['step']]
            found['log_perplexity'] = Score(row['loss'])
            found['perplexity'] = Score(math.exp(row['loss']))
            found['bits_per_byte'] = Score(row['bits_per_byte'])

    step = max(scores)
    return run | dict(
        folder=folder, model=model_name(config), seed=config['seed'], stages=parse_stages(config['stages']),
        of_papers_width=config.get('n_embd') == PAPER_WIDTH, prompted=prompted, scores=scores, step=step,
        last_scores=scores[step])


def missing_notes(runs: list) -> list:
    """A line on the tasks that are missing at the last step, one on validation losses that are."""
    tasks = []
    losses = []
    for run in runs:
        names = [task for task in ALL_TASKS if task not in run['last_scores']]
        if names:
            tasks.append(f'{", ".join(names)} ({run["folder"]})')
        if 'log_perplexity' not in run['last_scores']:
            losses.append(f"step {run['step']} ({run['folder']})")

    notes = []
    if tasks:
        notes.append(f'Tasks missing: {"; ".join(tasks)}.')
    if losses:
        notes.append(f'No validation loss: {"; ".join(losses)}.')
    return notes


def published_scores(table: str) -> dict:
    """{model: {column: number}} of results/paper_TABLE.csv; rows of Table 4 are named as by model_name."""
    scores = {}
    for row in read_csv(ROOT, 'results', f'paper_{table}.csv', remedy='it comes with the code'):
        if 'lambda' in row:
            row['model'] = model_name(dict(stages='24x1', regularize_k=row.pop('block_size'),
                                           regularize_weight=row.pop('lambda')))
        scores[row.pop('model')] = row
    return scores


def papers_row(run: dict, *tables: str) -> dict:
    """The paper's numbers for the model of a run, in the last table that has it; {} for another width."""
    row = {}
    if run['of_papers_width']:
        for table in tables:
            row = published_scores(table).get(run['model'], row)
    return row
