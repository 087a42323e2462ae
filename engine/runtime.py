"""Where a run runs: device, precision, compiler, processes, the hardware's peak; chosen here, told once."""
import logging
import math
import os
import re
import shutil
import signal
import sysconfig
import time
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist

from engine.errors import UserError, ranks

# Dense matmul peaks in FLOP/s by dtype, from the vendors' data sheets; what is not here gets no MFU.
PEAK_FLOPS = {
    'H100 80GB HBM3': dict(bfloat16=989e12, float32=67e12),
    'H100 PCIe': dict(bfloat16=756e12, float32=51e12),
    'A100': dict(bfloat16=312e12, float32=19.5e12),
    'L4': dict(bfloat16=121e12, float32=30.3e12),
}


@dataclass
class Runtime:
    """The resolved choices. `rank` of `world` processes; only rank 0 prints and writes."""
    device: torch.device
    dtype: str
    compile: bool
    rank: int = 0
    world: int = 1
    control: object = None  # a CPU process group for small host-side numbers: no GPU has to be waited for
    notes: tuple = ()       # one line each, for the log

    @property
    def main(self) -> bool:
        return self.rank == 0

    def autocast(self):
        if self.dtype == 'bfloat16':
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def for_inference(self, model):
        """The model with linear weights of the dtype in use: autocast would convert them at every call.
        The products are the same to the bit; to train it is no longer possible."""
        if self.dtype == 'bfloat16':
            for module in model.modules():
                if isinstance(module, torch.nn.Linear):  # a new parameter: a tied embedding stays as it is
                    module.weight = torch.nn.Parameter(module.weight.bfloat16(), requires_grad=False)
        return model

    def put(self, batch):
        """Tokens and targets of a Batch on the device, as int64; its loops, a CPU tensor or None."""
        tokens = torch.as_tensor(batch.tokens).to(self.device, non_blocking=True).long()
        targets = torch.as_tensor(batch.targets).to(self.device, non_blocking=True).long()
        loops = None
        if batch.loops is not None:
            loops = torch.as_tensor(batch.loops)
        return tokens, targets, loops

    def sum(self, *numbers: float) -> list[float]:
        """Sums of host numbers over all processes."""
        if self.world == 1:
            return list(numbers)
        total = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(total, group=self.control)
        return total.tolist()

    def slice(self, n: int) -> tuple[int, int]:
        """This process's part lo, hi of n things; parts differ by one at most."""
        return n * self.rank // self.world, n * (self.rank + 1) // self.world

    def share(self, n: int) -> int:
        """The largest part of n things that `slice` gives a process."""
        return -(-n // self.world)

    def product_flops(self, size: int = 1024) -> float:
        """FLOP/s of a product of size x size matrices in the dtype in use, the best of a few within 0.1 s."""
        a = torch.ones(size, size, device=self.device, dtype=getattr(torch, self.dtype))
        best = math.inf
        end = time.perf_counter() + 0.1
        while time.perf_counter() < end:
            began = time.perf_counter()
            (a @ a)[0, 0].item()  # waits for the device
            best = min(best, time.perf_counter() - began)
        return 2 * size ** 3 / best

    def peak_flops(self) -> float | None:
        """Matmul peak of all devices together in the dtype in use; None where unknown."""
        if self.device.type != 'cuda':
            return None
        name = torch.cuda.get_device_name(self.device)
        for known, peak in PEAK_FLOPS.items():
            if re.search(rf'\b{known}\b', name):
                return peak[self.dtype] * self.world
        return None


class Stop:
    """Remembers SIGTERM or Ctrl-C, so that the loop can save and leave; a second Ctrl-C ends it at once.
    A second SIGTERM does not: schedulers and torchrun both send one. `deadline`: seconds since the epoch."""

    def __init__(self, max_minutes: float = 0.0):
        self.signal = 0
        self.deadline = math.inf
        if max_minutes:
            self.deadline = time.time() + 60 * max_minutes

    def __enter__(self):
        self.before = {}
        for number in (signal.SIGTERM, signal.SIGINT):
            self.before[number] = signal.signal(number, self.remember)
        return self

    def __exit__(self, *_):
        if self.signal:  # the process is about to leave, and Python's own end would heed SIGTERM again
            self.before[signal.SIGTERM] = signal.SIG_IGN
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def remember(self, number, frame):
        self.signal = number
        if number == signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)

    def wanted(self) -> bool:
        return bool(self.signal) or time.time() > self.deadline

    def keep_deadline(self, earlier: float):
        """After a restart by torchrun the deadline of the first start holds: a limit is not begun anew."""
        if restarts():
            self.deadline = min(self.deadline, earlier)

    def exit_code(self) -> int:
        """Of a run that is not finished: 128 + signal, as a shell has it, or 75 (try again) for the limit."""
        return 128 + self.signal if self.signal else 75


