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
from collections import Counter
from dataclasses import dataclass
from difflib import get_close_matches
from statistics import mean
from typing import Literal

from downstream.fewshot import ALL, TASKS, LoadedTask, first_value_baseline, load_task, prompt_of
from downstream.metrics import HUMAN_F1_MIN, mean_and_error
from engine.configurator import configure
from engine.errors import UserError, one_line_errors
from engine.files import read_rows, write_csv

GROUP_SIZES = Counter(task.group for task in TASKS.values())  # tasks in each group


@dataclass
class DownstreamConfig:
    # --- what to evaluate
    tasks: tuple[str, ...] = ('all',)     # names of tasks or groups; all: the 19 of the paper
    loops: tuple[int, ...] = ()           # loop counts (default: as trained)
    checkpoint: str = 'ckpt.pt'           # ckpt.pt, best.pt, or all: every one that keep_interval left
    shots: int = -1                       # examples in a prompt; -1: the task's own number
    seed: int = 0                         # by which shots are drawn
    limit: int = 0                        # the first so many items of each task; 0 is all
    every_language: bool = False          # TyDi QA: all languages, not English alone
    max_new_tokens: int = 0               # of an answer; 0: the task's own number
    show: int = 0                         # print so many prompts of each task, and leave
    # --- where the data is
    data_dir: str = ''                    # folder of TASK/SPLIT.jsonl or .parquet, instead of the hub
    revision: str = ''                    # commit of the hub's data set; goes with a single task
    # --- how
    out_dir: str = ''                     # default: the run's folder
    batch_size: int = 32                  # prompts at once
    share_prefix: bool = True             # compute what prompts share once; False changes the time alone
    device: Literal['auto', 'cpu', 'cuda'] = 'auto'         # auto: a GPU if there is one
    dtype: Literal['auto', 'float32', 'bfloat16'] = 'auto'  # auto: bfloat16 where the hardware is fast at it

    def check(self):
        if self.batch_size < 1 or min(self.limit, self.seed, self.max_new_tokens, self.show) < 0:
            raise ValueError('batch_size must be at least 1; limit, seed, max_new_tokens, show not negative')
        if self.shots < -1:
            raise ValueError(f'shots={self.shots} must be -1 or more')
        if self.loops and min(self.loops) < 0:
            raise ValueError(f'loops={self.loops}: a loop count cannot be negative')
        if self.revision and (len(self.tasks) > 1 or self.tasks[0] not in TASKS):
            raise ValueError('revision is a commit of one data set: name one task by --tasks')

        known = ['all', *TASKS, *GROUP_SIZES]
        for name in self.tasks:
            if name not in known:
                nearest = get_close_matches(name, known, 1, 0)[0]
                raise ValueError(f'no task {name!r}; did you mean {nearest}?')

    def task_names(self) -> list[str]:
        """The tasks to evaluate, in the order of the tables."""
        wanted = set(self.tasks)
        if 'all' in wanted:
            wanted |= set(ALL)
        names = []
        for name, task in TASKS.items():
            if name in wanted or task.group in wanted:
                names.append(name)
        return names


if __name__ == '__main__':  # before torch is imported: errors and --help come at once
    with one_line_errors():
        config, words = configure(DownstreamConfig, sys.argv[1:], __doc__, positional='words')

import torch

from downstream.adapters import LanguageModel, load_language_model
from downstream.answers import answer_task
from engine.runtime import start
from stages import sweepable, trained_loops


def checkpoint_names(run: str, name: str) -> list[str]:
    """The names of the checkpoints to evaluate, in the order of their steps."""
    if name != 'all' or run.startswith('gpt2:'):
        return [name]
    paths = glob.glob(os.path.join(glob.escape(run), 'step_*.pt'))
    if not paths:
        raise UserError(f'{run} has no step_*.pt; train.py leaves them with --keep_interval')
    return sorted(map(os.path.basename, paths))


def load_with_shots(name: str, config: DownstreamConfig) -> LoadedTask:
    """A task's items and shots as the configuration wants them."""
    shots = TASKS[name].shots if config.shots < 0 else config.shots
    return load_task(name, shots, config.seed, config.data_dir, config.revision, config.limit,
                     config.every_language)


def show_prompts(config: DownstreamConfig):
    """Prints the first prompts of each task, as a model gets them, and the answers that would be right."""
    for name in config.task_names():
        loaded = load_with_shots(name, config)
        for item in loaded.items[:config.show]:
            print(f'=== {name}, {len(loaded.shots)} shots')
            print(prompt_of(item, loaded.shots))
            print(f'--- golds: {item.golds}\n')


