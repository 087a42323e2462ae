"""Trains one model: python train.py [config/FILE.py ...] [--key=value ...]

    python train.py config/ghop_1x6.py --max_steps=100
    torchrun --nproc_per_node=8 train.py config/ghop_1x6.py

The run's folder, out/<the last file's path below config/> unless --out_dir says otherwise, gets
config.json, metrics.csv, eval.csv, ckpt.pt (the latest state), best.pt (the best on validation) and step_*.pt
(where kept).
"""
import math
import os
import sys
from dataclasses import asdict

from engine.configurator import configure
from engine.errors import UserError, one_line_errors
from settings import Config, with_task
from tasks import make_task

if __name__ == '__main__':  # before torch is imported: errors and --help come at once
    with one_line_errors():
        config, files = configure(Config, sys.argv[1:], __doc__, extend=with_task)

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from engine import checkpoint, runtime
from engine.cost import dry_run, micro_batch, time_estimate
from engine.evaluation import evaluate
from engine.loader import batches_ahead
from engine.logs import Meter, RunLog
from looped import LoopedGPT
from optimizers import make_optimizer
from problems.task import IGNORE
from regularizer import penalty, similarities

# What may differ between a checkpoint and the run that goes on from it: nothing that shapes model or data.
MAY_CHANGE = ('out_dir max_minutes log_interval eval_interval checkpoint_interval keep_interval resume '
              'wandb dry_run dry_run_mfu device device_memory dtype compile max_steps micro_batch_size '
              'checkpoint_loops data data_workers').split()


