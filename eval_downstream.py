"""Few-shot scores of a language model on the 19 downstream tasks of Saunshi et al. 2025 (Tables 3 to 8).

    python eval_downstream.py out/pile_12x2                                  # all 19, as trained
    python eval_downstream.py out/pile_12x2 --tasks=squad_v2,drop --loops=1,2,4 --limit=200
    torchrun --nproc_per_node=8 eval_downstream.py out/pile_12x2             # the same scores, on 8 GPUs
    python eval_downstream.py gpt2:openai-community/gpt2 --out_dir=out/gpt2  # a checkpoint of transformers

Writes downstream.csv (a row for each task) into the run's folder and every answer to downstream/*.jsonl; with
--limit=N to downstream_limitN. An evaluation that was cut continues and computes no answer twice.
"""
import glob
import os
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from difflib import get_close_matches
from operator import itemgetter
from statistics import mean
from typing import Annotated, Literal

from downstream.fewshot import ALL, TASKS, first_value_baseline, load_task, prompt_of
from downstream.metrics import HUMAN_F1_MIN, mean_and_error
from engine.configurator import INT_MAX, Bounds, Natural, Path, Positive, configure
from engine.errors import UserError, one_line_errors
from engine.files import check_writable, read_rows, write_csv

GROUP_SIZES = Counter(task.group for task in TASKS.values())  # tasks in each group
Loops = Annotated[int, Bounds(0, 10 ** 6, '0 to 1,000,000')]
Shots = Annotated[int, Bounds(-1, INT_MAX, '-1 or more')]


@dataclass
class DownstreamConfig:
    # --- what to evaluate
    tasks: tuple[str, ...] = ('all',)     # names of tasks or groups; all: the 19 of the paper
    loops: tuple[Loops, ...] = ()         # loop counts (default: as trained)
    checkpoint: str = 'best.pt'           # best.pt, ckpt.pt, or all: every one that keep_interval left
    shots: Shots = -1                     # examples in a prompt; -1: the task's own number
    seed: Natural = 0                     # by which shots are drawn
    limit: Natural = 0                    # the first so many items of each task; 0 is all
    every_language: bool = False          # TyDi QA: all languages, not English alone
    max_new_tokens: Natural = 0           # of an answer; 0: the task's own number
    show: Natural = 0                     # print so many prompts of each task, and leave
    # --- where the data is
    data_dir: Path = ''                   # folder of TASK/SPLIT.jsonl or .parquet, instead of the hub
    revision: str = ''                    # commit of the hub's data set; goes with a single task
    # --- how
    out_dir: Path = ''                    # default: the run's folder
    batch_size: Positive = 32             # prompts at once
    share_prefix: bool = True             # compute what prompts share once; False changes the time alone
    device: Literal['auto', 'cpu', 'cuda'] = 'auto'         # auto: a GPU if there is one
    dtype: Literal['auto', 'float32', 'bfloat16'] = 'auto'  # auto: bfloat16 where the hardware is fast at it

    def check(self):
        known = ['all', *TASKS, *GROUP_SIZES]
        if not self.tasks:
            raise ValueError('tasks is empty: name tasks or groups, or all')
        for name in self.tasks:
            if name not in known:
                nearest = get_close_matches(name, known, 1, 0)[0]
                raise ValueError(f'no task {name!r}; did you mean {nearest}?')
        if self.revision and (self.data_dir or len(self.tasks) > 1 or self.tasks[0] not in TASKS):
            raise ValueError('revision is a commit of one data set on the hub: name one task by --tasks, and '
                             'no --data_dir')

    def task_names(self) -> list:
        """The tasks to evaluate, in the order of the tables."""
        wanted = {*self.tasks, *(ALL if 'all' in self.tasks else ())}
        return [name for name, task in TASKS.items() if name in wanted or task.group in wanted]


if __name__ == '__main__':  # before torch is imported: errors and --help come at once
    with one_line_errors():
        config, words = configure(DownstreamConfig, sys.argv[1:], __doc__, positional='words')

import torch

from downstream.adapters import load_language_model
from downstream.answers import answer_task, fit_prompt
from engine.runtime import start
from stages import sweepable, trained_loops


def load_tasks(config: DownstreamConfig) -> dict:
    """{name: items and shots}, all records checked; UserError for a task where no answer would count."""
    tasks = {}
    for name in config.task_names():
        shots = TASKS[name].shots if config.shots < 0 else config.shots
        loaded = load_task(name, shots, config.seed, config.data_dir, config.revision, config.limit,
                           config.every_language)
        if not any(is_counted(TASKS[name].score('', item.golds)) for item in loaded.items):
            raise UserError(f'{name}: people agree on none of its {len(loaded.items)} questions')
        tasks[name] = loaded
    return tasks


def is_counted(scores):
    """QuAC's rule; other tasks count all of their questions."""
    return scores.get('human_f1', 1) >= HUMAN_F1_MIN


def show_prompts(tasks, count):
    """Prints the first prompts of each task, as a model gets them, and the answers that would be right."""
    for name, loaded in tasks.items():
        for item in loaded.items[:count]:
            print(f'=== {name}, {len(loaded.shots)} shots')
            print(prompt_of(item, loaded.shots))
            print(f'--- golds: {item.golds}\n')


