"""Cases of what a run needs beside its steps: start-up, loops of each sample, optimizer, data."""
import itertools
from collections.abc import Iterator
from functools import partial
from math import prod

import torch
import torch.nn.functional as F

from engine.configurator import configure
from optimizers import Adafactor
from peers.cases import Case, Size
from peers.models import PHOP_SHAPE, make_looped, make_parity_model
from settings import Config, with_task
from tasks import make_task

GRAPHS = (  # stages, and the loop counts that they run at
    ('1x12', [None]),
    ('4x6', [None]),
    ('24x1', [None]),
    ('1x12', range(1, 13)),
)
ADAFACTOR_SHAPES = [(3072, 1024), (1024, 1024), (4096, 1024), (1024, 4096), (1024,)] * 6 + [(24_000, 1024)]
DATA = ('ghop', 'addition', 'igsm', 'laptop/group', 'laptop/variables', 'lengths/parity', 'lengths/copy',
        'lengths/binary_addition', 'lengths/binary_sum', 'lengths/multiplication', 'lengths/unique_set')


# --- start-up

def start_up(runtime) -> Iterator[Case | Size]:
    """From a model to its first step with nothing cached; the peer compiles all 24 layers as one."""
    tokens = torch.randint(0, 5, (8, 256), device=runtime.device)  # (B, T)
    peer = partial(first_step, '24x1', tokens, runtime, whole=True)
    for stages in ('1x12', '4x6', '24x1'):
        ours = partial(first_step, stages, tokens, runtime)
        yield Case('time to the first step', f'{stages}, 24x1 compiled whole', ours, peer, 1, 'starts/s',
                   once=True)

    # How many graphs were compiled, whatever the depth and the loop count.
    statistics = torch._dynamo.utils.counters
    for stages, counts in GRAPHS:
        statistics.clear()
        first_step(stages, tokens, runtime, counts)
        graphs = statistics['stats']['unique_graphs']
        yield Size('compiled graphs', f'{stages}, {len(counts)} loop counts', graphs, None, 'graphs')


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

    def shrinking_step():
        model(tokens, tokens, counts).backward()

    def padded_step():
        padded_loss(model, tokens, counts).backward()

    name = 'shrinking batch, padded batch'
    yield Case('loops of each sample', name, shrinking_step, padded_step, 64, 'samples/s')


def padded_loss(model, tokens, counts):
    """The summed loss where every sample runs 20 loops and its logits after its own count are taken."""
    by_loop = [logits for _, logits in model.logits_by_loop(tokens, 20)]
    samples = torch.arange(len(tokens))
    chosen = torch.stack(by_loop)[counts - 1, samples]  # (B, T, V)
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
    our_state = state_megabytes(ours)
    adamw_state = state_megabytes(adamw)
    yield Size('state of the optimizer', f'{size}, AdamW', our_state, adamw_state, 'MB')


def random_parameters(runtime) -> list:
    """Parameters of ADAFACTOR_SHAPES, each with a gradient."""
    parameters = []
    for shape in ADAFACTOR_SHAPES:
        parameter = torch.nn.Parameter(0.02 * torch.randn(shape, device=runtime.device))
        parameter.grad = torch.randn_like(parameter)
        parameters.append(parameter)
    return parameters


def state_megabytes(optimizer) -> float:
    """What the tensors of an optimizer's state take."""
    size = 0
    for state in optimizer.state.values():
        size += sum(value.nbytes for value in state.values() if torch.is_tensor(value))
    return size / 1e6


# --- data

def data(runtime) -> Iterator[Case]:
    """Examples a second of each task on one core of the host, in the batches of its configuration."""
    for name in DATA:
        config, _ = configure(Config, [f'config/{name}.py'], '', extend=with_task)
        task = make_task(config)
        steps = itertools.count(max(task.starts))  # every difficulty is drawn
        ours = partial(draw_next, task, steps, config.batch_size)
        yield Case('data', name, ours, None, config.batch_size, 'examples/s')


def draw_next(task, steps: Iterator[int], batch_size: int):
    return task.train_batch(0, next(steps), batch_size)
