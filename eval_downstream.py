"""Few-shot scores of a language model on the 19 downstream tasks of A (Tables 3 to 8).

    python eval_downstream.py out/pile_12x2                                  # all 19, as trained
    python eval_downstream.py out/pile_12x2 --tasks=squad_v2,drop --loops=1,2,4 --limit=200
    torchrun --nproc_per_node=8 eval_downstream.py out/pile_12x2             # the same scores, on 8 GPUs
    python eval_downstream.py gpt2:openai-community/gpt2 --out_dir=out/gpt2  # a checkpoint of transformers

Writes downstream.csv (a row a task) into the run's folder and every answer to downstream/*.jsonl; with
--limit=N to downstream_limitN. A run that was cut goes on where it was; what is done is not asked again.
"""
import glob
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from statistics import mean
from typing import Literal, NamedTuple

from downstream.fewshot import ALL, TASKS, baseline, load, prompt_of
from downstream.metrics import HUMAN_F1_MIN, mean_and_error
from engine.configurator import UserError, configure, one_line_errors
from engine.files import read_rows, write_atomically, write_csv


@dataclass
class DownstreamConfig:
    # --- what is asked
    tasks: tuple[str, ...] = ('all',)     # names of tasks or groups; all: the 19 of the paper
    loops: tuple[int, ...] = ()           # loop counts (default: as trained)
    checkpoint: str = 'ckpt.pt'           # ckpt.pt, best.pt, or all: every one that keep_interval left
    shots: int = -1                       # examples in a prompt; -1: the task's own number
    seed: int = 0                         # by which shots are drawn
    limit: int = 0                        # of each task the first so many items; 0 is all
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
        groups = {task.group for task in TASKS.values()}
        for name in self.tasks:
            if name not in TASKS and name not in groups and name != 'all':
                near = get_close_matches(name, [*TASKS, *groups, 'all'], 1, 0)[0]
                raise ValueError(f'no task {name!r}; did you mean {near}?')

    def names(self) -> list[str]:
        """The tasks that are asked for, in the order of the tables."""
        wanted = set(ALL if 'all' in self.tasks else ()) | set(self.tasks)
        return [name for name, task in TASKS.items() if name in wanted or task.group in wanted]


if __name__ == '__main__':  # before torch is imported: errors and --help come at once
    with one_line_errors():
        config, words = configure(DownstreamConfig, sys.argv[1:], __doc__, positional='words')

import torch
from tqdm import tqdm

from downstream.adapters import Subject, subject_of
from downstream.decoding import Prefix, Prompt, answer_batch, batches, common_length
from engine import runtime as runtimes
from stages import sweepable, trained_loops


class Asked(NamedTuple):
    """A prompt as the model gets it: `dropped` shots left out for length, `cut` where that was not enough."""
    prompt: Prompt
    dropped: int
    cut: bool


def fitted(subject: Subject, loaded, number: int, n_new: int) -> Asked:
    """The prompt of an item; of one that is too long the first shots go, then its beginning."""
    item, room = loaded.items[number], subject.model.config.block_size - n_new + 1
    if room < 1:
        raise UserError(f'an answer of {n_new} tokens leaves no room for a prompt in a context of '
                        f'{subject.model.config.block_size}; lower --max_new_tokens')
    for dropped in range(len(loaded.shots) + 1):
        tokens = subject.encode(prompt_of(item, loaded.shots[dropped:]))
        if len(tokens) <= room:
            return Asked(Prompt(number, tokens, item.context), dropped, False)
    return Asked(Prompt(number, tokens[-room:], item.context), dropped, True)