def evaluate_checkpoint(lm, tasks, config: DownstreamConfig, runtime, base):
    """All tasks at all loop counts: answers go to the folder `base`, each row to base.csv at once."""
    lengths = {name: config.max_new_tokens or TASKS[name].max_new * lm.scale for name in tasks}
    for name, loaded in tasks.items():  # finds out now what prompts have no room, or letters no token
        fit_prompt(lm, loaded, 0, lengths[name])

    stages = lm.model.stages
    for loops in dict.fromkeys(config.loops) or (trained_loops(stages),):
        n_loops = loops if sweepable(stages) else None  # None: as the stage string says
        scores = defaultdict(list)  # of each group
        for name, loaded in tasks.items():
            path = os.path.join(base, f'{name}_step{lm.step}_loops{loops}.jsonl')
            answers = answer_task(lm, name, loaded, n_loops, lengths[name], config, runtime, path)
            if runtime.main:
                row = task_row(name, loaded, answers, lm.step, loops)
                replace_row(f'{base}.csv', row)
                print(row_in_words(row), flush=True)
                scores[row['group']].append(row['score'])

        for group, of_tasks in scores.items():
            if len(of_tasks) == GROUP_SIZES[group]:  # the mean is the paper's where all are there
                print(f'{group}: {100 * mean(of_tasks):.2f}%, mean of {len(of_tasks)} tasks')


# --- rows of downstream.csv

def task_row(name, loaded, answers, step, loops) -> dict:
    """The scores of a task as a row."""
    task = TASKS[name]
    counted = list(filter(is_counted, answers))
    score, error = mean_and_error(list(map(itemgetter(task.metric), counted)))
    row = dict(step=step, loops=loops, task=name, group=task.group, shots=len(loaded.shots),
               count=len(counted), score=round(score, 6),
               standard_error=round(error, 6) if len(counted) > 1 else '', em='', f1='')
    for metric in {'em', 'f1'} & counted[0].keys():
        row[metric] = round(mean(map(itemgetter(metric), counted)), 6)
    row['shots_dropped'] = sum(map(itemgetter('dropped'), answers))
    row['prompts_cut'] = sum(map(itemgetter('cut'), answers))
    row['baseline'] = first_value_baseline(name, loaded.items)
    row['source'] = loaded.source
    return row


def table_rows(path):
    """The rows of downstream.csv, [] where there is none; UserError where it holds something else."""
    rows = read_rows(path)
    for number, row in enumerate(rows, start=2):
        if None in row or not {'step', 'loops', 'task'} <= row.keys():
            raise UserError(f'{path}, line {number}, is no row of this command; move the file away')
    return rows


def replace_row(path, row):
    """Puts the row into downstream.csv, in place of one of the same step, loops and task.
    A column that only rows of another version have stays."""
    rows = [row]
    for old in table_rows(path):
        if any(old[name] != str(row[name]) for name in ('step', 'loops', 'task')):
            rows.insert(-1, old)
    columns = dict.fromkeys([*row, *rows[0]], '')
    write_csv(path, [columns | one for one in rows])


def row_in_words(row):
    text = f"step {row['step']}, loops {row['loops']}: {row['task']} {100 * row['score']:.2f}"
    if row['standard_error'] != '':
        text += f" +- {100 * row['standard_error']:.2f}"
    text += f"% {TASKS[row['task']].metric}, {row['count']} items, {row['shots']} shots"
    if row['baseline'] != '':
        text += f"; copying one of the values {100 * row['baseline']:.1f}"
    if row['shots_dropped']:
        text += f"; {row['shots_dropped']} shots left out for length"
    if row['prompts_cut']:
        text += f"; {row['prompts_cut']} prompts cut at their beginning"
    return text


def main(config: DownstreamConfig, words: list):
    if len(words) != 1:
        raise UserError(f'give one folder of a run, such as out/pile_12x2, not {len(words)}')
    if config.show:
        return show_prompts(load_tasks(config), config.show)
    run = words[0]
    folder = config.out_dir or run
    if folder.startswith('gpt2:'):
        raise UserError('--out_dir=FOLDER says where the scores of a checkpoint of transformers go')
    base = os.path.join(folder, f'downstream_limit{config.limit}' if config.limit else 'downstream')

    # Everything is checked before the first prompt: what is written to, the model, all records.
    check_writable(base)
    table_rows(f'{base}.csv')
    runtime = start(config.device, config.dtype, 'False')
    checkpoints = [config.checkpoint]
    if config.checkpoint == 'all' and not run.startswith('gpt2:'):
        paths = glob.glob(os.path.join(glob.escape(run), 'step_*.pt'))
        checkpoints = sorted(map(os.path.basename, paths))  # in the order of their steps
        if not paths:
            raise UserError(f'{run} has no step_*.pt; train.py leaves them with --keep_interval')
    tasks = None
    for name in checkpoints:
        lm = load_language_model(run, name, runtime.device)
        if config.loops and not sweepable(lm.model.stages):
            raise UserError(f'{run} has no one loop count, so --loops does not apply to it')
        tasks = tasks or load_tasks(config)
        os.makedirs(base, exist_ok=True)
        runtime.for_inference(lm.model)
        evaluate_checkpoint(lm, tasks, config, runtime, base)
    if runtime.world > 1:
        torch.distributed.destroy_process_group()


if __name__ == '__main__':
    with one_line_errors():
        main(config, words)
