"""Cases of what a run needs: start-up, loops of each sample, optimizer, data, memory.
Memory is measured in a process of its own: `python -m peers.training_parts step 4x6 True`."""
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from math import prod

import torch
import torch.nn.functional as F

import model as model_module
from engine.configurator import configure
from engine.files import ROOT
from optimizers import Adafactor
from peers.cases import PHOP_SHAPE, Case, Size, make_looped
from settings import Config, with_task
from tasks import make_task

# Stages whose graphs are counted, and the loop counts that they run at.
GRAPHS = (('1x12', [None]), ('4x6', [None]), ('24x1', [None]), ('1x12', range(1, 13)))
ADAFACTOR_SHAPES = [(3072, 1024), (1024, 1024), (4096, 1024), (1024, 4096), (1024,)] * 6 + [(24_000, 1024)]
DATA = ('ghop', 'addition', 'igsm', 'laptop/group', 'laptop/variables', 'lengths/parity', 'lengths/copy',
        'lengths/binary_addition', 'lengths/binary_sum', 'lengths/multiplication', 'lengths/unique_set')
MEASURABLE = os.path.exists('/proc/self/status')  # where the system tells a process its peak memory
ALL_LOGITS = 10 ** 12  # more than there are: the loss holds all at once


# --- start-up

def start_up(runtime) -> Iterator[Case | Size]:
    """From a model to its first step with nothing cached; the peer compiles all 24 layers as one."""
    tokens = torch.randint(0, 5, (8, 256), device=runtime.device)  # (B, T)
    peer = partial(first_step, '24x1', tokens, runtime, whole=True)
    for stages in ('1x12', '4x6', '24x1'):
        ours = partial(first_step, stages, tokens, runtime)
        name = f'{stages}, 24x1 compiled whole'
        yield Case('time to the first step', name, ours, peer, 1, 'starts/s', once=True)

    # How many graphs were compiled, whatever the depth and the loop count.
    statistics = torch._dynamo.utils.counters
    for stages, counts in GRAPHS:
        statistics.clear()
        first_step(stages, tokens, runtime, counts)
        yield Size('compiled graphs', f'{stages}, {len(counts)} loop counts',
                   statistics['stats']['unique_graphs'], None, 'graphs')


def first_step(stages: str, tokens, runtime, counts=(None,), whole=False):
    """Compiles a new model, block by block or whole, and takes a step at each of the loop counts."""
    torch._dynamo.reset()
    with torch._inductor.utils.fresh_inductor_cache(), runtime.autocast():
        model = make_looped(stages, PHOP_SHAPE).to(runtime.device)
        if whole:
            model.compile()
        else:
            model.compile_blocks()
        for count in counts:
            model(tokens, tokens, count).backward()


# --- loops of each sample

def sample_loops(runtime) -> Iterator[Case]:
    """T uniform in 1 .. 20, parity's shape: a batch that shrinks beside 20 loops for all."""
    model = make_parity_model().to(runtime.device)
    tokens = torch.randint(0, 5, (64, 22), device=runtime.device)  # (B, T)
    counts = torch.randint(1, 21, (64,))  # (B,)

    yield Case('loops of each sample', 'shrinking batch, padded batch',
               lambda: model(tokens, tokens, counts).backward(),
               lambda: padded_loss(model, tokens, counts).backward(), 64, 'samples/s')


def make_parity_model():
    """One layer of width 128 looped 20 times, with the options of Fan et al. 2025."""
    shape = dict(vocab_size=5, block_size=24, n_head=4, n_embd=128)
    return make_looped('1x20', shape, positions='none', norm='layernorm', bias=True, input_injection=True,
                       norm_each_loop=True)


def padded_loss(model, tokens, counts):
    """The summed loss where every sample runs 20 loops and its logits after its own count are taken."""
    by_loop = [logits for _, logits in model.logits_by_loop(tokens, 20)]
    chosen = torch.stack(by_loop)[counts - 1, torch.arange(len(tokens))]  # (B, T, V)
    return F.cross_entropy(chosen.flatten(0, 1), tokens.flatten(), reduction='sum')


# --- the optimizer

