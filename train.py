"""Trains one model: python train.py [config/FILE.py ...] [--key=value ...]

    python train.py config/ghop_1x6.py --max_steps=100
    torchrun --nproc_per_node=8 train.py config/ghop_1x6.py

The run's folder, out/<name of the last file> unless --out_dir says otherwise, gets config.json, metrics.csv,
eval.csv, ckpt.pt (the latest state) and best.pt (the best on validation).
"""
import math
import os
import sys
import time
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Literal

from configurator import UserError, configure, one_line_errors
from stages import is_looped, parse_stages
from tasks import LENGTH_TASKS, TASKS, make_task


@dataclass
class Config:
    # --- model
    stages: str = '1x6'              # kxL: k layers run L times; 6x1 is plain, 4x1+4x4+4x1 loops the middle
    n_embd: int = 128                # width of the residual stream
    n_head: int = 8                  # attention heads, each n_embd / n_head wide
    n_ff: int = 0                    # width of the feed-forward layer; 0 takes 4 * n_embd
    block_size: int = 0              # most tokens in a sequence; 0 takes what the task needs
    activation: Literal['gelu', 'relu', 'geglu'] = 'gelu'          # of feed-forward layers; geglu has a gate
    positions: Literal['rope', 'learned', 'none'] = 'rope'         # positional encoding
    norm: Literal['rmsnorm', 'layernorm'] = 'rmsnorm'              # before attention, feed-forward and head
    bias: bool = False               # biases in linear layers and layer norms
    tie_embeddings: bool = False     # the head shares the token embedding
    dropout: float = 0.0             # in training only
    init_std: float = 0.02           # of weights; residual branches get it / sqrt(2 * effective depth)
    # --- looping
    input_injection: bool = False    # looped stages add their input before every iteration (B)
    norm_each_loop: bool = False     # the final norm ends every iteration (B's code)
    truncate_loops: int = 0          # gradients through the last so many iterations only; 0 is all
    checkpoint_loops: bool = False   # recompute iterations in the backward pass: less memory, 1/3 more work
    # --- task
    task: Literal[tuple(TASKS)] = 'phop'       # what to learn
    p: tuple[int, ...] = (16,)       # phop: hops; of several, each is drawn equally and given as first token
    length: int = 256                # phop: letters in a sequence
    n_letters: int = 4               # phop: size of the alphabet
    operands: tuple[int, ...] = (2, 4, 8, 16, 32)     # addition: how many are trained on
    test_operands: tuple[int, ...] = (8, 16, 24, 32)  # addition: how many are tested
    digits: int = 3                  # addition: of each operand, zero-padded
    max_ops: tuple[int, ...] = (15,)                  # igsm: an answer needs min of two draws up to this
    max_edges: int = 20              # igsm: most parameters (15, 20: Ye et al.'s medium; 21, 28: hard)
    group: str = 's5'                # group: cN cyclic, sN all permutations, aN even permutations
    elements: int = 16               # group: factors of the product
    depths: tuple[int, ...] = (0, 1)                  # variables: steps from an alias to a value
    form: Literal['inline', 'math', 'code'] = 'inline'             # variables: how a problem is written
    max_length: int = 19             # B's tasks: longest problem in training
    test_lengths: tuple[int, ...] = ()                # B's tasks: lengths tested (default: those of training)
    interval: int = 1000             # B's tasks: steps until the next length joins
    answer: Literal['fap', 'ntp'] = 'fap'             # B's tasks: full-answer or next-token prediction
    pause_tokens: int = 0            # B's tasks: between query and answer
    adaptive_loops: bool = False     # B's tasks, fap: each sample is looped T(n) times
    difficulty_start: tuple[int, ...] = ()  # the step from which each p, operands, max_ops or depth is drawn
    supervise: Literal['answer', 'all', 'values'] = 'answer'       # where the loss is; values: igsm.py
    train_examples: int = 0          # size of a fixed training set; 0 draws fresh examples for ever
    data_workers: int = 1            # processes that make batches ahead; 0 makes them in between
    # --- optimisation
    optimizer: Literal['adafactor', 'adamw'] = 'adafactor'         # adafactor scales steps by parameter RMS
    learning_rate: float = 1e-3      # at its peak
    schedule: Literal['cosine', 'constant'] = 'cosine'             # after the warmup; cosine ends at 0
    warmup_steps: int = 100          # linear, from 0
    decay_start: int = 0             # step where cosine begins; 0: after the warmup, -1: when all is drawn
    max_steps: int = 2000            # steps of the whole run
    batch_size: int = 256            # sequences in a step, over all processes and micro-batches
    micro_batch_size: int = 0        # most sequences at once on a device; 0 takes all of its share
    weight_decay: float = 0.0        # of matrices
    beta1: float = 0.9               # adamw
    beta2: float = 0.99              # adamw
    grad_clip: float = 1.0           # largest norm of the gradient; 0 is no limit
    # --- the run
    seed: int = 0                    # of weights and training data; evaluation sets are always the same
    out_dir: str = ''                # folder of the run (default: out/<name of the last configuration file>)
    max_minutes: float = 0.0         # save and leave after so long; 0 is no limit
    log_interval: int = 10           # steps between rows of metrics.csv
    eval_interval: int = 500         # steps between evaluations on validation examples
    eval_examples: int = 2000        # for each difficulty
    checkpoint_interval: int = 500   # steps between checkpoints; the last step always has one
    resume: Literal['never', 'auto', 'must'] = 'never'             # auto: go on from the checkpoint, if any
    wandb: bool = False              # log to Weights & Biases as well (pip install wandb)
    dry_run: bool = False            # print parameters, FLOPs, memory and tokens, and leave
    # --- the machine
    device: Literal['auto', 'cpu', 'cuda'] = 'auto'                # auto: a GPU if there is one
    dtype: Literal['auto', 'float32', 'bfloat16'] = 'auto'         # auto: bfloat16 where the hardware has it
    compile: Literal['auto', 'True', 'False'] = 'auto'             # auto: if there is a compiler

    def check(self):
        """Relations between fields; ValueError names the fields and what would do."""
        stages = parse_stages(self.stages)
        positive = ('n_embd n_head max_steps batch_size log_interval eval_interval eval_examples '
                    'checkpoint_interval')
        for name in positive.split():
            if getattr(self, name) < 1:
                raise ValueError(f'{name}={getattr(self, name)} must be at least 1')
        natural = ('n_ff truncate_loops train_examples data_workers warmup_steps micro_batch_size seed '
                   'grad_clip weight_decay max_minutes').split()
        for name in natural:
            if getattr(self, name) < 0:
                raise ValueError(f'{name}={getattr(self, name)} must not be negative')
        if self.n_embd % self.n_head:
            raise ValueError(f'n_embd={self.n_embd} is not a multiple of n_head={self.n_head}')
        head_size = self.n_embd // self.n_head
        if self.positions == 'rope' and head_size % 2:
            raise ValueError(f'positions=rope needs an even head size, not n_embd / n_head = {head_size}')
        if not 0 <= self.dropout < 1:
            raise ValueError(f'dropout={self.dropout} is not in [0, 1)')
        if not (self.learning_rate > 0 and self.init_std > 0):
            raise ValueError(f'learning_rate={self.learning_rate} and init_std={self.init_std} must be '
                             'positive')
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise ValueError(f'beta1={self.beta1} and beta2={self.beta2} are not in [0, 1)')
        if self.seed >= 2 ** 31:
            raise ValueError(f'seed={self.seed} must be below 2^31')
        of_b = self.task in LENGTH_TASKS
        if self.difficulty_start and (self.train_examples or self.task == 'group' or of_b):
            raise ValueError('difficulty_start goes neither with a fixed set (train_examples) nor with '
                             "a task of one difficulty nor with B's tasks, which have interval")
        if of_b and (self.train_examples or self.supervise != 'answer'):
            raise ValueError(f"task={self.task} is one of B's: fresh data, with the loss on the answer")
        if self.adaptive_loops and not (of_b and is_looped(stages)):
            raise ValueError("adaptive_loops goes with B's tasks and stages that loop, not "
                             f'task={self.task}, stages={self.stages}')
        if self.supervise == 'values' and self.task != 'igsm':
            raise ValueError(f'supervise=values goes with task=igsm, not {self.task}')
        if (self.input_injection or self.norm_each_loop or self.truncate_loops) and not is_looped(stages):
            raise ValueError(f'stages={self.stages} holds no loop for input_injection, norm_each_loop '
                             'or truncate_loops')
        if self.truncate_loops and not self.input_injection:
            raise ValueError('truncate_loops without input_injection would cut the embeddings '
                             'off from the loss')
        if self.wandb and not find_spec('wandb'):
            raise ValueError('wandb=True, but wandb is not installed: pip install wandb')
        task = make_task(self)
        if self.block_size and self.block_size < task.block_size:
            raise ValueError(f'block_size={self.block_size} is too short: '
                             f'the task needs {task.block_size} tokens')


