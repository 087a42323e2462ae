"""Trains one model: python train.py [config/FILE.py ...] [--key=value ...]

    python train.py config/ghop_1x6.py --max_steps=100
    torchrun --nproc_per_node=8 train.py config/ghop_1x6.py

The run's folder, out/<name of the last file> unless --out_dir says otherwise, gets config.json, metrics.csv,
eval.csv, ckpt.pt (the latest state), best.pt (the best on validation) and step_*.pt (where kept).
"""
import math
import os
import sys
import time
from dataclasses import asdict

from engine.configurator import UserError, configure, one_line_errors
from settings import Config
from tasks import make_task

if __name__ == '__main__':  # before torch is imported: errors and --help come at once
    with one_line_errors():
        config, files = configure(Config, sys.argv[1:], __doc__)

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from engine import checkpoint
from engine import runtime as runtimes
from engine.cost import dry_run, micro_batch
from engine.loader import batches_ahead
from engine.logs import Console, CsvLog, open_folder
from eval_tasks import evaluate
from looped import build_model
from optimizers import make_optimizer
from problems.task import IGNORE
from regularizer import penalty, similarities

# What may differ between a checkpoint and the run that goes on from it: nothing that shapes model or data.
MAY_CHANGE = ('out_dir max_minutes log_interval eval_interval checkpoint_interval keep_interval resume '
              'wandb dry_run device dtype compile max_steps micro_batch_size checkpoint_loops '
              'data_workers').split()