def lr_at(step: int, config) -> float:
    """Learning rate of a step, counted from 0: linear warmup, then constant, then cosine to 0
    (Saunshi et al. 2025, App. A.1; Fan et al. 2025, App. E)."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == 'constant':
        return config.learning_rate
    flat = max(config.warmup_steps, config.decay_start)  # the cosine begins here
    progress = max(0, step - flat) / max(1, config.max_steps - flat)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def backward(model, run, batch, n_targets: int):
    """Gradients of the mean loss over the global batch; returns this process's share of the summed loss.
    The share is cut into micro-batches; each is normalised by the global count of targets, so the gradient
    depends neither on how the batch is cut nor on how many processes share it. The regularizer (Saunshi et
    al. 2025, Eq. 5) is added once, to the last."""
    config = run.config
    tokens, targets, loops = run.runtime.put(batch)  # (B, T), (B, T), (B,) or None
    total = torch.zeros((), device=tokens.device)  # the loss stays on the device
    n_parts = math.ceil(len(tokens) / config.micro_batch_size)
    for i in range(n_parts):
        part = slice(len(tokens) * i // n_parts, len(tokens) * (i + 1) // n_parts)
        is_last = i == n_parts - 1
        if run.runtime.world > 1:
            model.require_backward_grad_sync = is_last  # gradients are summed over processes once a step
        with run.runtime.autocast():
            loss = model(tokens[part], targets[part], None if loops is None else loops[part])
        # DDP takes the mean over processes, so each one's part is scaled up by their number.
        objective = loss * (run.runtime.world / n_targets)
        if is_last and config.regularize_weight:
            objective += config.regularize_weight * penalty(run.model, config.regularize_k)
        objective.backward()
        total += loss.detach()
    return total


class Run:
    """All that a checkpoint holds, and how it is saved and restored."""

    def __init__(self, config, runtime, task):
        generator = torch.Generator().manual_seed(config.seed)
        self.config = config
        self.runtime = runtime
        self.task = task
        # Weights come from the seed alone, on a CPU: the same on every device and in every process.
        self.model = LoopedGPT(config, generator).to(runtime.device)
        self.optimizer = make_optimizer(self.model, config)
        self.average = None  # of the weights, where config.ema asks for it
        self.evaluated = self.model
        if config.ema:
            self.average = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(config.ema))
            self.evaluated = self.average.module
        self.step = 0
        self.tokens = 0  # seen by all processes
        self.best = []   # mean accuracy and loss of the best evaluation
        self.deadline = math.inf  # seconds since the epoch
        self.owes_evaluation = False  # a stop came while the present step was evaluated
        self.notes = []  # what the console has to say of a resumption
        self.saver = checkpoint.Saver()

    def path(self, name: str) -> str:
        return os.path.join(self.config.out_dir, name)

    def save(self, name='ckpt.pt'):
        """Writes a checkpoint in the background; best.pt holds the weights that are evaluated."""
        if not self.runtime.main:
            return
        model = self.evaluated if name == 'best.pt' else self.model
        self.saver.save(self.path(name), dict(
            model=model.state_dict(), average=self.average and self.average.state_dict(),
            optimizer=self.optimizer.state_dict(), step=self.step, tokens=self.tokens, best=self.best,
            deadline=self.deadline, owes_evaluation=self.owes_evaluation, rng=torch.get_rng_state(),
            config=asdict(self.config)))

    def restore(self):
        """Goes on from ckpt.pt where `resume` says so; refuses to write over any other."""
        path = self.path('ckpt.pt')
        exists = os.path.exists(path)
        if self.config.resume == 'never' and exists:
            raise UserError(f'{self.config.out_dir} holds a run already: --resume=auto goes on from its '
                            'checkpoint, another --out_dir keeps it, deleting the folder starts afresh')
        if self.config.resume == 'must' and not exists:
            raise UserError(f'resume=must, but there is no checkpoint at {path}')
        if not exists:
            return

        # Whatever shapes the model or the data has to be as it was.
        saved = checkpoint.load(path)
        for name, value in asdict(self.config).items():
            old = saved['config'].get(name, value)
            if name == 'max_steps' and old != value:
                self.notes.append(f'max_steps was {old}: from here on the schedule is that of {value} steps')
            if name not in MAY_CHANGE and old != value:
                raise UserError(f'{path} was made with {name}={old}, this run asks for {value}; use the '
                                'same, or another --out_dir')

        # All that the next step depends on.
        try:
            self.model.load_state_dict(saved['model'])
            self.optimizer.load_state_dict(saved['optimizer'])
            if self.average:
                self.average.load_state_dict(saved['average'])
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError):
            raise UserError(f'{path} was made by another version of this project; use its commit, named in '
                            f'{self.config.out_dir}/config.json') from None
        self.step = saved['step']
        self.tokens = saved['tokens']
        self.best = saved['best']
        self.deadline = saved.get('deadline', math.inf)
        self.owes_evaluation = saved.get('owes_evaluation', False)
        torch.set_rng_state(saved['rng'])

    def next_batch(self, batches):
        """This process's part of the next step's batch; where none can be made, what there is is saved."""
        try:
            return next(batches)
        except UserError:
            if self.step:
                self.save()
            raise

    def is_due(self, name: str) -> bool:
        """Whether log, eval, checkpoint or keep is due now; at the last step all but keep are."""
        interval = getattr(self.config, f'{name}_interval')
        if name == 'keep':
            return interval > 0 and self.step % interval == 0
        return self.step == self.config.max_steps or self.step % interval == 0


class FirstBadStep:
    """The first step whose gradient is not finite, kept on the device, so that the host does not wait."""

    def __init__(self, device):
        self.step = torch.zeros((), dtype=torch.long, device=device)

    def watch(self, grad_norm, step: int):
        self.step = torch.where((self.step == 0) & ~grad_norm.isfinite(), step, self.step)

    def check(self):
        """Ends the run where there was one."""
        if self.step.item():
            raise UserError(f'loss or gradient is not finite at step {self.step.item()}; '
                            'lower --learning_rate, lengthen --warmup_steps or try --dtype=float32')


def train(run: Run, batches, log: RunLog, stop):
    """The training loop. All of a step is a function of (configuration, step): resumption is exact."""
    config = run.config
    wrapped = DistributedDataParallel(run.model) if run.runtime.world > 1 else run.model
    parameters = list(run.model.parameters())
    bad_step = FirstBadStep(run.runtime.device)
    meter = Meter(run)
    if run.owes_evaluation:
        evaluate_and_keep_best(run, log, stop)
        run.save()

    while run.step < config.max_steps and not run.owes_evaluation:
        # The learning rate is a function of the step alone.
        lr = lr_at(run.step, config)
        for group in run.optimizer.param_groups:
            group['lr'] = lr

        # This process's part of the batch; how many targets and tokens all parts hold.
        with meter.waiting():
            batch = run.next_batch(batches)
        if config.dropout:  # other masks in every step and process, the same after a resumption
            torch.manual_seed((config.seed * 1_000_003 + run.step) * 4096 + run.runtime.rank)
        n_scored = float((batch.targets != IGNORE).sum())
        n_targets, n_tokens, stopping = run.runtime.sum(n_scored, batch.tokens.size, stop.wanted())

        # Forward and backward, in micro-batches.
        try:
            loss = backward(wrapped, run, batch, n_targets)
        except Exception:
            if not stop.signal:
                raise
            run.save()  # the signal ended the compiler too; this step has changed nothing yet
            break

        # Clip, and step.
        grad_norm = torch.nn.utils.clip_grad_norm_(parameters, config.grad_clip or math.inf)
        run.optimizer.step()
        run.optimizer.zero_grad()
        if run.average:
            run.average.update_parameters(run.model)
        run.step += 1
        run.tokens += int(n_tokens)

        # Log, evaluate, save. Evaluation comes before the checkpoint, which holds the best result so far.
        bad_step.watch(grad_norm, run.step)
        if stopping or any(run.is_due(name) for name in ('log', 'eval', 'checkpoint')):
            bad_step.check()
        if run.is_due('log'):
            log_step(run, log, meter, loss, n_targets, lr, grad_norm)
        with meter.paused():  # ms_per_step is that of training alone
            if run.is_due('eval'):
                evaluate_and_keep_best(run, log, stop)
            if run.is_due('checkpoint') or stopping or run.owes_evaluation:
                run.save()
            if run.is_due('keep'):
                run.save(f'step_{run.step:07d}.pt')
        if stopping:
            break


def log_step(run: Run, log: RunLog, meter: Meter, loss, n_targets, lr: float, grad_norm):
    """A row of metrics.csv; the one place where the host waits for the device."""
    if run.runtime.world > 1:
        dist.all_reduce(loss)  # each process has the sum over its own part
    regularizer = 0.0  # before lambda
    if run.config.regularize_k:
        with torch.no_grad():
            regularizer = penalty(run.model, run.config.regularize_k).item()
    row = dict(step=run.step, tokens=run.tokens, loss=loss.item() / n_targets, lr=lr,
               grad_norm=grad_norm.item(), regularizer=regularizer)
    log.step(row | meter.row())


def evaluate_and_keep_best(run: Run, log: RunLog, stop):
    """Validation rows into eval.csv; best.pt follows the highest mean accuracy, then the lowest mean loss.
    Where a stop is wanted meanwhile, the run owes this evaluation to the next start."""
    config = run.config
    size = min(config.micro_batch_size, config.eval_examples)  # examples at a time
    rows = evaluate(run.evaluated, run.task, run.runtime, 'val', config.eval_examples, size, stop=stop.wanted)
    run.owes_evaluation = rows is None
    if run.owes_evaluation:
        return
    # The mean over difficulties; a language model has a loss but no accuracy.
    accuracy = sum(row['accuracy'] or 0 for row in rows) / len(rows)
    loss = sum(row['loss'] for row in rows) / len(rows)
    if not run.best or (accuracy, -loss) > (run.best[0], -run.best[1]):
        run.best = [accuracy, loss]
        run.save('best.pt')
    log.evaluation(run.step, rows)
    if config.regularize_k:
        log.similarity(run.step, similarities(run.model, config.regularize_k))


def resolve(config, files: list[str], task):
    """Fills in what the defaults leave to the task and to the configuration file's name."""
    config.block_size = config.block_size or task.block_size
    config.vocab_size = config.vocab_size or task.vocab_size
    config.n_ff = config.n_ff or 4 * config.n_embd
    if config.decay_start < 0:  # when the last difficulty has joined
        config.decay_start = max(task.starts)
    if not config.out_dir:
        config.out_dir = default_folder(files[-1]) if files else os.path.join('out', config.task)