if __name__ == '__main__':  # before torch is imported: errors and --help come at once
    with one_line_errors():
        config, files = configure(Config, sys.argv[1:], __doc__)

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

import checkpoint
import runtime as runtimes
from adafactor import Adafactor
from cost import dry_run
from eval_tasks import evaluate
from loader import batches_ahead
from logs import Console, CsvLog, open_folder
from looped import build_model
from task import IGNORE

# What may differ between a checkpoint and the run that goes on from it: nothing that shapes model or data.
MAY_CHANGE = ('out_dir max_minutes log_interval eval_interval checkpoint_interval resume wandb dry_run '
              'device dtype compile max_steps micro_batch_size checkpoint_loops data_workers').split()


def lr_at(step: int, config) -> float:
    """Learning rate of a step, from 0: linear warmup, constant, cosine to 0 (A, App. A.1; B, App. E)."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == 'constant':
        return config.learning_rate
    flat = max(config.warmup_steps, config.decay_start)
    progress = max(0, step - flat) / max(1, config.max_steps - flat)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def make_optimizer(model, config):
    """Weight decay on matrices only; every parameter is in exactly one group."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [dict(params=matrices, weight_decay=config.weight_decay), dict(params=others, weight_decay=0.0)]
    groups = [group for group in groups if group['params']]
    if config.optimizer == 'adafactor':
        return Adafactor(groups, lr=config.learning_rate)
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(config.beta1, config.beta2), fused=True)


