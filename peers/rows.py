"""The cases of `python bench.py rows`: ours and a peer on the same shapes and tokens, in turn.

A case is two functions that do the same work; a row groups them. Peers are transformers' GPT-2 as a user gets
it, torch's and transformers' Adafactor, and our own model without the short cut that the row is about.
"""
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from adafactor import Adafactor
from engine.configurator import configure
from engine.cost import micro_batch
from engine.files import ROOT
from engine.runtime import Runtime
from looped import LoopedGPT
from model import GPTConfig
from problems.task import Batch
from sample import generate
from settings import Config
from tasks import make_task
from train import backward

PHOP = dict(vocab_size=5, block_size=256, n_layer=0, n_head=8, n_embd=128)
LM = dict(vocab_size=50_304, block_size=512, n_layer=0, n_head=8, n_embd=512)


class Case(NamedTuple):
    """`work` of `unit` a call of either function; `flops` of ours, in `dtype`, for MFU where it says much.

    `peer` None: there is nothing to compare with, the rate alone is of interest. `peer_work`: the peer's,
    where it does less in a call; the ratio is that of the times all the same. `once`: without a warm-up.
    """
    row: str
    name: str
    ours: Callable
    peer: Callable | None
    work: float
    unit: str
    flops: float = 0.0
    dtype: str = 'float32'
    peer_work: float = 0.0
    once: bool = False


class Size(NamedTuple):
    """A case that is counted instead of timed; the ratio is peer over ours."""
    row: str
    name: str
    ours: float
    peer: float | None
    unit: str


def gpt2(sizes: dict, n_layer=6):
    """transformers' GPT-2 of our sizes, without dropout."""
    import transformers
    transformers.logging.set_verbosity_error()
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=sizes['vocab_size'], n_positions=sizes['block_size'], n_embd=sizes['n_embd'],
        n_layer=n_layer, n_head=sizes['n_head'], bos_token_id=None, eos_token_id=None, resid_pdrop=0.0,
        embd_pdrop=0.0, attn_pdrop=0.0, loss_type='ForCausalLM'))


def training_step(model, gradients: Callable, runtime) -> Callable:
    """Gradients and a step of AdamW."""
    model, optimizer = model.to(runtime.device), torch.optim.AdamW(model.parameters(), 1e-3, fused=True)

    def step():
        gradients(model)
        optimizer.step()
        optimizer.zero_grad()
    return step


def our_gradients(sizes: dict, tokens, runtime, wrap=lambda model: model) -> Callable:
    """As train.py makes them, in its micro-batches."""
    config = Config(stages='6x1', optimizer='adamw', batch_size=len(tokens), n_embd=sizes['n_embd'],
                    n_head=sizes['n_head'], block_size=sizes['block_size'])
    task = SimpleNamespace(vocab_size=sizes['vocab_size'], block_size=sizes['block_size'], fixed_size=True)
    config.micro_batch_size = micro_batch(config, task, replace(runtime, world=1))
    batch = Batch(tokens.numpy(), tokens.numpy())
    return lambda model: backward(wrap(model), config, runtime, batch, runtime.world * tokens.numel())


def training_cases(row: str, sizes: dict, batch: int, runtime) -> Iterator[Case]:
    """Equal precision first, then our defaults against what a user of transformers gets on a CPU."""
    T, V = sizes['block_size'], sizes['vocab_size']
    tokens = torch.randint(0, V, (batch, T))
    on_device = tokens.to(runtime.device)

    def ours(stages, dtype, compiled):
        model = LoopedGPT(GPTConfig(**sizes), stages, torch.Generator().manual_seed(0))
        if compiled:
            model.compile_blocks()
        return training_step(model, our_gradients(sizes, tokens, replace(runtime, dtype=dtype)), runtime)

    def peer(dtype, compiled):
        model, own = gpt2(sizes), replace(runtime, dtype=dtype)
        if compiled:
            model.compile()

        def gradients(model):
            with own.autocast():
                loss = model(input_ids=on_device, labels=on_device).loss
            loss.backward()
        return training_step(model, gradients, runtime)
    flops = LoopedGPT(GPTConfig(**sizes), '6x1').flops_per_token(T) * tokens.numel()
    for stages, dtype, compiled, other in (
            ('6x1', 'float32', False, ('float32', False)), ('6x1', 'float32', True, ('float32', True)),
            ('6x1', 'bfloat16', True, ('bfloat16', True)), ('6x1', 'float32', True, ('float32', False)),
            ('6x1', 'bfloat16', True, ('float32', False)), ('1x6', 'bfloat16', True, ('float32', False))):
        words = ['{} {}'.format(*pair) for pair in ((dtype, 'compiled' if compiled else 'eager'),
                                                    (other[0], 'compiled' if other[1] else 'eager'))]
        yield Case(row, f'{stages} {words[0]}, GPT-2 {words[1]}', ours(stages, dtype, compiled),
                   peer(*other), tokens.numel(), 'tokens/s', flops, dtype)