def answer_task(subject: Subject, name: str, loaded, n_loops, config, runtime, path: str) -> list[dict]:
    """The scored answers to all items, in order (for the main process): lines of `path`, which is read where
    it is there already.

    Each process appends its own to `path`.partN; the first line of a file says under which settings.
    """
    n_new = config.max_new_tokens or TASKS[name].max_new * subject.scale
    asked = hashlib.sha256(json.dumps(loaded).encode('utf-8')).hexdigest()
    settings = dict(model=subject.name, step=subject.step, loops=n_loops, task=name, shots=len(loaded.shots),
                    asked=asked, max_new=n_new, dtype=runtime.dtype)
    done = known_answers([path, *parts_of(path)], settings)
    runtime.sum(0.0)  # all have read before any writes
    if len(done) < len(loaded.items):
        left = [fitted(subject, loaded, number, n_new) for number in range(len(loaded.items))
                if number not in done]
        part = f'{path}.part{runtime.rank}'
        write_lines(part, [settings, *known_answers([part], settings).values()])  # without a half line
        with open(part, 'a', encoding='utf-8') as file:
            for line in answers(subject, name, left, n_loops, n_new, config, runtime):
                file.write(json.dumps(line, ensure_ascii=False) + '\n')
                file.flush()
        runtime.sum(0.0)  # all have written
    if not runtime.main:
        return []
    done = known_answers([path, *parts_of(path)], settings)
    if parts_of(path):
        write_lines(path, [settings, *scored(name, loaded, done)])
        for part in parts_of(path):
            os.remove(part)
    return scored(name, loaded, done)


def parts_of(path: str) -> list[str]:
    return glob.glob(f'{glob.escape(path)}.part*')


def write_lines(path: str, lines: list[dict]):
    text = ''.join(json.dumps(line, ensure_ascii=False) + '\n' for line in lines)
    write_atomically(path, lambda file: file.write(text))


def known_answers(paths: list[str], settings: dict) -> dict:
    """{number: answer} of those files that were made under these settings."""
    done = {}
    for path in filter(os.path.exists, paths):
        with open(path, encoding='utf-8') as file:
            lines = file.read().split('\n')
        if lines[0] == json.dumps(settings, ensure_ascii=False):
            done |= {line['number']: line for line in map(json.loads, filter(whole, lines[1:]))}
    return done


def whole(line: str) -> bool:
    """Whether a line was written to its end before a kill."""
    try:
        return bool(json.loads(line))
    except ValueError:
        return False


def answers(subject, name, asked: list[Asked], n_loops, n_new: int, config, runtime):
    """Yields this process's share of the answers, a batch at a time."""
    about = {own.prompt.number: own for own in asked}
    whole_shots = [own.prompt.tokens for own in asked if not own.dropped]
    share = config.share_prefix and len(whole_shots) > 1
    with torch.inference_mode(), runtime.autocast():
        first = whole_shots[0][:common_length(whole_shots)] if share else []
        prefix = Prefix(subject.model, first, n_loops)
        stops = subject.stops(('\n',))
        own = batches([own.prompt for own in asked], config.batch_size)[runtime.rank::runtime.world]
        with tqdm(total=sum(map(len, own)), desc=f'{name}, loops {n_loops}', unit='item', leave=False,
                  disable=not (runtime.main and sys.stderr.isatty())) as bar:
            for batch in own:
                rows = answer_batch(prefix, [prompt.tokens for prompt in batch], n_new, stops,
                                    config.share_prefix)
                bar.update(len(batch))
                for prompt, row in zip(batch, rows, strict=True):
                    text = subject.decode(row).split('\n')[0].strip()
                    yield dict(number=prompt.number, answer=text, prompt_tokens=len(prompt.tokens),
                               dropped=about[prompt.number].dropped, cut=about[prompt.number].cut)


def scored(name: str, loaded, answered: dict) -> list[dict]:
    """The answers in order, with golds and scores."""
    golds = [item.golds for item in loaded.items]
    return [answered[i] | dict(golds=golds[i]) | TASKS[name].score(answered[i]['answer'], golds[i])
            for i in sorted(answered)]


def row_of(name: str, loaded, lines: list[dict], **first) -> dict:
    """The task's row of downstream.csv."""
    task = TASKS[name]
    counted = [line for line in lines if line.get('human_f1', 1) >= HUMAN_F1_MIN]  # QuAC's rule
    if not counted:
        raise UserError(f'{name}: people agree on none of its {len(lines)} questions')
    score, error = mean_and_error([line[task.metric] for line in counted])
    more = {key: round(mean(line[key] for line in counted), 6) if key in lines[0] else ''
            for key in ('em', 'f1')}
    return first | dict(task=name, group=task.group, shots=len(loaded.shots), count=len(counted),
                        score=round(score, 6),
                        standard_error=round(error, 6) if len(counted) > 1 else '') | more | dict(
        shots_dropped=sum(line['dropped'] for line in lines), prompts_cut=sum(line['cut'] for line in lines),
        baseline=baseline(name, loaded.items), source=loaded.source)