def default_folder(file: str) -> str:
    """config/laptop/parity.py -> out/laptop/parity; of a file elsewhere, out/ and its name."""
    parts = os.path.splitext(os.path.normpath(file))[0].split(os.sep)
    if 'config' in parts[:-1]:  # what follows the last folder of that name
        parts = parts[len(parts) - parts[::-1].index('config'):]
    else:
        parts = parts[-1:]
    return os.path.join('out', *parts)


def check_splits(task):
    """UserError before anything is written where a task is too small to have a validation and a test set."""
    try:
        for split in ('val', 'test'):
            for difficulty in task.evaluated(split):
                task.eval_batch(split, difficulty, 0, 1)
    except ValueError as error:
        raise UserError(error) from None


def main(config, files, argv):
    task = make_task(config)
    resolve(config, files, task)
    if config.dry_run:
        return dry_run(config, task)
    check_splits(task)

    with runtime.Stop(config.max_minutes) as stop:
        machine = runtime.start(config.device, config.dtype, config.compile)
        if config.batch_size < machine.world:
            raise UserError(f'batch_size={config.batch_size} leaves some of {machine.world} processes '
                            'without work')
        config.micro_batch_size = micro_batch(config, task, machine)
        run = Run(config, machine, task)
        run.restore()  # where there is something to go on from
        stop.keep_deadline(run.deadline)
        run.deadline = stop.deadline
        log = RunLog(run, argv)
        greet(run, log)
        if machine.compile:
            torch._dynamo.config.optimize_ddp = False  # it cuts a compiled block in five at the Pile's width
            run.model.compile_blocks(task.fixed_size)
            if run.average:
                run.evaluated.compile_blocks(task.fixed_size)
        batches = batches_ahead(run)
        try:
            train(run, batches, log, stop)
        finally:
            batches.close()  # ends the workers
            log.close()
            run.saver.wait()  # the last checkpoint is on the disk before the process ends

    if machine.world > 1:
        dist.destroy_process_group()
    if run.step < config.max_steps or run.owes_evaluation:
        log.line(f'stopped at step {run.step} of {config.max_steps}; --resume=auto goes on from there')
        sys.exit(stop.exit_code())
    log.line(f'done: {run.step} steps, {config.out_dir}')


def greet(run: Run, log: RunLog):
    config = run.config
    log.line(f'{config.out_dir}: {config.stages} on {config.task}, '
             f'{run.model.count_parameters():,} parameters, '
             f'{run.model.flops_per_token(run.task.block_size):,} training FLOPs a token')
    for note in (*run.runtime.notes, *run.notes):
        log.line(note)
    share = run.runtime.share(config.batch_size)
    if config.micro_batch_size < share:
        log.line(f'{share} sequences a process and step, {config.micro_batch_size} at a time')
    if run.step:
        log.line(f'resumed at step {run.step} of {config.max_steps}')
    if run.runtime.main:
        log.line(time_estimate(run.model, run.task, config, run.runtime, run.step))


if __name__ == '__main__':
    with one_line_errors():
        main(config, files, sys.argv)