def phop_step(runtime):
    return training_cases('training step, p-hop shape', PHOP, 32, runtime)


def lm_step(runtime):
    return training_cases('training step, LM shape', LM, 4, runtime)


def start_up(runtime) -> Iterator[Case | Size]:
    """From a model to its first step with nothing cached; the peer compiles all 24 layers as one."""
    tokens = torch.randint(0, 5, (8, 256), device=runtime.device)

    def first_step(stages, whole, counts=(None,)):
        def run():
            torch._dynamo.reset()
            with torch._inductor.utils.fresh_inductor_cache(), runtime.autocast():
                model = LoopedGPT(GPTConfig(**PHOP), stages).to(runtime.device)
                model.compile() if whole else model.compile_blocks()
                for count in counts:
                    model(tokens, tokens, count).backward()
        return run
    for stages in ('1x12', '4x6', '24x1'):
        yield Case('time to the first step', f'{stages}, 24x1 compiled whole', first_step(stages, False),
                   first_step('24x1', True), 1, 'starts/s', once=True)
    for stages, counts in (('1x12', (None,)), ('4x6', (None,)), ('24x1', (None,)), ('1x12', range(1, 13))):
        torch._dynamo.utils.counters.clear()
        first_step(stages, False, counts)()
        yield Size('compiled graphs', f'{stages}, {len(counts)} loop counts',
                   torch._dynamo.utils.counters['stats']['unique_graphs'], None, 'graphs')


def decoding(runtime) -> Iterator[Case]:
    """256 tokens after a prompt of 16, greedy, in float32 and as sample.py does it (bfloat16 where fast)."""
    sizes = LM | dict(vocab_size=1024)
    theirs = gpt2(sizes).to(runtime.device).eval()

    @torch.inference_mode()
    def uncached(prompt):
        for _ in range(256):
            token = model(prompt, last_only=True)[:, -1].argmax(-1, keepdim=True)
            prompt = torch.cat([prompt, token], 1)

    @torch.inference_mode()
    def with_theirs(prompt, cached=True):
        theirs.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=256, do_sample=False,
                        pad_token_id=0, use_cache=cached)

    def ours(prompt):
        with own.autocast():
            generate(model, prompt, 256)
    prompts = {batch: torch.randint(0, 1024, (batch, 16), device=runtime.device) for batch in (1, 16)}
    for dtype in dict.fromkeys(('float32', runtime.dtype)):
        own = replace(runtime, dtype=dtype)
        model = own.for_inference(LoopedGPT(GPTConfig(**sizes), '6x1').to(runtime.device).eval())
        for batch, prompt in prompts.items():
            yield Case('decoding 256 tokens', f'{dtype} batch {batch}, transformers float32 with its cache',
                       lambda prompt=prompt: ours(prompt), lambda prompt=prompt: with_theirs(prompt),
                       256 * batch, 'tokens/s')
        yield Case('decoding 256 tokens', f'{dtype} batch 1, transformers float32 without a cache',
                   lambda: ours(prompts[1]), lambda: with_theirs(prompts[1], False), 256, 'tokens/s')
        if dtype == 'float32':
            yield Case('decoding 256 tokens', 'float32 batch 1, ours without a cache',
                       lambda: ours(prompts[1]), lambda: uncached(prompts[1]), 256, 'tokens/s')