def evaluate_checkpoint(lm: LanguageModel, config: DownstreamConfig, runtime, folder: str):
    """All tasks at all loop counts; each row goes to downstream.csv at once.

    With --limit to downstream_limitN.csv, so that a quick look never takes the place of a whole evaluation.
    """
    base = os.path.join(folder, 'downstream')
    if config.limit:
        base += f'_limit{config.limit}'

    stages = lm.model.stages
    for loops in config.loops or (trained_loops(stages),):
        n_loops = loops if sweepable(stages) else None  # None: as the stage string says
        rows = []
        for name in config.task_names():
            loaded = load_with_shots(name, config)
            os.makedirs(base, exist_ok=True)
            path = os.path.join(base, f'{name}_step{lm.step}_loops{loops}.jsonl')
            answers = answer_task(lm, name, loaded, n_loops, config, runtime, path)

            if runtime.main:
                row = task_row(name, loaded, answers, lm.step, loops)
                rows.append(row)
                replace_row(f'{base}.csv', row)
                print(row_in_words(row), flush=True)

        if runtime.main:
            print_group_means(rows)


# --- rows of downstream.csv

def task_row(name: str, loaded: LoadedTask, answers: list[dict], step: int, loops: int) -> dict:
    """The scores of a task as a row; UserError where no answer counts."""
    task = TASKS[name]
    counted = [answer for answer in answers if answer.get('human_f1', 1) >= HUMAN_F1_MIN]  # QuAC's rule
    if not counted:
        raise UserError(f'{name}: people agree on none of its {len(answers)} questions')
    score, error = mean_and_error(values_of(counted, task.metric))

    return {
        'step': step,
        'loops': loops,
        'task': name,
        'group': task.group,
        'shots': len(loaded.shots),
        'count': len(counted),
        'score': round(score, 6),
        'standard_error': round(error, 6) if len(counted) > 1 else '',
        'em': mean_of(counted, 'em'),
        'f1': mean_of(counted, 'f1'),
        'shots_dropped': sum(values_of(answers, 'dropped')),
        'prompts_cut': sum(values_of(answers, 'cut')),
        'baseline': first_value_baseline(name, loaded.items),
        'source': loaded.source,
    }


def values_of(answers: list[dict], key: str) -> list:
    return [answer[key] for answer in answers]


def mean_of(answers: list[dict], key: str) -> float | str:
    """The mean of a score, '' where the task does not have it."""
    if key not in answers[0]:
        return ''
    return round(mean(values_of(answers, key)), 6)


def replace_row(path: str, row: dict):
    """Writes the row into downstream.csv, in place of one of the same step, loops and task."""
    key = [str(row[name]) for name in ('step', 'loops', 'task')]
    rows = []
    for old in read_rows(path):
        if [old['step'], old['loops'], old['task']] != key:
            rows.append(old)
    write_csv(path, [*rows, row])


def row_in_words(row: dict) -> str:
    """The line that is printed for a row."""
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


def print_group_means(rows: list[dict]):
    """The mean of each group all of whose tasks are in the rows, as the paper takes it."""
    groups = {}
    for row in rows:
        groups.setdefault(row['group'], []).append(row['score'])
    for group, scores in groups.items():
        if len(scores) == GROUP_SIZES[group]:
            print(f'{group}: {100 * mean(scores):.2f}%, mean of {len(scores)} tasks')


def main(config: DownstreamConfig, words: list[str]):
    if len(words) != 1:
        raise UserError(f'give one folder of a run, such as out/pile_12x2, not {len(words)}')
    if config.show:
        return show_prompts(config)
    run = words[0]
    folder = config.out_dir or run
    if folder.startswith('gpt2:'):
        raise UserError('--out_dir=FOLDER says where the scores of a checkpoint of transformers go')

    runtime = start(config.device, config.dtype, 'False')
    for name in checkpoint_names(run, config.checkpoint):
        lm = load_language_model(run, name, runtime.device)
        if config.loops and not sweepable(lm.model.stages):
            raise UserError(f'{run} has no one loop count, so --loops does not apply to it')
        runtime.for_inference(lm.model)
        evaluate_checkpoint(lm, config, runtime, folder)
    if runtime.world > 1:
        torch.distributed.destroy_process_group()


if __name__ == '__main__':
    with one_line_errors():
        main(config, words)
