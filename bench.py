"""Speed, measured in one process: methods in turn, medians.

    python bench.py inference config/lengths/parity.py --out=results/table_inference
    python bench.py downstream --out=results/bench_downstream
    python bench.py rows --rows=phop_step,decoding --out=results/bench

rows: training steps, start-up, decoding, optimizer, data and memory beside peers, with the share of the
measured matmul peak; rows of OUT.csv that are not measured anew stay. inference: the methods of Fan et al.
2025 on one batch of a task (App. D, Table 1), and the paper's times. downstream: the few-shot evaluator on a
small GPT-2, beside the same without its short cuts and, where that is installed, lm-evaluation-harness. The
cases are in peers/. Writes OUT.csv and OUT.md. Models are not trained, since time depends on no weight.
"""
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from downstream.fewshot import TASKS
from engine.configurator import Path, Positive, configure
from engine.errors import UserError, one_line_errors
from engine.files import read_rows
from engine.runtime import start
from peers.cases import Size, matmul_peak, median_milliseconds, rate_row, size_row
from peers.inference import PAPER_SECONDS, decoding, few_shot_rates, inference_methods
from peers.training import lm_step, phop_step, processes
from peers.training_parts import data, memory, optimizer_steps, sample_loops, start_up
from plots.tables import markdown_table, write_table

ROWS = {
    'phop_step': phop_step, 'lm_step': lm_step, 'start_up': start_up, 'decoding': decoding,
    'sample_loops': sample_loops, 'optimizers': optimizer_steps, 'data': data, 'processes': processes,
    'memory': memory}
GENERATED = tuple(name for name, task in TASKS.items() if not task.path)


@dataclass
class BenchConfig:
    # --- what is measured
    length: Positive = 50            # of the problems
    batch: Positive = 64             # problems at once
    loops_max: Positive = 55         # T_max of the confidence rule; not stated in the paper
    repeats: Positive = 9            # measurements of each method, in turn
    task: Literal[GENERATED] = 'math_depth1'    # downstream: whose prompts; a task that needs no download
    rows: tuple[str, ...] = ()       # rows: which of them (default: all)
    out: Path = ''                   # path without its ending (default: out/bench_MODE)
    # --- where
    device: Literal['auto', 'cpu', 'cuda'] = 'auto'          # auto: a GPU if there is one
    dtype: Literal['auto', 'float32', 'bfloat16'] = 'auto'   # auto: bfloat16 where the hardware has it

    def check(self):
        for name in self.rows:
            if name not in ROWS:
                raise ValueError(f'no row {name!r}; there are {", ".join(ROWS)}')


def write_inference(path: str, config):
    """Times the methods of Fan et al. 2025; ours and the paper's, each as a multiple of FAP's."""
    runtime = start(config.device, config.dtype, 'False')
    times = median_milliseconds(inference_methods(path, config, runtime), runtime, config.repeats)
    rows = []
    for method, milliseconds in times.items():
        seconds = PAPER_SECONDS[method]
        row = dict(method=method, milliseconds=round(milliseconds, 1))
        row |= dict(times_fap=round(milliseconds / times['FAP'], 2), paper_seconds=seconds)
        rows.append(row | dict(paper_times_fap=round(seconds / PAPER_SECONDS['FAP'], 2)))
    print(*runtime.notes, '', sep='\n')
    write(rows, ['method', 'ms', 'times FAP', 'paper, s', 'paper, times FAP'], config.out)


def write_downstream(config):
    """Examples a second of the few-shot evaluator and of its peers, in float32."""
    runtime = start(config.device, 'float32', 'False')
    rates, prompts = few_shot_rates(config.task, config.batch, config.repeats, runtime)
    rows = [dict(method=method, examples_per_s=round(rate, 2), ours_is_faster=round(rates['ours'] / rate, 2))
            for method, rate in rates.items()]
    print(*runtime.notes, f'{len(prompts)} prompts of {len(prompts[0].tokens)} tokens', '', sep='\n')
    write(rows, ['method', 'examples a second', 'ours is faster'], config.out)


def write_rows(config):
    """Measures the cases of the rows; writes them and the rows of OUT.csv that are not measured anew."""
    runtime = start(config.device, config.dtype, 'auto')
    peaks = {dtype: matmul_peak(runtime.device, dtype) for dtype in ('float32', 'bfloat16')}
    print(*runtime.notes, sep='\n')
    print(f'matmul peak: {peaks["float32"] / 1e9:.0f} GFLOP/s in float32, '
          f'{peaks["bfloat16"] / 1e9:.0f} GFLOP/s in bfloat16')

    measured = {}  # (row, case): what OUT.csv says of it
    for name in config.rows or ROWS:
        for case in ROWS[name](runtime):
            if isinstance(case, Size):
                row = size_row(case, runtime)
            else:
                row = rate_row(case, runtime, config.repeats, peaks)
            measured[row['row'], row['case']] = row
            print(row['row'], row['case'], row['ours'], row['unit'], row['ratio'], row['mfu'], sep=' | ')

    # Rows of an earlier call stay, in front.
    old = [row for row in read_rows(f'{config.out}.csv') if (row['row'], row['case']) not in measured]
    head = ['row', 'case', 'ours', 'peer', 'unit', 'ratio', 'low', 'high', 'mfu']
    write([*old, *measured.values()], head, config.out, left=2)


def write(rows: list[dict], head: list[str], out: str, left=1):
    """Writes OUT.csv, and OUT.md with the first columns of the rows, as many as `head` names."""
    lines = [list(map(str, row.values()))[:len(head)] for row in rows]
    write_table(rows, markdown_table(head, lines, left), out)


def main(argv):
    config, words = configure(BenchConfig, argv, __doc__, positional='words')
    mode = words[0] if words else ''
    config.out = config.out or f'out/bench_{mode}'
    if mode != 'inference' and not find_spec('transformers'):
        raise UserError("the peers need transformers: pip install -e '.[dev]'")
    if words == ['downstream']:
        write_downstream(config)
    elif words == ['rows']:
        write_rows(config)
    elif len(words) == 2 and mode == 'inference':
        write_inference(words[1], config)
    else:
        raise UserError('give rows, downstream, or inference and a file such as config/lengths/parity.py')


if __name__ == '__main__':
    with one_line_errors():
        main(sys.argv[1:])
