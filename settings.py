"""Every field of a training run, with its default; what configuration files and the command line may set.
A run's configuration is one flat dataclass: the options of the model (stages.py), those of the run (here),
and those of its task (the fields of its class in problems/)."""
import dataclasses
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Annotated, Literal

from engine.configurator import INT_MAX, Amount, Bounds, Decay, Natural, Path, Positive, Rate, build
from engine.errors import UserError
from stages import ModelConfig, distinct_layers, effective_depth, is_looped, parse_stages
from tasks import TASKS, make_task, takers, task_class

Start = Annotated[int, Bounds(-1, INT_MAX, 'at least -1')]
DEPTH_MAX = 100_000  # applications of a block; a model of more would not be built in minutes


@dataclass
class Config(ModelConfig):
    # --- task (--task=NAME --help lists its own options)
    task: Literal[tuple(TASKS)] = 'phop'    # what to learn
    data_workers: Natural = 1        # processes that make batches ahead; 0 makes them in between
    # --- optimisation
    optimizer: Literal['adafactor', 'adamw', 'muon'] = 'adafactor'  # adafactor scales steps by parameter RMS
    learning_rate: Rate = 1e-3       # at its peak
    schedule: Literal['cosine', 'constant'] = 'cosine'    # after the warmup; cosine ends at 0
    warmup_steps: Natural = 100      # linear, from 0
    decay_start: Start = 0           # step where cosine begins; 0: after the warmup, -1: when all is drawn
    max_steps: Positive = 2000       # steps of the whole run
    batch_size: Positive = 256       # sequences in a step, over all processes and micro-batches
    micro_batch_size: Natural = 0    # most sequences at once on a device; 0: as many as its memory holds
    weight_decay: Amount = 0.0       # of matrices
    beta1: Decay = 0.9               # adamw
    beta2: Decay = 0.99              # adamw
    grad_clip: Amount = 1.0          # largest norm of the gradient; 0 is no limit
    ema: Decay = 0.0                 # decay of averaged weights, which evaluation and best.pt take; 0: none
    regularize_weight: Amount = 0.0  # lambda: draws layers i and i + k towards each other
    regularize_k: Natural = 0        # k; above 0 the similarity of the layers is logged, whatever lambda is
    # --- the run
    seed: Natural = 0                # of weights and training data; evaluation sets are always the same
    out_dir: Path = ''              # folder of the run; default: out/ and the last configuration file's name
    max_minutes: Amount = 0.0        # save and leave after so long; 0 is no limit
    log_interval: Positive = 10      # steps between rows of metrics.csv
    eval_interval: Positive = 500    # steps between evaluations on validation examples
    eval_examples: Positive = 2000   # for each difficulty
    checkpoint_interval: Positive = 500    # steps between checkpoints; the last step always has one
    keep_interval: Natural = 0       # steps between checkpoints that stay, step_*.pt; 0 keeps none
    resume: Literal['never', 'auto', 'must'] = 'never'    # auto: go on from the checkpoint, if any
    wandb: bool = False              # log to Weights & Biases as well (pip install wandb)
    dry_run: bool = False            # print parameters, FLOPs, memory, tokens and days, and leave
    dry_run_mfu: Rate = 0.4          # share of the peak that dry_run assumes for its days on 8 H100
    device_memory: Amount = 0.0      # GB of a device to use at most; 0: all of a GPU's
    # --- the machine
    device: Literal['auto', 'cpu', 'cuda'] = 'auto'    # auto: a GPU if there is one
    dtype: Literal['auto', 'float32', 'bfloat16'] = 'auto'    # auto: bfloat16 where the hardware has it
    compile: Literal['auto', 'True', 'False'] = 'auto'    # auto: if there is a compiler

    def check(self):
        """Relations between fields; ValueError names the fields and what would do."""
        super().check()
        stages = parse_stages(self.stages)
        if effective_depth(stages) > DEPTH_MAX:
            raise ValueError(f'stages={self.stages} applies {effective_depth(stages):,} blocks; '
                             f'at most {DEPTH_MAX:,} are possible')
        if self.seed >= 2 ** 31:
            raise ValueError(f'seed={self.seed} must be below 2^31')
        if self.dry_run_mfu > 1:
            raise ValueError(f'dry_run_mfu={self.dry_run_mfu} is not in (0, 1]')
        if self.keep_interval % self.eval_interval:
            raise ValueError(f'keep_interval={self.keep_interval} must be a multiple of '
                             f'eval_interval={self.eval_interval}, so that every step kept has its loss')
        if self.wandb and not find_spec('wandb'):
            raise ValueError('wandb=True, but wandb is not installed: pip install wandb')
        self.check_regularizer(stages)
        self.check_task(stages)

    def check_regularizer(self, stages):
        if self.regularize_weight and not self.regularize_k:
            raise ValueError('regularize_weight needs regularize_k, the layers of a block')
        if not self.regularize_k or is_looped(stages):
            return
        depth = distinct_layers(stages)
        if depth % self.regularize_k or depth <= self.regularize_k:
            raise ValueError(f'regularize_k={self.regularize_k}: {depth} layers are not two or more blocks '
                             f'of {self.regularize_k}')

    def check_task(self, stages):
        task = make_task(self)
        if task.adaptive_loops and not is_looped(stages):
            raise ValueError(f'adaptive_loops goes with stages that loop, not stages={self.stages}')
        if self.block_size and self.block_size < task.block_size:
            raise ValueError(f'block_size={self.block_size} is too short: '
                             f'the task needs {task.block_size} tokens')
        if self.vocab_size and self.vocab_size < task.vocab_size:
            raise ValueError(f'vocab_size={self.vocab_size} is too small: '
                             f'the task needs {task.vocab_size} tokens')


def with_task(values: dict):
    """Config with the options of the task that `values` name, or of the default task, as further fields.
    It says of the option of another task which tasks take it."""
    name = values.get('task', Config.task)
    if not isinstance(name, str) or name not in TASKS:
        return Config  # converting `task` says which there are
    task = task_class(name)
    general = [field.name for field in dataclasses.fields(Config)]
    options = [(field.name, field.type, dataclasses.field(default=field.default))
               for field in dataclasses.fields(task) if field.name not in general]

    declared_in = [base for base in reversed(task.__mro__) if dataclasses.is_dataclass(base)]
    sources = [('', ModelConfig), ('', Config), *((f'task={name}', base) for base in declared_in)]

    def explain_unknown(key: str) -> str | None:
        others = takers(key)
        return f'{key} is an option of task={", ".join(others)}, not of task={name}' if others else None

    namespace = dict(__doc__=Config.__doc__, __module__=__name__,
                     explain_unknown=staticmethod(explain_unknown), field_sources=sources)
    return dataclasses.make_dataclass('Config', options, bases=(Config,), namespace=namespace)


def make_config(values: dict) -> Config:
    """The checked configuration of fields given as Python objects; UserError where one is wrong."""
    cls = with_task(values)
    fields = [field.name for field in dataclasses.fields(cls)]
    for key in values:
        if key not in fields:
            raise UserError(cls.explain_unknown(key) or f'unknown key {key!r}')
    return build(cls, values)