def backward(model, config, runtime, batch, n_targets: int):
    """Gradients of the mean loss over the global batch; returns this process's share of the summed loss.

    The share is cut into micro-batches; each is normalised by the global count of targets, so the gradient
    depends neither on how the batch is cut nor on how many processes share it.
    """
    tokens, targets, loops = runtime.put(batch)
    size = config.micro_batch_size or len(tokens)
    total = torch.zeros((), device=runtime.device)
    starts = range(0, len(tokens), size)
    for start in starts:
        last = start == starts[-1]
        if runtime.world > 1:
            model.require_backward_grad_sync = last  # gradients are summed over processes once a step
        with runtime.autocast():
            own_loops = None if loops is None else loops[start:start + size]
            loss = model(tokens[start:start + size], targets[start:start + size], own_loops)
        (loss * (runtime.world / n_targets)).backward()  # DDP takes the mean over processes
        total += loss.detach()
    return total


class Run:
    """All that a checkpoint holds, and how it is saved and restored."""

    def __init__(self, config, runtime, task):
        generator = torch.Generator().manual_seed(config.seed)
        self.config, self.runtime, self.task = config, runtime, task
        self.model = build_model(config, task.vocab_size, config.block_size, generator).to(runtime.device)
        self.optimizer = make_optimizer(self.model, config)
        self.step, self.tokens, self.best = 0, 0, []  # tokens: seen by all processes

    def path(self, name: str) -> str:
        return os.path.join(self.config.out_dir, name)

    def save(self, name='ckpt.pt'):
        if self.runtime.main:
            checkpoint.save(self.path(name), dict(
                model=self.model.state_dict(), optimizer=self.optimizer.state_dict(), step=self.step,
                tokens=self.tokens, best=self.best, rng=torch.get_rng_state(), config=asdict(self.config)))

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
        self.step, self.tokens, self.best = (saved[name] for name in ('step', 'tokens', 'best'))
        torch.set_rng_state(saved['rng'].cpu())


def train(run: Run, batches, console: Console, metrics: CsvLog, evaluations: CsvLog, stop):
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
                       grad_norm=grad_norm.item(), ms_per_step=round(1000 * seconds, 2),
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
        if due['checkpoint'] or last:
            run.save()
        clock += time.perf_counter() - paused
        if stopping:
            break


def evaluate_and_keep_best(run: Run, console: Console, evaluations: CsvLog):
    """Validation rows into eval.csv; best.pt follows the highest mean accuracy, then the lowest mean loss."""
    config = run.config
    size = config.micro_batch_size or min(-(-config.batch_size // run.runtime.world), config.eval_examples)
    rows = evaluate(run.model, run.task, run.runtime, 'val', config.eval_examples, size)
    mean = [sum(row[name] for row in rows) / len(rows) for name in ('accuracy', 'loss')]
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
        run = Run(config, runtime, task)
        run.restore()
        logs = open_folder(run, argv) if runtime.main else (None, None)
        console = Console(config, runtime, run.step)
        greet(run, console)
        if runtime.compile:
            run.model.compile_blocks(task.fixed_size)
        batches = batches_ahead(run)
        try:
            train(run, batches, console, *logs, stop)
        finally:
            batches.close()
            console.close()
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
    if run.step:
        console.line(f'resumed at step {run.step} of {config.max_steps}')


if __name__ == '__main__':
    with one_line_errors():
        main(config, files, sys.argv)