def optimizer_steps(runtime) -> Iterator[Case | Size]:
    """A step of Adafactor on 100 million parameters of a Transformer's shapes, and the state it holds."""
    from transformers.optimization import Adafactor as TransformersAdafactor
    count = sum(prod(shape) for shape in ADAFACTOR_SHAPES)
    size = f'{count / 1e6:.0f} million parameters'
    ours = Adafactor(random_parameters(runtime), lr=1e-3)
    peer = torch.optim.Adafactor(random_parameters(runtime), lr=1e-3)
    yield Case('Adafactor', f'{size}, torch.optim', ours.step, peer.step, count, 'parameters/s')
    peer = TransformersAdafactor(random_parameters(runtime), lr=1e-3, relative_step=False,
                                 scale_parameter=True)
    yield Case('Adafactor', f'{size}, transformers', ours.step, peer.step, count, 'parameters/s')

    # Two moments of AdamW for every element, beside one for every row and column.
    adamw = torch.optim.AdamW(random_parameters(runtime))
    adamw.step()
    states = [state_megabytes(optimizer) for optimizer in (ours, adamw)]
    yield Size('state of the optimizer', f'{size}, AdamW', *states, 'MB')


def random_parameters(runtime) -> list:
    parameters = []
    for shape in ADAFACTOR_SHAPES:
        parameter = torch.nn.Parameter(0.02 * torch.randn(shape, device=runtime.device))
        parameter.grad = torch.randn_like(parameter)
        parameters.append(parameter)
    return parameters


def state_megabytes(optimizer) -> float:
    size = 0
    for state in optimizer.state.values():
        size += sum(value.nbytes for value in state.values() if torch.is_tensor(value))
    return size / 1e6


# --- data

def data(runtime) -> Iterator[Case]:
    """Examples a second of each task on one core of the host, in the batches of its configuration."""
    for name in DATA:
        config = configure(Config, [f'config/{name}.py'], '', extend=with_task)[0]
        task = make_task(config)
        steps = itertools.count(max(task.starts))  # every difficulty is drawn
        size = config.batch_size
        yield Case('data', name, partial(draw_next, task, steps, size), None, size, 'examples/s')


def draw_next(task, steps: Iterator[int], batch_size: int):
    task.train_batch(0, next(steps), batch_size)


# --- memory

def memory(runtime) -> Iterator[Size]:
    """A step whose loops are recomputed beside one that keeps them; the loss in chunks beside all at once."""
    if not MEASURABLE:
        return
    recomputed = peak_megabytes('step', '4x6', True)
    for name, stages, checkpoint in (('4x6 kept', '4x6', False), ('4x1', '4x1', True)):
        peer = peak_megabytes('step', stages, checkpoint)
        yield Size('memory of a step', f'4x6 recomputed, {name}', recomputed, peer, 'MB')
    chunks = peak_megabytes('loss', model_module.LOGITS_MAX)
    whole = peak_megabytes('loss', ALL_LOGITS)
    yield Size('memory of the loss', '8192 tokens, 50,304 words; all logits at once', chunks, whole, 'MB')


def peak_megabytes(kind: str, *choices) -> float:
    """Growth of a process's peak memory by a 'step' (stages, recomputed or not) or a 'loss' (LOGITS_MAX)."""
    environ = os.environ | {'MALLOC_MMAP_THRESHOLD_': '1000000'}  # what is freed goes back to the system
    command = [sys.executable, '-m', 'peers.training_parts', kind, *map(str, choices)]
    return float(subprocess.check_output(command, stderr=subprocess.PIPE, text=True, env=environ, cwd=ROOT))


# --- in the process that is measured

def looped_step(stages: str, checkpoint_loops: bool) -> Callable:
    """Forward and backward pass of a model of width 256 on 24 sequences of 512 tokens."""
    shape = dict(vocab_size=300, block_size=512, n_head=4, n_embd=256)
    model = make_looped(stages, shape, checkpoint_loops=checkpoint_loops)
    tokens = torch.randint(0, 300, (24, 512))  # (B, T)
    return lambda: model(tokens, tokens).backward()


def loss_step(logits_max: int) -> Callable:
    """Forward and backward pass of the loss alone, of which logits_max logits are held at once."""
    model_module.LOGITS_MAX = logits_max
    weight = torch.nn.Parameter(torch.randn(50_304, 64))  # (V, C)
    weight.grad = torch.zeros_like(weight)
    x = torch.randn(64 * 128, 64, requires_grad=True)  # (N, C)
    targets = torch.randint(0, 50_304, (64 * 128,))  # (N,)
    return lambda: model_module.linear_cross_entropy(x, weight, targets).backward()


def peak_so_far() -> float:
    """The most memory that this process has held so far, in MB."""
    with open('/proc/self/status', encoding='utf-8') as file:
        return int(re.search(r'VmHWM:\s+(\d+) kB', file.read())[1]) / 1000


if __name__ == '__main__':
    torch.set_num_threads(2)
    kind, *choices = sys.argv[1:]
    step = looped_step(choices[0], choices[1] == 'True') if kind == 'step' else loss_step(int(choices[0]))
    before = peak_so_far()
    step()
    print(peak_so_far() - before)
