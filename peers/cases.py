"""What a row of `python bench.py rows` is, and how it is measured: ours and a peer in turn, medians.

A Case is timed, a Size is counted; the other files of this folder make them.
"""
import platform
import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

import torch


class Case(NamedTuple):
    """Two functions that do the same work: a call of either does `work` of `unit`.

    peer None: there is nothing to compare with, the rate alone is of interest. peer_work: the peer's, where
    it does less in a call; the ratio is that of the times all the same.
    """
    row: str
    name: str
    ours: Callable
    peer: Callable | None
    work: float
    unit: str
    flops: float = 0.0      # of a call of ours, for MFU where that says much
    dtype: str = 'float32'  # of ours: MFU is a share of its matmul peak
    peer_work: float = 0.0
    once: bool = False      # measured a single time, without a warm-up


class Size(NamedTuple):
    """A case that is counted instead of timed; the ratio is peer over ours."""
    row: str
    name: str
    ours: float
    peer: float | None
    unit: str


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


# --- rows

def rate_row(case: Case, runtime, repeats: int, peaks: dict) -> dict:
    """A case timed: rates, the median ratio with its lowest and highest, MFU. Better is above 1.

    `peaks` has the matmul peak of each dtype, in FLOP/s.
    """
    functions = [case.ours, case.peer] if case.peer else [case.ours]
    if case.once:
        times = time_in_turn(functions, runtime, repeats=1, warmup=0)
    else:
        times = time_in_turn(functions, runtime, repeats)

    # The ratio is taken call by call: a busy moment slows down both.
    ours = times[0]
    peer_rate = ''
    ratios = []
    if case.peer:
        peer = times[1]
        peer_rate = f'{(case.peer_work or case.work) / median(peer):.4g}'
        ratios = sorted(b / a for a, b in zip(ours, peer, strict=True))
    mfu = ''
    if case.flops:
        mfu = round(case.flops / median(ours) / peaks[case.dtype], 3)
    return make_row(case, f'{case.work / median(ours):.4g}', peer_rate, ratios, mfu, runtime)


def size_row(case: Size, runtime) -> dict:
    """A case counted; better, that is less, is above 1."""
    if case.peer is None:
        return make_row(case, f'{case.ours:.4g}', '', [], '', runtime)
    return make_row(case, f'{case.ours:.4g}', f'{case.peer:.4g}', [case.peer / case.ours], '', runtime)


def make_row(case: Case | Size, ours: str, peer: str, ratios: list, mfu, runtime) -> dict:
    """A row of OUT.csv; `ratios` in order."""
    row = dict(row=case.row, case=case.name, ours=ours, peer=peer, unit=case.unit)
    row |= dict(ratio='', low='', high='', mfu=mfu, hardware=hardware_name(runtime))
    row['versions'] = f'torch {torch.__version__}'
    if ratios:
        row['ratio'] = round(median(ratios), 2)
    if len(ratios) > 1:
        row['low'] = round(ratios[0], 2)
        row['high'] = round(ratios[-1], 2)
    return row


# --- the machine

def hardware_name(runtime) -> str:
    """The device and how many threads a CPU is used with."""
    if runtime.device.type == 'cuda':
        return torch.cuda.get_device_name()
    return f'{processor_name()}, {torch.get_num_threads()} threads'


def processor_name() -> str:
    """The processor's name where the system tells it."""
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            for line in file:
                if line.startswith('model name'):
                    return line.split(':')[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def matmul_peak(device, dtype: str, seconds=1.0) -> float:
    """FLOP/s of a product of two 2048 x 2048 matrices, the best of as many as fit into the time."""
    a = torch.randn(2048, 2048, device=device, dtype=getattr(torch, dtype))
    best = 0.0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        a @ a
        if a.is_cuda:
            torch.cuda.synchronize()
        best = max(best, 2 * 2048 ** 3 / (time.perf_counter() - began))
    return best