def sample_loops(runtime) -> Iterator[Case]:
    """T uniform in 1 .. 20, parity's shape: a batch that shrinks against 20 loops for all."""
    config = GPTConfig(5, 24, 0, 4, 128, positions='none', norm='layernorm', bias=True)
    model = LoopedGPT(config, '1x20', input_injection=True, norm_each_loop=True).to(runtime.device)
    tokens = torch.randint(0, 5, (64, 22), device=runtime.device)
    counts = torch.randint(1, 21, (64,))

    def padded():
        logits = torch.stack([logits for _, logits in model.logits_by_loop(tokens, 20)])
        own = logits[counts - 1, torch.arange(64)]
        torch.nn.functional.cross_entropy(own.flatten(0, 1), tokens.flatten()).backward()
    yield Case('loops of each sample', 'shrinking batch, padded batch',
               lambda: model(tokens, tokens, counts).backward(), padded, 64, 'samples/s')


def optimizers(runtime) -> Iterator[Case | Size]:
    """A step of Adafactor on 100 million parameters of a Transformer's shapes, and the state it holds."""
    from transformers.optimization import Adafactor as Theirs
    shapes = [(3072, 1024), (1024, 1024), (4096, 1024), (1024, 4096), (1024,)] * 6 + [(24_000, 1024)]

    def made(make):
        parameters = [torch.nn.Parameter(0.02 * torch.randn(shape, device=runtime.device))
                      for shape in shapes]
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter)
        return make(parameters)

    def megabytes(optimizer):
        states = [value for state in optimizer.state.values() for value in state.values()]
        return sum(value.nbytes for value in states if torch.is_tensor(value)) / 1e6
    ours = made(lambda parameters: Adafactor(parameters, lr=1e-3))
    count = sum(np.prod(shape) for shape in shapes)
    for name, peer in (('torch.optim', lambda parameters: torch.optim.Adafactor(parameters, lr=1e-3)),
                       ('transformers', lambda parameters: Theirs(parameters, lr=1e-3, relative_step=False,
                                                                  scale_parameter=True))):
        yield Case('Adafactor', f'{count / 1e6:.0f} million parameters, {name}', ours.step, made(peer).step,
                   count, 'parameters/s')
    adamw = made(lambda parameters: torch.optim.AdamW(parameters))
    adamw.step()
    yield Size('state of the optimizer', f'{count / 1e6:.0f} million parameters, AdamW', megabytes(ours),
               megabytes(adamw), 'MB')


def data(runtime) -> Iterator[Case]:
    """Examples a second of each task on one core of the host, in the batches of its configuration."""
    for name in ('ghop', 'addition', 'igsm', 'laptop/group', 'laptop/variables', 'lengths/parity',
                 'lengths/copy', 'lengths/binary_addition', 'lengths/binary_sum',
                 'lengths/multiplication', 'lengths/unique_set'):
        config, _ = configure(Config, [f'config/{name}.py'], '')
        task, steps = make_task(config), iter(range(10 ** 9))
        late = max(task.starts)  # every difficulty is drawn
        yield Case('data', name, lambda task=task, steps=steps, late=late, size=config.batch_size:
                   task.train_batch(0, late + next(steps), size), None, config.batch_size, 'examples/s')


