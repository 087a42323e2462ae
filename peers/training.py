"""Cases of a training step: beside GPT-2 of transformers, and on two processes beside one."""
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from engine.cost import micro_batch
from engine.runtime import Runtime
from peers.cases import LM_SHAPE, PHOP_SHAPE, Case, make_gpt2, make_looped
from problems.task import Batch
from settings import Config
from train import backward

# Our stages and precision, GPT-2's precision: equal first, then our defaults beside what a user of
# transformers gets on a CPU.
STEPS = (('6x1', 'float32 eager', 'float32 eager'), ('6x1', 'float32 compiled', 'float32 compiled'),
         ('6x1', 'bfloat16 compiled', 'bfloat16 compiled'), ('6x1', 'float32 compiled', 'float32 eager'),
         ('6x1', 'bfloat16 compiled', 'float32 eager'), ('1x6', 'bfloat16 compiled', 'float32 eager'))
WORKER_BATCH = 32  # sequences of a process
WORKER_STEPS = 2   # in a call


# --- a training step

def step_cases(row: str, shape: dict, batch: int, runtime) -> Iterator[Case]:
    """A step on the same tokens in each precision of STEPS."""
    tokens = torch.randint(0, shape['vocab_size'], (batch, shape['block_size']))  # (B, T)
    flops = make_looped('6x1', shape).flops_per_token(shape['block_size']) * tokens.numel()
    for stages, precision, peer_precision in STEPS:
        ours = make_looped(stages, shape)
        if 'compiled' in precision:
            ours.compile_blocks()
        peer = make_gpt2(shape)
        if 'compiled' in peer_precision:
            peer.compile()

        dtype = precision.split()[0]
        gradients = our_gradients(shape, tokens, replace(runtime, dtype=dtype))
        peer_gradients = gpt2_gradients(tokens, replace(runtime, dtype=peer_precision.split()[0]))
        name = f'{stages} {precision}, GPT-2 {peer_precision}'
        yield Case(row, name, training_step(ours, gradients, runtime),
                   training_step(peer, peer_gradients, runtime), tokens.numel(), 'tokens/s', flops, dtype)


def our_gradients(shape: dict, tokens, runtime) -> Callable:
    """Gradients as train.py makes them, in its micro-batches."""
    config = Config(stages='6x1', optimizer='adamw', batch_size=len(tokens), **shape)
    task = SimpleNamespace(fixed_size=True, **shape)
    config.micro_batch_size = micro_batch(config, task, replace(runtime, world=1))
    batch = Batch(tokens.numpy(), tokens.numpy())

    def gradients(model):
        run = SimpleNamespace(config=config, runtime=runtime, model=model)
        backward(model, run, batch, runtime.world * tokens.numel())
    return gradients


def gpt2_gradients(tokens, runtime) -> Callable:
    """Gradients of GPT-2 on all tokens at once, as a user of transformers makes them."""
    tokens = tokens.to(runtime.device)

    def gradients(model):
        with runtime.autocast():
            loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
    return gradients


def training_step(model, gradients: Callable, runtime) -> Callable:
    """gradients(model), then a step of AdamW."""
    model = model.to(runtime.device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)

    def step():
        gradients(model)
        optimizer.step()
        optimizer.zero_grad()
    return step


phop_step = partial(step_cases, 'training step, p-hop shape', PHOP_SHAPE, 32)
lm_step = partial(step_cases, 'training step, LM shape', LM_SHAPE, 4)


# --- several processes

def processes(runtime) -> Iterator[Case]:
    """The ratio of the times is the efficiency."""
    tokens = WORKER_STEPS * WORKER_BATCH * PHOP_SHAPE['block_size']
    one = Workers(1, WORKER_BATCH, runtime.dtype)
    two = Workers(2, WORKER_BATCH, runtime.dtype)
    yield Case('processes', f'p-hop shape, {WORKER_BATCH} sequences a process of one core, 2 processes, 1',
               two.step, one.step, 2 * tokens, 'tokens/s', peer_work=tokens)
    one.stop()
    two.stop()


class Workers:
    """Processes of one thread each that make training steps of p-hop's shape together."""

    def __init__(self, world: int, batch: int, dtype: str):
        store = tempfile.NamedTemporaryFile(delete=False).name  # where the processes find each other
        context = mp.get_context('spawn')
        self.pipes = []
        self.processes = []
        for rank in range(world):
            pipe, end = context.Pipe()
            process = context.Process(target=work, args=(end, rank, world, batch, dtype, store))
            process.start()
            self.pipes.append(pipe)
            self.processes.append(process)
        self.step()  # compiles

    def step(self):
        """Has every process make its steps; returns when all are done."""
        for pipe in self.pipes:
            pipe.send(True)
        for pipe in self.pipes:
            pipe.recv()

    def stop(self):
        for pipe in self.pipes:
            pipe.send(False)
        for process in self.processes:
            process.join()


def work(pipe, rank: int, world: int, batch: int, dtype: str, store: str):
    """What a process of Workers does: its steps whenever the pipe says True, the end when it says False."""
    torch.set_num_threads(1)
    runtime = Runtime(torch.device('cpu'), dtype, True, rank, world)
    model = make_looped('6x1', PHOP_SHAPE)
    model.compile_blocks()
    if world > 1:
        dist.init_process_group('gloo', f'file://{store}', rank=rank, world_size=world)
        model = DistributedDataParallel(model)

    tokens = torch.randint(0, PHOP_SHAPE['vocab_size'], (batch, PHOP_SHAPE['block_size']))  # (B, T)
    step = training_step(model, our_gradients(PHOP_SHAPE, tokens, runtime), runtime)
    while pipe.recv():
        for _ in range(WORKER_STEPS):
            step()
        pipe.send(True)
    if world > 1:
        dist.destroy_process_group()
