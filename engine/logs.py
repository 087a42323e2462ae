"""What a run tells: config.json and CSV files in its folder, progress on the console, wandb if asked."""
import csv
import glob
import json
import os
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta

import torch
from tqdm import tqdm

from engine.errors import UserError
from engine.files import ROOT, lock_folder, write_atomically
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
        self.columns = columns
        self.file = open(path, 'a', encoding='utf-8', newline='')

    def write(self, row: dict):
        csv.writer(self.file).writerow([row.get(name, '') for name in self.columns])
        self.file.flush()


class RunLog:
    """The console and the CSV files of a run, on rank 0 alone; the other ranks write and print nothing.
    The console is a progress bar on a terminal, plain lines elsewhere; wandb gets the same rows."""

    def __init__(self, run, argv: list[str]):
        config = run.config
        self.main = run.runtime.main
        self.started = time.perf_counter()
        self.first_step = run.step
        self.max_steps = config.max_steps
        self.metrics = None
        self.evaluations = None
        self.similarities = None
        self.lock = None
        if self.main:
            self.open_folder(run, argv)

        self.bar = None
        if self.main and sys.stderr.isatty():
            self.bar = tqdm(total=config.max_steps, initial=run.step, unit='step', dynamic_ncols=True)
        self.wandb = None
        if config.wandb and self.main:
            self.wandb = start_wandb(run)

    def open_folder(self, run, argv):
        """Makes the run's folder with config.json and its CSV files; writes over what left no checkpoint."""
        try:
            os.makedirs(run.config.out_dir, exist_ok=True)
            self.lock = lock_folder(run.config.out_dir)
            for path in glob.glob(os.path.join(glob.escape(run.config.out_dir), '*.tmp')):
                os.remove(path)  # a kill in the middle of writing has left it
            if not run.step and os.path.exists(run.path('best.pt')):
                os.remove(run.path('best.pt'))
            if run.step < run.config.max_steps:
                write_config(run, argv)
            self.metrics = CsvLog(run.path('metrics.csv'), METRICS, run.step)
            self.evaluations = CsvLog(run.path('eval.csv'), EVALUATION, run.step)
            if run.config.regularize_k:
                self.similarities = CsvLog(run.path('similarity.csv'), SIMILARITY, run.step)
        except OSError as error:
            raise UserError(f'out_dir={run.config.out_dir} cannot be written: {error.strerror}') from None

    def step(self, row: dict):
        if not self.main:
            return
        self.metrics.write(row)
        text = f"loss {row['loss']:.4f}, lr {row['lr']:.2e}, grad norm {row['grad_norm']:.2f}"
        speed = f"{row['ms_per_step']:.0f} ms/step, {row['tokens_per_s']:,.0f} tokens/s"
        if self.bar is not None:
            self.bar.update(row['step'] - self.bar.n)
            self.bar.set_postfix_str(text)
        else:
            pace = (time.perf_counter() - self.started) / max(1, row['step'] - self.first_step)
            eta = timedelta(seconds=round(pace * (self.max_steps - row['step'])))
            self.line(f"step {row['step']}/{self.max_steps}: {text}, {speed}, ETA {eta}")
        self.remote(row, 'train')

    def evaluation(self, step: int, rows: list[dict]):
        """Rows of eval.csv: validation at a step."""
        if not self.main:
            return
        for row in rows:
            row = dict(step=step, split='val') | row
            self.evaluations.write(row)
            self.line(f"step {step}: val, {describe(row)}")
            self.remote(row, f"val/{row['difficulty']}")

    def similarity(self, step: int, rows: list[dict]):
        """Rows of similarity.csv, where the run keeps one."""
        if self.similarities is not None:
            for row in rows:
                self.similarities.write(dict(step=step) | row)

    def line(self, text: str):
        if self.bar is not None:
            self.bar.write(text)
        elif self.main:
            print(text, flush=True)

    def close(self):
        if self.bar is not None:
            self.bar.close()
        if self.lock is not None:
            os.close(self.lock)

    def remote(self, row: dict, group: str):
        if self.wandb is not None:
            numbers = {f'{group}/{k}': v for k, v in row.items() if isinstance(v, (int, float))}
            self.wandb.log(numbers, step=row['step'])


class Meter:
    """Speed of training steps since the last row: the clock stands still while it is paused."""

    def __init__(self, run):
        self.run = run
        self.flops_per_token = run.model.flops_per_token(run.task.block_size)
        self.peak = run.runtime.peak_flops()
        if run.task.adaptive_loops:
            self.peak = None  # no one number of FLOPs holds for every token
        self.restart()

    def restart(self):
        self.clock = time.perf_counter()
        self.waited = 0.0  # seconds for batches
        self.step = self.run.step
        self.tokens = self.run.tokens

    @contextmanager
    def waiting(self):
        """Counts what happens inside as waiting for data."""
        began = time.perf_counter()
        yield
        self.waited += time.perf_counter() - began

    @contextmanager
    def paused(self):
        """Leaves out what happens inside."""
        began = time.perf_counter()
        yield
        self.clock += time.perf_counter() - began

    def row(self) -> dict:
        """Columns of metrics.csv over the steps since the last row."""
        seconds = time.perf_counter() - self.clock
        steps = self.run.step - self.step
        tokens_per_s = (self.run.tokens - self.tokens) / seconds
        mfu = 'n/a'
        if self.peak:
            mfu = round(self.flops_per_token * tokens_per_s / self.peak, 4)
        row = dict(ms_per_step=round(1000 * seconds / steps, 2),
                   wait_ms_per_step=round(1000 * self.waited / steps, 3), tokens_per_s=round(tokens_per_s),
                   mfu=mfu)
        self.restart()
        return row


def start_wandb(run):
    """The run at Weights & Biases; a resumed run goes on with its own, whose id is in the folder."""
    import wandb
    path = run.path('wandb_id.txt')
    if not run.step or not os.path.exists(path):
        write_atomically(path, lambda file: file.write(uuid.uuid4().hex))
    with open(path, encoding='utf-8') as file:
        run_id = file.read()
    name = os.path.basename(run.config.out_dir)
    return wandb.init(project='looped-transformers', name=name, id=run_id, resume='allow',
                      config=asdict(run.config))


def describe(row: dict) -> str:
    if 'bits_per_byte' in row:
        return f"loops {row['loops']:g}: loss {row['loss']:.4f}, {row['bits_per_byte']:.4f} bits a byte"
    accuracy = f"{100 * row['accuracy']:.2f}%"
    result = row.get('rule') or f"loss {row['loss']:.4f}"
    return f"difficulty {row['difficulty']}, loops {row['loops']:g}: accuracy {accuracy}, {result}"


def git_commit() -> str:
    """The commit of this folder, '-dirty' where it was changed; 'unknown' without git."""
    try:
        command = ['git', 'describe', '--always', '--dirty']
        git = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        return git.stdout.strip() or 'unknown'
    except OSError:
        return 'unknown'


def write_config(run, argv):
    """config.json: the resolved fields; the command, versions, device, git commit and the model's size."""
    about = dict(command=' '.join(['python', *argv]), git=git_commit(), torch=torch.__version__,
                 python=sys.version.split()[0], runtime=run.runtime.notes,
                 parameters=run.model.count_parameters(),
                 flops_per_token=run.model.flops_per_token(run.task.block_size),
                 loops=trained_loops(run.model.stages))
    text = json.dumps(dict(config=asdict(run.config), about=about), indent=1) + '\n'
    write_atomically(run.path('config.json'), lambda file: file.write(text))
