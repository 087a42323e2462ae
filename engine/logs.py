"""What a run tells: config.json and CSV files in its folder, progress on the console, wandb if asked."""
import csv
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import timedelta

import torch
from tqdm import tqdm

from engine.configurator import UserError
from engine.files import ROOT, write_atomically
from stages import trained_loops

METRICS = ('step', 'tokens', 'loss', 'lr', 'grad_norm', 'regularizer', 'ms_per_step', 'wait_ms_per_step',
           'tokens_per_s', 'mfu')
SIMILARITY = ('step', 'group', 'kind', 'layer', 'cosine')
EVALUATION = ('step', 'split', 'difficulty', 'loops', 'loss', 'accuracy', 'bits_per_byte', 'count')


class CsvLog:
    """A CSV file of a run. On resumption the rows after `step` go: the run writes them again, the same."""

    def __init__(self, path: str, columns, step: int):
        kept = []
        if step and os.path.exists(path):
            with open(path, encoding='utf-8', newline='') as file:
                rows = [row for row in csv.reader(file) if len(row) == len(columns)]
            kept = [row for row in rows[1:] if row[0].isdigit() and int(row[0]) <= step]
        write_atomically(path, lambda file: csv.writer(file).writerows([columns, *kept]))
        self.columns, self.file = columns, open(path, 'a', encoding='utf-8', newline='')

    def write(self, row: dict):
        csv.writer(self.file).writerow([row.get(name, '') for name in self.columns])
        self.file.flush()


class Console:
    """A progress bar on a terminal, plain lines elsewhere, on rank 0 alone; wandb gets the same rows."""

    def __init__(self, config, runtime, step: int):
        self.main, self.started = runtime.main, time.perf_counter()
        self.first, self.last = step, config.max_steps
        self.bar = None
        if self.main and sys.stderr.isatty():
            self.bar = tqdm(total=config.max_steps, initial=step, unit='step', dynamic_ncols=True)
        self.wandb = None
        if config.wandb and self.main:
            import wandb
            name = os.path.basename(config.out_dir)
            self.wandb = wandb.init(project='looped-transformers', name=name, config=asdict(config))

    def step(self, row: dict):
        text = f"loss {row['loss']:.4f}, lr {row['lr']:.2e}, grad norm {row['grad_norm']:.2f}"
        speed = f"{row['ms_per_step']:.0f} ms/step, {row['tokens_per_s']:,.0f} tokens/s"
        if self.bar is not None:
            self.bar.update(row['step'] - self.bar.n)
            self.bar.set_postfix_str(text)
        else:
            pace = (time.perf_counter() - self.started) / max(1, row['step'] - self.first)
            eta = timedelta(seconds=round(pace * (self.last - row['step'])))
            self.line(f"step {row['step']}/{self.last}: {text}, {speed}, ETA {eta}")
        self.remote(row, 'train')

    def evaluation(self, rows: list[dict]):
        for row in rows:
            self.line(f"step {row['step']}: {row['split']}, {describe(row)}")
            self.remote(row, f"{row['split']}/{row['difficulty']}")

    def line(self, text: str):
        if self.bar is not None:
            self.bar.write(text)
        elif self.main:
            print(text, flush=True)

    def close(self):
        if self.bar is not None:
            self.bar.close()

    def remote(self, row: dict, group: str):
        if self.wandb is not None:
            numbers = {f'{group}/{k}': v for k, v in row.items() if isinstance(v, (int, float))}
            self.wandb.log(numbers, step=row['step'])


def describe(row: dict) -> str:
    """An evaluation in words."""
    if 'bits_per_byte' in row:
        return f"loops {row['loops']:g}: loss {row['loss']:.4f}, {row['bits_per_byte']:.4f} bits a byte"
    accuracy, result = f"{100 * row['accuracy']:.2f}%", row.get('rule') or f"loss {row['loss']:.4f}"
    return f"difficulty {row['difficulty']}, loops {row['loops']:g}: accuracy {accuracy}, {result}"


def git_commit() -> str:
    """The commit of this folder, '-dirty' where it was changed; 'unknown' without git."""
    try:
        git = subprocess.run(['git', 'describe', '--always', '--dirty'], capture_output=True, text=True,
                             cwd=ROOT)
        return git.stdout.strip() or 'unknown'
    except OSError:
        return 'unknown'


def write_config(run, argv):
    """config.json: the resolved fields; the command, versions, device, git commit and the model's size."""
    config, model = run.config, run.model
    about = dict(command=' '.join(['python', *argv]), git=git_commit(),
                 torch=torch.__version__, python=sys.version.split()[0], runtime=run.runtime.notes,
                 parameters=model.count_parameters(),
                 flops_per_token=model.flops_per_token(run.task.block_size),
                 loops=trained_loops(model.stages))
    text = json.dumps(dict(config=asdict(config), about=about), indent=1) + '\n'
    write_atomically(os.path.join(config.out_dir, 'config.json'), lambda file: file.write(text))


def open_folder(run, argv):
    """The run's folder with config.json; returns its logs: metrics, evaluations, similarity or None.

    What left no checkpoint is written over.
    """
    try:
        os.makedirs(run.config.out_dir, exist_ok=True)
        if not run.step and os.path.exists(run.path('best.pt')):
            os.remove(run.path('best.pt'))
        if run.step < run.config.max_steps:
            write_config(run, argv)
        def log(name, columns):
            return CsvLog(run.path(f'{name}.csv'), columns, run.step)
        similar = log('similarity', SIMILARITY) if run.config.regularize_k else None
        return log('metrics', METRICS), log('eval', EVALUATION), similar
    except OSError as error:
        raise UserError(f'out_dir={run.config.out_dir} cannot be written: {error.strerror}') from None
