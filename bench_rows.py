"""The cases of `python bench.py rows`: ours and a peer on the same shapes and tokens, in turn.

A case is two functions that do the same work; a row groups them. Peers are transformers' GPT-2 as a user gets
it, torch's and transformers' Adafactor, and our own model without the short cut that the row is about.
"""
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from adafactor import Adafactor
from configurator import configure
from looped import LoopedGPT
from model import GPTConfig
from sample import generate
from settings import Config
from tasks import make_task

PHOP = dict(vocab_size=5, block_size=256, n_layer=0, n_head=8, n_embd=128)
LM = dict(vocab_size=50_304, block_size=512, n_layer=0, n_head=8, n_embd=512)


class Case(NamedTuple):
    """`work` of `unit` a call of either function; `flops` of ours, in `dtype`, for MFU where it says much.

    `peer` None: there is nothing to compare with, the rate alone is of interest.
    """
    row: str
    name: str
    ours: Callable
    peer: Callable | None
    work: float
    unit: str
    flops: float = 0.0
    dtype: str = 'float32'


def gpt2(sizes: dict, n_layer=6):
    """transformers' GPT-2 of our sizes, without dropout."""
    import transformers
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=sizes['vocab_size'], n_positions=sizes['block_size'], n_embd=sizes['n_embd'],
        n_layer=n_layer, n_head=sizes['n_head'], bos_token_id=None, eos_token_id=None, resid_pdrop=0.0,
        embd_pdrop=0.0, attn_pdrop=0.0, loss_type='ForCausalLM'))


def training_step(model, loss_of, runtime, dtype: str) -> Callable:
    """Forward, backward and AdamW, in the dtype."""
    model, optimizer = model.to(runtime.device), torch.optim.AdamW(model.parameters(), 1e-3, fused=True)

    def step():
        with torch.autocast(runtime.device.type, torch.bfloat16, enabled=dtype == 'bfloat16'):
            loss = loss_of(model)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return step


def training_cases(row: str, sizes: dict, batch: int, runtime) -> Iterator[Case]:
    """Equal precision first, then our defaults against what a user of transformers gets on a CPU."""
    T, V = sizes['block_size'], sizes['vocab_size']
    tokens = torch.randint(0, V, (batch, T), device=runtime.device)

    def ours(stages, dtype, compiled):
        model = LoopedGPT(GPTConfig(**sizes), stages, torch.Generator().manual_seed(0))
        if compiled:
            model.compile_blocks()
        return training_step(model, lambda model: model(tokens, tokens) / tokens.numel(), runtime, dtype)

    def peer(dtype, compiled):
        model = gpt2(sizes)
        if compiled:
            model.compile()
        return training_step(model, lambda model: model(input_ids=tokens, labels=tokens).loss, runtime, dtype)
    flops = LoopedGPT(GPTConfig(**sizes), '6x1').flops_per_token(T) * tokens.numel()
    for stages, dtype, compiled, other in (
            ('6x1', 'float32', False, ('float32', False)), ('6x1', 'float32', True, ('float32', True)),
            ('6x1', 'bfloat16', True, ('bfloat16', True)), ('6x1', 'bfloat16', True, ('float32', False)),
            ('1x6', 'bfloat16', True, ('float32', False))):
        words = ['{} {}'.format(*pair) for pair in ((dtype, 'compiled' if compiled else 'eager'),
                                                    (other[0], 'compiled' if other[1] else 'eager'))]
        yield Case(row, f'{stages} {words[0]}, GPT-2 {words[1]}', ours(stages, dtype, compiled),
                   peer(*other), tokens.numel(), 'tokens/s', flops, dtype)


def phop_step(runtime):
    return training_cases('training step, p-hop shape', PHOP, 32, runtime)


def lm_step(runtime):
    return training_cases('training step, LM shape', LM, 4, runtime)


