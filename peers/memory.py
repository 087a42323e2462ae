"""Cases of memory: by how much a training step, or the loss, raises the peak memory of a process on a CPU.

Each is measured in a process of its own, which runs this file as `python -m peers.memory step 4x6 True`.
"""
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator

import torch

import model
from engine.files import ROOT
from looped import LoopedGPT
from peers.cases import Size
from stages import ModelConfig

MEASURABLE = os.path.exists('/proc/self/status')  # where the system tells a process its peak
ALL_LOGITS = 10 ** 12  # more than there are: the loss holds all at once


def memory(runtime) -> Iterator[Size]:
    """A step whose loops are recomputed beside one that keeps them; the loss in chunks beside all at once."""
    if not MEASURABLE:
        return
    recomputed = peak_megabytes('step', '4x6', True)
    kept = peak_megabytes('step', '4x6', False)
    unlooped = peak_megabytes('step', '4x1', True)
    yield Size('memory of a step', '4x6 recomputed, 4x6 kept', recomputed, kept, 'MB')
    yield Size('memory of a step', '4x6 recomputed, 4x1', recomputed, unlooped, 'MB')

    chunks = peak_megabytes('loss', model.LOGITS_MAX)
    whole = peak_megabytes('loss', ALL_LOGITS)
    name = '8192 tokens, 50,304 words; all logits at once'
    yield Size('memory of the loss', name, chunks, whole, 'MB')


def peak_megabytes(kind: str, *choices) -> float:
    """Growth of a process's peak memory by a 'step' (stages, recomputed or not) or a 'loss' (LOGITS_MAX)."""
    words = [kind] + [str(choice) for choice in choices]
    environment = os.environ | {'MALLOC_MMAP_THRESHOLD_': '1000000'}  # what is freed goes back to the system
    result = subprocess.run([sys.executable, '-m', 'peers.memory', *words], capture_output=True, check=True,
                            text=True, env=environment, cwd=ROOT)
    return float(result.stdout)


# --- in the process that is measured

def looped_step(stages: str, checkpoint_loops: bool) -> Callable:
    """Forward and backward pass of a model of width 256 on 24 sequences of 512 tokens."""
    config = ModelConfig(stages=stages, vocab_size=300, block_size=512, n_head=4, n_embd=256,
                         checkpoint_loops=checkpoint_loops)
    looped = LoopedGPT(config)
    tokens = torch.randint(0, 300, (24, 512))  # (B, T)
    return lambda: looped(tokens, tokens).backward()


def loss_step(logits_max: int) -> Callable:
    """Forward and backward pass of the loss alone, of which logits_max logits are held at once."""
    model.LOGITS_MAX = logits_max
    weight = torch.nn.Parameter(torch.randn(50_304, 64))  # (V, C)
    weight.grad = torch.zeros_like(weight)
    x = torch.randn(64 * 128, 64, requires_grad=True)  # (N, C)
    targets = torch.randint(0, 50_304, (64 * 128,))  # (N,)
    return lambda: model.linear_cross_entropy(x, weight, targets).backward()


def peak_so_far() -> float:
    """The most memory that this process has held so far, in MB."""
    with open('/proc/self/status', encoding='utf-8') as file:
        kilobytes = re.search(r'VmHWM:\s+(\d+) kB', file.read())[1]
    return int(kilobytes) / 1000


def main(argv):
    torch.set_num_threads(2)
    if argv[0] == 'step':
        step = looped_step(argv[1], argv[2] == 'True')
    else:
        step = loss_step(int(argv[1]))
    before = peak_so_far()
    step()
    print(peak_so_far() - before)


if __name__ == '__main__':
    main(sys.argv[1:])