def evaluate(subject: Subject, config, runtime, folder: str):
    """All tasks at all loop counts; rows go to downstream.csv as they come, in place of those before.

    With --limit to downstream_limitN.csv, so that a quick look never takes the place of a whole evaluation.
    """
    base = os.path.join(folder, 'downstream' + (f'_limit{config.limit}' if config.limit else ''))
    stages = subject.model.stages
    for loops in config.loops or (trained_loops(stages),):
        n_loops, rows = loops if sweepable(stages) else None, []
        for name in config.names():
            loaded = load_task(name, config)
            answered = os.path.join(base, f'{name}_step{subject.step}_loops{loops}.jsonl')
            os.makedirs(base, exist_ok=True)
            lines = answer_task(subject, name, loaded, n_loops, config, runtime, answered)
            if runtime.main:
                rows.append(row_of(name, loaded, lines, step=subject.step, loops=loops))
                keep(f'{base}.csv', rows[-1])
                print(describe(rows[-1]), flush=True)
        if runtime.main:
            print_groups(rows)


def load_task(name: str, config):
    shots = TASKS[name].shots if config.shots < 0 else config.shots
    return load(name, shots, config.seed, config.data_dir, config.revision, config.limit,
                config.every_language)


def keep(path: str, row: dict):
    """The row into downstream.csv, in place of one of the same step, loops and task."""
    def key(row):
        return str(row['step']), str(row['loops']), row['task']
    write_csv(path, [old for old in read_rows(path) if key(old) != key(row)] + [row])


def describe(row: dict) -> str:
    """A row in words."""
    long = f"; {row['shots_dropped']} shots left out for length" * (row['shots_dropped'] > 0)
    long += f"; {row['prompts_cut']} prompts cut at their beginning" * (row['prompts_cut'] > 0)
    chance = f"; copying one of the values {100 * row['baseline']:.1f}" if row['baseline'] != '' else ''
    error = f" +- {100 * row['standard_error']:.2f}" if row['standard_error'] != '' else ''
    return (f"step {row['step']}, loops {row['loops']}: {row['task']} {100 * row['score']:.2f}{error}% "
            f"{TASKS[row['task']].metric}, {row['count']} items, {row['shots']} shots{chance}{long}")


def print_groups(rows: list[dict]):
    """The mean of each group all of whose tasks are there, as the paper takes it."""
    for group in dict.fromkeys(row['group'] for row in rows):
        own = [row['score'] for row in rows if row['group'] == group]
        if len(own) == sum(task.group == group for task in TASKS.values()):
            print(f'{group}: {100 * mean(own):.2f}%, mean of {len(own)} tasks')


def show_prompts(config):
    """Prints the first prompts of each task, as a model gets them, and what would be right."""
    for name in config.names():
        loaded = load_task(name, config)
        for item in loaded.items[:config.show]:
            print(f'=== {name}, {len(loaded.shots)} shots\n{prompt_of(item, loaded.shots)}\n'
                  f'--- golds: {item.golds}\n')


def checkpoints(folder: str, name: str) -> list[str]:
    """The names of the checkpoints that are asked for, in the order of their steps."""
    if name != 'all' or folder.startswith('gpt2:'):
        return [name]
    kept = sorted(map(os.path.basename, glob.glob(os.path.join(glob.escape(folder), 'step_*.pt'))))
    if not kept:
        raise UserError(f'{folder} has no step_*.pt; train.py leaves them with --keep_interval')
    return kept


def main(config, words):
    if len(words) != 1:
        raise UserError(f'give one folder of a run, such as out/pile_12x2, not {len(words)}')
    if config.show:
        return show_prompts(config)
    folder = config.out_dir or words[0]
    if folder.startswith('gpt2:'):
        raise UserError('--out_dir=FOLDER says where the scores of a checkpoint of transformers go')
    runtime = runtimes.start(config.device, config.dtype, 'False')
    for name in checkpoints(words[0], config.checkpoint):
        subject = subject_of(words[0], name, runtime.device)
        if config.loops and not sweepable(subject.model.stages):
            raise UserError(f'{words[0]} has no one loop count, so --loops does not apply to it')
        runtime.for_inference(subject.model)
        evaluate(subject, config, runtime, folder)
    if runtime.world > 1:
        torch.distributed.destroy_process_group()


if __name__ == '__main__':
    with one_line_errors():
        main(config, words)