def lr_at(step: int, config) -> float:
    """Learning rate of a step, from 0: linear warmup, constant, cosine to 0 (A, App. A.1; B, App. E)."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == 'constant':
        return config.learning_rate
    flat = max(config.warmup_steps, config.decay_start)
    progress = max(0, step - flat) / max(1, config.max_steps - flat)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def backward(model, config, runtime, batch, n_targets: int):
    """Gradients of the mean loss over the global batch; returns this process's share of the summed loss.

    The share is cut into micro-batches; each is normalised by the global count of targets, so the gradient
    depends neither on how the batch is cut nor on how many processes share it. The regularizer (A, Eq. 5)
    is added once, to the last.
    """
    tokens, targets, loops = runtime.put(batch)
    size = config.micro_batch_size
    total = torch.zeros((), device=runtime.device)
    starts = range(0, len(tokens), size)
    for start in starts:
        last = start == starts[-1]
        if runtime.world > 1:
            model.require_backward_grad_sync = last  # gradients are summed over processes once a step
        with runtime.autocast():
            own_loops = None if loops is None else loops[start:start + size]
            loss = model(tokens[start:start + size], targets[start:start + size], own_loops)
        objective = loss * (runtime.world / n_targets)  # DDP takes the mean over processes
        if last and config.regularize_weight:
            own = model.module if runtime.world > 1 else model
            objective += config.regularize_weight * penalty(own, config.regularize_k, config.regularize_kind)
        objective.backward()
        total += loss.detach()
    return total


class Run:
    """All that a checkpoint holds, and how it is saved and restored."""

    def __init__(self, config, runtime, task):
        generator = torch.Generator().manual_seed(config.seed)
        self.config, self.runtime, self.task = config, runtime, task
        self.model = build_model(config, task.vocab_size, config.block_size, generator).to(runtime.device)
        self.optimizer = make_optimizer(self.model, config)
        self.average, self.evaluated = None, self.model
        if config.ema:
            self.average = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(config.ema))
            self.evaluated = self.average.module
        self.step, self.tokens, self.best = 0, 0, []  # tokens: seen by all processes
        self.saver = checkpoint.Saver()

    def path(self, name: str) -> str:
        return os.path.join(self.config.out_dir, name)

    def save(self, name='ckpt.pt'):
        if self.runtime.main:
            model = self.evaluated if name == 'best.pt' else self.model
            self.saver.save(self.path(name), dict(
                model=model.state_dict(), average=self.average and self.average.state_dict(),
                optimizer=self.optimizer.state_dict(), step=self.step, tokens=self.tokens, best=self.best,
                rng=torch.get_rng_state(), config=asdict(self.config)))

    def restore(self):
        """Goes on from ckpt.pt where `resume` says so; refuses to write over any other."""
        exists = os.path.exists(self.path('ckpt.pt'))
        if self.config.resume == 'never' and exists:
            raise UserError(f'{self.config.out_dir} holds a run already: --resume=auto goes on from its '
                            'checkpoint, another --out_dir keeps it, deleting the folder starts afresh')
        if self.config.resume == 'must' and not exists:
            raise UserError(f'resume=must, but there is no checkpoint at {self.path("ckpt.pt")}')
        if not exists:
            return
        saved = checkpoint.load(self.path('ckpt.pt'), self.runtime.device)
        for name, value in asdict(self.config).items():
            old = saved['config'].get(name, value)
            if name not in MAY_CHANGE and old != value:
                raise UserError(f'{self.path("ckpt.pt")} was made with {name}={old}, this run asks for '
                                f'{value}; use the same, or another --out_dir')
        self.model.load_state_dict(saved['model'])
        self.optimizer.load_state_dict(saved['optimizer'])
        if self.average:
            self.average.load_state_dict(saved['average'])
        self.step, self.tokens, self.best = (saved[name] for name in ('step', 'tokens', 'best'))
        torch.set_rng_state(saved['rng'].cpu())


def penalty_now(model, config) -> float:
    """The regularizer before lambda, 0 where none is asked for."""
    if not config.regularize_k:
        return 0.0
    with torch.no_grad():
        return penalty(model, config.regularize_k, config.regularize_kind).item()


def train(run: Run, batches, console: Console, metrics: CsvLog, evaluations: CsvLog, similar, stop):
    """The training loop. All of a step is a function of (configuration, step): resumption is exact."""
    config, runtime, model = run.config, run.runtime, run.model
    wrapped = DistributedDataParallel(model) if runtime.world > 1 else model
    parameters = list(model.parameters())
    peak, flops_per_token = runtime.peak_flops(), model.flops_per_token(run.task.block_size)
    measurable = peak and not config.adaptive_loops  # else no one number of FLOPs holds for every token
    bad_step = torch.zeros((), dtype=torch.long, device=runtime.device)
    clock, clocked, waited, tokens = time.perf_counter(), run.step, 0.0, run.tokens

    while run.step < config.max_steps:
        lr = lr_at(run.step, config)
        for group in run.optimizer.param_groups:
            group['lr'] = lr
        began = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - began
        if config.dropout:
            torch.manual_seed((config.seed * 1_000_003 + run.step) * 4096 + runtime.rank)
        scored = float((batch.targets != IGNORE).sum())
        n_targets, n_tokens, stopping = runtime.sum(scored, float(batch.tokens.size), float(stop.wanted()))
        loss = backward(wrapped, config, runtime, batch, n_targets)
        grad_norm = torch.nn.utils.clip_grad_norm_(parameters, config.grad_clip or math.inf)
        run.optimizer.step()
        run.optimizer.zero_grad()
        if run.average:
            run.average.update_parameters(model)
        run.step, run.tokens = run.step + 1, run.tokens + int(n_tokens)

        # A bad step is remembered on the device and read only where the host waits for it anyway.
        bad_step = torch.where((bad_step == 0) & ~grad_norm.isfinite(), run.step, bad_step)
        last = run.step == config.max_steps or bool(stopping)
        due = {name: run.step == config.max_steps or run.step % getattr(config, f'{name}_interval') == 0
               for name in ('log', 'eval', 'checkpoint')}
        if (any(due.values()) or last) and bad_step.item():
            raise SystemExit(f'error: loss or gradient is not finite at step {bad_step.item()}; '
                             'lower --learning_rate, lengthen --warmup_steps or try --dtype=float32')
        if due['log']:
            if runtime.world > 1:
                dist.all_reduce(loss)
            seconds = (time.perf_counter() - clock) / (run.step - clocked)
            tokens_per_s = (run.tokens - tokens) / (time.perf_counter() - clock)
            row = dict(step=run.step, tokens=run.tokens, loss=loss.item() / n_targets, lr=lr,
                       grad_norm=grad_norm.item(), regularizer=penalty_now(model, config),
                       ms_per_step=round(1000 * seconds, 2),
                       wait_ms_per_step=round(1000 * waited / (run.step - clocked), 3),
                       tokens_per_s=round(tokens_per_s),
                       mfu=round(flops_per_token * tokens_per_s / peak, 4) if measurable else 'n/a')
            if runtime.main:
                metrics.write(row)
                console.step(row)
            clock, clocked, waited, tokens = time.perf_counter(), run.step, 0.0, run.tokens
        paused = time.perf_counter()
        if due['eval']:
            evaluate_and_keep_best(run, console, evaluations)
            if similar is not None:
                for row in similarities(model, config.regularize_k):
                    similar.write(dict(step=run.step) | row)
        if due['checkpoint'] or last:
            run.save()
        if config.keep_interval and run.step % config.keep_interval == 0:
            run.save(f'step_{run.step:07d}.pt')
        clock += time.perf_counter() - paused
        if stopping:
            break


def evaluate_and_keep_best(run: Run, console: Console, evaluations: CsvLog):
    """Validation rows into eval.csv; best.pt follows the highest mean accuracy, then the lowest mean loss."""
    config = run.config
    size = min(config.micro_batch_size, config.eval_examples)
    rows = evaluate(run.evaluated, run.task, run.runtime, 'val', config.eval_examples, size)
    mean = [sum(row[name] or 0 for row in rows) / len(rows) for name in ('accuracy', 'loss')]
    if not run.best or (mean[0], -mean[1]) > (run.best[0], -run.best[1]):
        run.best = mean
        run.save('best.pt')
    if run.runtime.main:
        rows = [dict(step=run.step, split='val') | row for row in rows]
        for row in rows:
            evaluations.write(row)
        console.evaluation(rows)


def main(config, files, argv):
    task = make_task(config)
    config.block_size = config.block_size or task.block_size
    config.n_ff = config.n_ff or 4 * config.n_embd
    if config.decay_start < 0:
        config.decay_start = max(task.starts)
    name = os.path.splitext(os.path.basename(files[-1]))[0] if files else config.task
    config.out_dir = config.out_dir or os.path.join('out', name)
    if config.dry_run:
        return dry_run(config, task)
    check_splits(task)
    with runtimes.Stop(config.max_minutes) as stop:
        runtime = runtimes.start(config.device, config.dtype, config.compile)
        if config.batch_size < runtime.world:
            raise UserError(f'batch_size={config.batch_size} leaves some of {runtime.world} processes '
                            'without work')
        config.micro_batch_size = micro_batch(config, task, runtime)
        run = Run(config, runtime, task)
        run.restore()
        logs = open_folder(run, argv) if runtime.main else (None, None, None)
        console = Console(config, runtime, run.step)
        greet(run, console)
        if runtime.compile:
            run.model.compile_blocks(task.fixed_size)
            if run.average:
                run.evaluated.compile_blocks(task.fixed_size)
        batches = batches_ahead(run)
        try:
            train(run, batches, console, *logs, stop)
        finally:
            batches.close()
            console.close()
            run.saver.wait()
    if runtime.world > 1:
        dist.destroy_process_group()
    if run.step < config.max_steps:
        console.line(f'stopped at step {run.step} of {config.max_steps}; --resume=auto goes on from there')
        sys.exit(stop.exit_code())
    console.line(f'done: {run.step} steps, {config.out_dir}')


def check_splits(task):
    """UserError before anything is written where a task is too small to have a validation and a test set."""
    try:
        for split in ('val', 'test'):
            for difficulty in task.evaluated(split):
                task.eval_batch(split, difficulty, 0, 1)
    except ValueError as error:
        raise UserError(error) from None


def greet(run: Run, console: Console):
    """What runs, and where, in a few lines."""
    config, model = run.config, run.model
    console.line(f'{config.out_dir}: {config.stages} on {config.task}, '
                 f'{model.count_parameters():,} parameters, '
                 f'{model.flops_per_token(run.task.block_size):,} training FLOPs a token')
    for note in run.runtime.notes:
        console.line(note)
    share = run.runtime.share(config.batch_size)
    if config.micro_batch_size < share:
        console.line(f'{share} sequences a process and step, {config.micro_batch_size} at a time')
    if run.step:
        console.line(f'resumed at step {run.step} of {config.max_steps}')


if __name__ == '__main__':
    with one_line_errors():
        main(config, files, sys.argv)
