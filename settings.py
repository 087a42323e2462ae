"""Every field of a training run, with its default; what configuration files and the command line may set."""
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from stages import distinct_layers, is_looped, parse_stages
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
    norm: Literal['rmsnorm', 'layernorm', 'none'] = 'rmsnorm'      # before attention, feed-forward and head
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
    data: str = 'data/stdlib'        # tokens: folder of the shards; block_size is the context
    tokenizer: Literal['bytes', 'gpt2'] = 'gpt2'      # tokens: what the shards were made with
    vocab_size: int = 50304          # tokens: size of the model's vocabulary, at least that of the shards
    difficulty_start: tuple[int, ...] = ()  # the step from which each p, operands, max_ops or depth is drawn
    supervise: Literal['answer', 'all', 'values'] = 'answer'      # where the loss is; values: igsm, variables
    train_examples: int = 0          # size of a fixed training set; 0 draws fresh examples for ever
    data_workers: int = 1            # processes that make batches ahead; 0 makes them in between
    # --- optimisation
    optimizer: Literal['adafactor', 'adamw', 'muon'] = 'adafactor'  # adafactor scales steps by parameter RMS
    learning_rate: float = 1e-3      # at its peak
    schedule: Literal['cosine', 'constant'] = 'cosine'             # after the warmup; cosine ends at 0
    warmup_steps: int = 100          # linear, from 0
    decay_start: int = 0             # step where cosine begins; 0: after the warmup, -1: when all is drawn
    max_steps: int = 2000            # steps of the whole run
    batch_size: int = 256            # sequences in a step, over all processes and micro-batches
    micro_batch_size: int = 0        # most sequences at once on a device; 0: as many as its memory holds
    weight_decay: float = 0.0        # of matrices
    beta1: float = 0.9               # adamw
    beta2: float = 0.99              # adamw
    grad_clip: float = 1.0           # largest norm of the gradient; 0 is no limit
    ema: float = 0.0                 # decay of averaged weights, which evaluation and best.pt take; 0: none
    regularize_weight: float = 0.0   # lambda: draws layers i and i + k towards each other (A, Sec. 4)
    regularize_k: int = 0            # k; above 0 the similarity of the layers is logged, whatever lambda is
    regularize_kind: Literal['cosine', 'l2'] = 'cosine'            # how their distance is measured
    # --- the run
    seed: int = 0                    # of weights and training data; evaluation sets are always the same
    out_dir: str = ''                # folder of the run (default: out/<name of the last configuration file>)
    max_minutes: float = 0.0         # save and leave after so long; 0 is no limit
    log_interval: int = 10           # steps between rows of metrics.csv
    eval_interval: int = 500         # steps between evaluations on validation examples
    eval_examples: int = 2000        # for each difficulty
    checkpoint_interval: int = 500   # steps between checkpoints; the last step always has one
    keep_interval: int = 0           # steps between checkpoints that stay, step_*.pt; 0 keeps none
    resume: Literal['never', 'auto', 'must'] = 'never'             # auto: go on from the checkpoint, if any
    wandb: bool = False              # log to Weights & Biases as well (pip install wandb)
    dry_run: bool = False            # print parameters, FLOPs, memory, tokens and days, and leave
    dry_run_mfu: float = 0.4         # share of the peak that dry_run assumes for its days on 8 H100
    device_memory: float = 0.0       # GB of a device to use at most; 0: all of a GPU's
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
                   'grad_clip weight_decay max_minutes regularize_weight regularize_k device_memory '
                   'keep_interval').split()
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
        if not 0 <= self.ema < 1:
            raise ValueError(f'ema={self.ema} is not in [0, 1)')
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
        if self.supervise == 'values' and self.task not in ('igsm', 'variables'):
            raise ValueError(f'supervise=values goes with task=igsm and variables, not {self.task}')
        if (self.input_injection or self.norm_each_loop or self.truncate_loops) and not is_looped(stages):
            raise ValueError(f'stages={self.stages} holds no loop for input_injection, norm_each_loop '
                             'or truncate_loops')
        if self.truncate_loops and not self.input_injection:
            raise ValueError('truncate_loops without input_injection would cut the embeddings '
                             'off from the loss')
        if not 0 < self.dry_run_mfu <= 1:
            raise ValueError(f'dry_run_mfu={self.dry_run_mfu} is not in (0, 1]')
        if self.regularize_weight and not self.regularize_k:
            raise ValueError('regularize_weight needs regularize_k, the layers of a block')
        depth, k = distinct_layers(stages), self.regularize_k
        if k and not is_looped(stages) and (depth % k or depth <= k):
            raise ValueError(f'regularize_k={k}: {depth} layers are not two or more blocks of {k}')
        if self.keep_interval % self.eval_interval:
            raise ValueError(f'keep_interval={self.keep_interval} must be a multiple of '
                             f'eval_interval={self.eval_interval}, so that every step kept has its loss')
        if self.wandb and not find_spec('wandb'):
            raise ValueError('wandb=True, but wandb is not installed: pip install wandb')
        task = make_task(self)
        if self.block_size and self.block_size < task.block_size:
            raise ValueError(f'block_size={self.block_size} is too short: '
                             f'the task needs {task.block_size} tokens')
