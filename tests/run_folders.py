"""Folders of runs as training and evaluation leave them, with invented numbers, for the tests of plots/."""
import csv
import json

from engine.files import write_csv
from plots.scored_runs import TASK_GROUPS
from stages import distinct_layers, effective_depth, parse_stages, trained_loops


def write_folder(folder, config: dict, about: dict, **files):
    """config.json, and a CSV file of each list of rows; returns the folder's path."""
    folder.mkdir(exist_ok=True)
    for name, rows in files.items():
        write_csv(str(folder / f'{name}.csv'), rows)
    text = json.dumps(dict(config=config, about=about))
    (folder / 'config.json').write_text(text, encoding='utf-8')
    return str(folder)


def write_run(folder, stages, seed, accuracies, max_steps=10, last=10):
    """After train.py and eval_tasks.py; accuracies by difficulty, at the trained two loops."""
    return write_folder(
        folder, dict(stages=stages, seed=seed, max_steps=max_steps),
        dict(parameters=1234, flops_per_token=5678, loops=2),
        metrics=[dict(step=5, ms_per_step=6000), dict(step=last, ms_per_step=12000)],
        eval=[dict(step=10, accuracy=0.5)],
        test=[dict(difficulty=d, loops=loops, accuracy=accuracy if loops == 2 else 0, count=100)
              for d, accuracy in accuracies.items() for loops in (1, 2)],
        baselines=[dict(baseline='guess', difficulty=d, accuracy=0.25, count=100) for d in accuracies])


def write_scored_run(folder, stages, scores, seed=0, error='', losses=None, **config):
    """After train.py and eval_downstream.py.

    scores: {task: percent}, or {step: {task: percent}}; losses: {step: nats a token}. Other loop counts than
    the trained one are there too, with numbers that must not be taken.
    """
    scores = scores if set(scores) & {10, 20, 30} else {30: scores}
    losses = losses or {step: 2.0 for step in scores}
    loops = trained_loops(parse_stages(stages))
    prompted = [dict(step=step, loops=n, task=task, group='', shots=5, count=100, standard_error=error, em='',
                     score=score / 100 if n == loops else 0.99, f1='', shots_dropped=0, source='')
                for step, tasks in scores.items() for task, score in tasks.items()
                for n in (loops, loops + 1)]
    evaluated = [dict(step=step, split=split, loops=loops, loss=loss if split == 'val' else 9.0,
                      bits_per_byte=loss / 4) for step, loss in losses.items() for split in ('val', 'test')]
    about = dict(parameters=1000 * distinct_layers(parse_stages(stages)), loops=loops,
                 flops_per_token=6000 * effective_depth(parse_stages(stages)))
    return write_folder(folder, dict(stages=stages, seed=seed, n_embd=2048) | config, about,
                        downstream=prompted, eval=evaluated)


def of_groups(numbers):
    """{task: percent}, every task at its group's mean."""
    return {task: numbers[group] for group, names in TASK_GROUPS.items() for task in names}


def read(path):
    with open(path, encoding='utf-8') as file:
        return list(csv.DictReader(file))
