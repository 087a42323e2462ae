"""Speed, measured in one process: methods in turn, medians.

    python bench.py inference config/parity.py --out=out/table_inference

Inference time of B's methods on one batch of a task (B, App. D, Table 1), beside the paper's: OUT.csv and
OUT.md. Models are built from the configuration and not trained: time does not depend on what the weights are.
"""
import sys
import time
from dataclasses import dataclass
from statistics import median
from typing import Literal

import torch

from configurator import UserError, configure, one_line_errors
from drawing import markdown_table, write_table
from looped import build_model
from plot import method_of
from runtime import start
from sample import generate
from settings import Config
from stopping import all_steps
from tasks import LENGTH_TASKS, make_task

PAPER = {  # B, Table 1: seconds at parity of length 50, batch 64
    'oracle': 0.1967, 'confidence': 0.2190, 'FAP': 0.1117, 'FAP-Pause': 0.1262,
    'NTP': 0.1229, 'NTP-Pause': 0.1315, 'NTP-Loop': 0.1527}
BASELINES = ('fap', 'fap_pause', 'ntp', 'ntp_pause', 'ntp_loop')


@dataclass
class BenchConfig:
    # --- what is measured
    length: int = 50                 # of the problems
    batch: int = 64                  # problems at once
    loops_max: int = 55              # T_max of the confidence rule; not stated in the paper
    repeats: int = 9                 # measurements of each method, in turn
    out: str = 'out/table_inference'               # path without its ending
    # --- where
    device: Literal['auto', 'cpu', 'cuda'] = 'auto'          # auto: a GPU if there is one
    dtype: Literal['auto', 'float32', 'bfloat16'] = 'auto'   # auto: bfloat16 where the hardware has it

    def check(self):
        if min(self.length, self.batch, self.loops_max, self.repeats) < 1:
            raise ValueError('length, batch, loops_max and repeats must be at least 1')


def methods(path: str, config, runtime):
    """{name: a function that answers the batch once} for the looped model and every baseline."""
    looped, _ = configure(Config, [path, f'--test_lengths={config.length}'], '')
    if looped.task not in LENGTH_TASKS or not looped.adaptive_loops:
        raise UserError(f"{path} is no configuration of one of B's tasks")
    layers = looped.stages.split('x')[0]
    out = {}
    for name in (None, *BASELINES):
        more = [f'config/as_{name}.py'] if name else []
        more += [] if name in (None, 'ntp_loop') else [f'--stages={20 * int(layers)}x1']
        run, _ = configure(Config, [path, *more, f'--test_lengths={config.length}'], '')
        task = make_task(run)
        model = build_model(run, task.vocab_size, task.block_size, torch.Generator().manual_seed(0))
        out |= answers(method_of(vars(run)), model.to(runtime.device).eval(), task, config, runtime)
    return out


def answers(name: str, model, task, config, runtime) -> dict:
    """How a method answers: both stopping rules, one forward pass (FAP), or decoding with the cache (NTP)."""
    batch = task.eval_batch('test', config.length, 0, config.batch)
    tokens, targets, loops = runtime.put(batch)
    if task.adaptive_loops:
        return {'oracle': lambda: model(tokens, n_loops=loops),
                'confidence': lambda: all_steps(model, runtime, batch, config.loops_max)}
    if task.full_answer:
        return {name: lambda: model(tokens)}
    n_prompt = int((targets[0] >= 0).int().argmax()) + 1
    n_new = int((targets >= 0).sum(1).max())
    return {name: lambda: generate(model, tokens[:, :n_prompt], n_new)}


@torch.inference_mode()
def measure(named: dict, runtime, repeats: int) -> dict:
    """Median milliseconds of each function, all in turn so that a busy moment meets every one of them."""
    times = {name: [] for name in named}
    for repeat in range(repeats + 1):  # the first warms up
        for name, answer in named.items():
            began = time.perf_counter()
            with runtime.autocast():
                answer()
            if runtime.device.type == 'cuda':
                torch.cuda.synchronize()
            if repeat:
                times[name].append(1000 * (time.perf_counter() - began))
    return {name: median(own) for name, own in times.items()}


def inference(path: str, config):
    """Prints and writes the table: ours and the paper's times, each as a multiple of FAP's."""
    runtime = start(config.device, config.dtype, 'False')
    times = measure(methods(path, config, runtime), runtime, config.repeats)
    rows = [dict(method=name, milliseconds=round(ms, 1), times_fap=round(ms / times['FAP'], 2),
                 paper_seconds=PAPER[name], paper_times_fap=round(PAPER[name] / PAPER['FAP'], 2))
            for name, ms in times.items()]
    head = ['method', 'ms', 'times FAP', 'paper, s', 'paper, times FAP']
    print(*runtime.notes, '', sep='\n')
    write_table(rows, markdown_table(head, [list(map(str, row.values())) for row in rows]), config.out)


def main(argv):
    config, words = configure(BenchConfig, argv, __doc__, positional='words')
    if len(words) != 2 or words[0] != 'inference':
        raise UserError("give 'inference' and a configuration file, such as config/parity.py")
    inference(words[1], config)


if __name__ == '__main__':
    with one_line_errors():
        main(sys.argv[1:])