def join_processes(backend: str):
    """The process group that torchrun describes. After a restart the names in its store are put apart: gloo
    would find the addresses of the processes that died (torch 2.13)."""
    if not restarts():
        dist.init_process_group(backend)
        return
    rank, world, _ = ranks()
    store = dist.TCPStore(os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT']), world, is_master=False)
    store = dist.PrefixStore(f'restart_{restarts()}', store)
    dist.init_process_group(backend, store=store, rank=rank, world_size=world)


def restarts() -> int:
    count = os.environ.get('TORCHELASTIC_RESTART_COUNT') or '0'
    if not count.isdecimal():
        raise UserError(f'TORCHELASTIC_RESTART_COUNT={count!r} is not a number of restarts: unset it')
    return int(count)


def start(device='auto', dtype='auto', compile='auto') -> Runtime:
    """Resolves the three choices and joins torchrun's processes, if that started us."""
    rank, world, _ = ranks()
    chosen = pick_device(device)
    if chosen.type == 'cpu':  # it warns of a CUDA toolkit without a GPU, which is nothing to do with us
        logging.getLogger('torch.utils.cpp_extension').setLevel(logging.ERROR)
    compiled, why = pick_compile(compile)
    runtime = Runtime(device=chosen, dtype=pick_dtype(dtype, chosen), compile=compiled, rank=rank,
                      world=world)
    if world > 1:
        join_processes('nccl' if chosen.type == 'cuda' else 'gloo')
        runtime.control = dist.new_group(backend='gloo')

    name = f'cpu, {torch.get_num_threads()} threads'
    if chosen.type == 'cuda':
        name = torch.cuda.get_device_name(chosen)
    runtime.notes = (f'device {name}, processes {world}, dtype {runtime.dtype}, compile {why}',)
    return runtime


def pick_device(choice: str) -> torch.device:
    if choice == 'cuda' and not torch.cuda.is_available():
        raise UserError('device=cuda, but torch finds no CUDA device; use --device=cpu or --device=auto')
    if choice == 'cpu' or not torch.cuda.is_available():
        return torch.device('cpu')
    local_rank = ranks().local_rank
    if local_rank >= torch.cuda.device_count():
        raise UserError(f'process {local_rank} of this machine finds {torch.cuda.device_count()} GPUs; start '
                        'as many processes as there are GPUs (--nproc_per_node)')
    device = torch.device('cuda', local_rank)
    torch.cuda.set_device(device)
    return device


def pick_dtype(choice: str, device: torch.device) -> str:
    """bfloat16 where the hardware multiplies it natively, a CPU with AVX512-BF16 or AMX included."""
    if choice != 'auto':
        return choice
    if device.type == 'cuda':
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        fast = capabilities.get('avx512_bf16') or capabilities.get('amx_bf16')
    return 'bfloat16' if fast else 'float32'


def pick_compile(choice: str) -> tuple[bool, str]:
    if choice == 'False':
        return False, 'off'
    missing = None
    header = os.path.join(sysconfig.get_paths()['include'], 'Python.h')
    if not shutil.which(os.environ.get('CXX', 'g++')):
        missing = 'no C++ compiler found'
    elif not os.path.exists(header):
        missing = "Python's C headers not found"
    if missing:
        return False, f'off ({missing})'
    return True, 'on'