def start_up(runtime) -> Iterator[Case]:
    """From a model to its first step with nothing cached; the peer compiles all 24 layers as one."""
    tokens = torch.randint(0, 5, (8, 256), device=runtime.device)

    def first_step(stages, whole):
        def run():
            torch._dynamo.reset()
            with torch._inductor.utils.fresh_inductor_cache():
                model = LoopedGPT(GPTConfig(**PHOP), stages).to(runtime.device)
                model.compile() if whole else model.compile_blocks()
                with torch.autocast(runtime.device.type, torch.bfloat16, enabled=runtime.dtype == 'bfloat16'):
                    model(tokens, tokens).backward()
        return run
    for stages in ('1x12', '4x6', '24x1'):
        yield Case('time to the first step', f'{stages}, 24x1 compiled whole', first_step(stages, False),
                   first_step('24x1', True), 1, 'starts/s')


def decoding(runtime) -> Iterator[Case]:
    """256 tokens after a prompt of 16, greedy, float32, batch 1 and 16: with a cache, and without."""
    sizes = LM | dict(vocab_size=1024)
    model = LoopedGPT(GPTConfig(**sizes), '6x1').to(runtime.device).eval()
    theirs = gpt2(sizes).to(runtime.device).eval()

    def uncached(prompt):
        for _ in range(256):
            token = model(prompt, last_only=True)[:, -1].argmax(-1, keepdim=True)
            prompt = torch.cat([prompt, token], 1)

    @torch.inference_mode()
    def with_theirs(prompt):
        theirs.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=256, do_sample=False,
                        pad_token_id=0, use_cache=True)
    for batch in (1, 16):
        prompt = torch.randint(0, 1024, (batch, 16), device=runtime.device)
        ours = torch.inference_mode()(lambda prompt=prompt: generate(model, prompt, 256))
        yield Case('decoding 256 tokens', f'batch {batch}, transformers with its cache', ours,
                   lambda prompt=prompt: with_theirs(prompt), 256 * batch, 'tokens/s')
    prompt = torch.randint(0, 1024, (1, 16), device=runtime.device)
    yield Case('decoding 256 tokens', 'batch 1, ours without a cache',
               torch.inference_mode()(lambda: generate(model, prompt, 256)),
               torch.inference_mode()(lambda: uncached(prompt)), 256, 'tokens/s')


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


def optimizers(runtime) -> Iterator[Case]:
    """A step of Adafactor on 100 million parameters of a Transformer's shapes."""
    from transformers.optimization import Adafactor as Theirs
    shapes = [(3072, 1024), (1024, 1024), (4096, 1024), (1024, 4096), (1024,)] * 6 + [(24_000, 1024)]

    def step(make):
        parameters = [torch.nn.Parameter(0.02 * torch.randn(shape, device=runtime.device))
                      for shape in shapes]
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter)
        return make(parameters).step
    ours = step(lambda parameters: Adafactor(parameters, lr=1e-3))
    count = sum(np.prod(shape) for shape in shapes)
    for name, peer in (('torch.optim', lambda parameters: torch.optim.Adafactor(parameters, lr=1e-3)),
                       ('transformers', lambda parameters: Theirs(parameters, lr=1e-3, relative_step=False,
                                                                  scale_parameter=True))):
        yield Case('Adafactor', f'{count / 1e6:.0f} million parameters, {name}', ours, step(peer),
                   count, 'parameters/s')


def data(runtime) -> Iterator[Case]:
    """Examples a second of each task on one core of the host, in the batches of its configuration."""
    for name in ('ghop', 'addition', 'igsm', 'group_laptop', 'variables_laptop', 'parity', 'copy',
                 'binary_addition', 'binary_sum', 'multiplication', 'unique_set'):
        config, _ = configure(Config, [f'config/{name}.py'], '')
        task, steps = make_task(config), iter(range(10 ** 9))
        late = max(task.starts)  # every difficulty is drawn
        yield Case('data', name, lambda task=task, steps=steps, late=late, size=config.batch_size:
                   task.train_batch(0, late + next(steps), size), None, config.batch_size, 'examples/s')


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
        'sample_loops': sample_loops, 'optimizers': optimizers, 'data': data}
