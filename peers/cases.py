"""What a row of `python bench.py rows` is, how it is measured, and the models with random weights.
A Case is timed, ours and a peer in turn, medians; a Size is counted. The other files here make them."""
import os
import platform
import re
import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

import torch

from looped import LoopedGPT
from stages import ModelConfig

PHOP_SHAPE = dict(vocab_size=5, block_size=256, n_head=8, n_embd=128)
LM_SHAPE = dict(vocab_size=50_304, block_size=512, n_head=8, n_embd=512)


class Case(NamedTuple):
    """Two functions that do the same work: a call of either does `work` of `unit`."""
    row: str
    name: str
    ours: Callable
    peer: Callable | None   # None: the rate alone is of interest
    work: float
    unit: str
    flops: float = 0.0      # of a call of ours, for MFU where that says much
    dtype: str = 'float32'  # of ours: MFU is a share of its matmul peak
    peer_work: float = 0.0  # where the peer does less in a call; the ratio is that of the times all the same
    once: bool = False      # measured a single time, without a warm-up


class Size(NamedTuple):
    """A case that is counted instead of timed; the ratio is peer over ours."""
    row: str
    name: str
    ours: float
    peer: float | None
    unit: str


# --- measuring

def time_in_turn(functions: list, runtime, repeats: int, warmup=1) -> list[list[float]]:
    """Seconds of each function, all in turn so that a busy moment meets every one of them."""
    times = [[] for _ in functions]
    for repeat in range(warmup + repeats):
        for function, seconds in zip(functions, times, strict=True):
            began = time.perf_counter()
            function()
            if runtime.device.type == 'cuda':
                torch.cuda.synchronize()
            if repeat >= warmup:
                seconds.append(time.perf_counter() - began)
    return times


@torch.inference_mode()
def median_milliseconds(functions: dict, runtime, repeats: int) -> dict:
    """{name: median milliseconds} of functions by name, under inference."""
    with runtime.autocast():
        times = time_in_turn(list(functions.values()), runtime, repeats)
    return {name: 1000 * median(seconds) for name, seconds in zip(functions, times, strict=True)}


def rate_row(case: Case, runtime, repeats: int, peaks: dict) -> dict:
    """A case timed: rates, the median ratio with its lowest and highest, MFU. Better is above 1.
    `peaks` has the matmul peak of each dtype, in FLOP/s."""
    functions = [case.ours, case.peer] if case.peer else [case.ours]
    warmup = 0 if case.once else 1
    times = time_in_turn(functions, runtime, repeats if warmup else 1, warmup)
    ours = median(times[0])
    mfu = round(case.flops / ours / peaks[case.dtype], 3) if case.flops else ''
    if not case.peer:
        return make_row(case, runtime, case.work / ours, None, [], mfu)

    # The ratio is taken call by call: a busy moment slows down both.
    ratios = sorted(b / a for a, b in zip(*times, strict=True))
    peer_rate = (case.peer_work or case.work) / median(times[1])
    return make_row(case, runtime, case.work / ours, peer_rate, ratios, mfu)


def size_row(case: Size, runtime) -> dict:
    """A case counted; better, that is less, is above 1."""
    ratios = [] if case.peer is None else [case.peer / case.ours]
    return make_row(case, runtime, case.ours, case.peer, ratios, '')


def make_row(case: Case | Size, runtime, ours: float, peer: float | None, ratios: list, mfu) -> dict:
    """A row of OUT.csv; `ratios` in order."""
    row = dict(row=case.row, case=case.name, ours=f'{ours:.4g}', peer='', unit=case.unit, ratio='', low='',
               high='', mfu=mfu, hardware=hardware_name(runtime), versions=f'torch {torch.__version__}')
    if ratios:
        row['peer'] = f'{peer:.4g}'
        row['ratio'] = round(median(ratios), 2)
    if len(ratios) > 1:
        row['low'] = round(ratios[0], 2)
        row['high'] = round(ratios[-1], 2)
    return row


def hardware_name(runtime) -> str:
    """The GPU, or the processor where the system tells it, and how many of its threads are used."""
    if runtime.device.type == 'cuda':
        return torch.cuda.get_device_name()
    name = platform.processor() or platform.machine()
    if os.path.exists('/proc/cpuinfo'):
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            found = re.search(r'^model name.*?:([^:\n]*)', file.read(), re.M)
        name = found[1].strip() if found else name
    return f'{name}, {torch.get_num_threads()} threads'


def matmul_peak(device, dtype: str, seconds=1.0) -> float:
    """FLOP/s of a product of two 2048 x 2048 matrices, the best of as many as fit into the time."""
    a = torch.randn(2048, 2048, device=device, dtype=getattr(torch, dtype))
    best = 0.0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        (a @ a)[0, 0].item()  # waits for the device
        best = max(best, 2 * 2048 ** 3 / (time.perf_counter() - began))
    return best


# --- models

def make_looped(stages: str, shape: dict, **options) -> LoopedGPT:
    config = ModelConfig(stages=stages, **shape, **options)
    return LoopedGPT(config, torch.Generator().manual_seed(0))


def make_gpt2(shape: dict):
    """A GPT-2 of transformers of the same shape, 6 layers, without dropout."""
    import transformers
    transformers.logging.set_verbosity_error()
    sizes = dict(vocab_size=shape['vocab_size'], n_embd=shape['n_embd'], n_head=shape['n_head'])
    config = transformers.GPT2Config(
        n_positions=shape['block_size'], n_layer=6, bos_token_id=None, eos_token_id=None,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, loss_type='ForCausalLM', **sizes)
    return transformers.GPT2LMHeadModel(config)