class Workers:
    """Processes of one thread each that make training steps of p-hop's shape together."""

    def __init__(self, world: int, batch: int, dtype: str):
        store = tempfile.NamedTemporaryFile(delete=False).name
        context = mp.get_context('spawn')
        self.pipes, ends = zip(*(context.Pipe() for _ in range(world)), strict=True)
        self.processes = [context.Process(target=work, args=(end, rank, world, batch, dtype, store))
                          for rank, end in enumerate(ends)]
        for process in self.processes:
            process.start()
        self.step()  # compiles

    def step(self):
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
    """What a process of Workers does: two steps whenever it is told to."""
    torch.set_num_threads(1)
    runtime = Runtime(torch.device('cpu'), dtype, True, rank, world)
    model = LoopedGPT(GPTConfig(**PHOP), '6x1', torch.Generator().manual_seed(0))
    model.compile_blocks()
    wrapped = model
    if world > 1:
        dist.init_process_group('gloo', f'file://{store}', rank=rank, world_size=world)
        wrapped = DistributedDataParallel(model)
    tokens = torch.randint(0, PHOP['vocab_size'], (batch, PHOP['block_size']))
    gradients = our_gradients(PHOP, tokens, runtime, lambda model: wrapped)
    step = training_step(model, gradients, runtime)
    while pipe.recv():
        step()
        step()
        pipe.send(True)
    if world > 1:
        dist.destroy_process_group()


def processes(runtime) -> Iterator[Case]:
    """Twice the sequences on two processes; the ratio is the efficiency."""
    batch, tokens = 32, 2 * 32 * PHOP['block_size']
    one, two = (Workers(world, batch, runtime.dtype) for world in (1, 2))
    yield Case('processes', 'p-hop shape, 32 sequences a process of one core, 2 processes, 1', two.step,
               one.step, 2 * tokens, 'tokens/s', peer_work=tokens)
    one.stop()
    two.stop()


# Programs whose step() is measured by peak_megabytes.
MEMORY = """
import re, torch
import cross_entropy
from looped import LoopedGPT
from model import GPTConfig
torch.set_num_threads(2)
{code}
def peak():
    return int(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1]) / 1000
before = peak()
step()
print(peak() - before)
"""
STEP = """
model = LoopedGPT(GPTConfig(300, 512, 0, 4, 256), '{}', checkpoint_loops={})
tokens = torch.randint(0, 300, (24, 512))
step = lambda: model(tokens, tokens).backward()
"""
LOSS = """
cross_entropy.LOGITS_MAX = {}
weight = torch.nn.Parameter(torch.randn(50_304, 64))
x, targets = torch.randn(64 * 128, 64, requires_grad=True), torch.randint(0, 50_304, (64 * 128,))
weight.grad = torch.zeros_like(weight)
step = lambda: cross_entropy.linear_cross_entropy(x, weight, targets).backward()
"""


def peak_megabytes(code: str) -> float:
    """Growth of the peak memory of a process while `step()` of the code runs; what is freed goes back."""
    environment = os.environ | {'MALLOC_MMAP_THRESHOLD_': '1000000'}
    result = subprocess.run([sys.executable, '-c', MEMORY.format(code=code)], capture_output=True, check=True,
                            text=True, env=environment, cwd=ROOT)
    return float(result.stdout)


def memory(runtime) -> Iterator[Size]:
    """Of a step on a CPU, where the system tells a process its peak."""
    if not os.path.exists('/proc/self/status'):
        return
    looped = peak_megabytes(STEP.format('4x6', True))
    for name, case in (('4x6 recomputed, 4x6 kept', ('4x6', False)), ('4x6 recomputed, 4x1', ('4x1', True))):
        yield Size('memory of a step', name, looped, peak_megabytes(STEP.format(*case)), 'MB')
    chunks, whole = (peak_megabytes(LOSS.format(most)) for most in ('cross_entropy.LOGITS_MAX', 10 ** 12))
    yield Size('memory of the loss', '8192 tokens, 50,304 words; all logits at once', chunks, whole, 'MB')


def matmul_peak(device, dtype: str, seconds=1.0) -> float:
    """FLOP/s of a product of two 2048 x 2048 matrices, the best of as many as fit into the time."""
    a = torch.randn(2048, 2048, device=device, dtype=getattr(torch, dtype))
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        a @ a
        if a.is_cuda:
            torch.cuda.synchronize()
        best = max(best, 2 * 2048 ** 3 / (time.perf_counter() - began))
    return best


ROWS = {'phop_step': phop_step, 'lm_step': lm_step, 'start_up': start_up, 'decoding': decoding,
        'sample_loops': sample_loops, 'optimizers': optimizers, 'data': data, 'processes': processes,
        'memory': memory}
