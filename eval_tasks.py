"""Evaluates a trained model by difficulty and by loop count, past the trained one too.

    python eval_tasks.py out/ghop_1x6 --loops=1,2,4,6,8,12

Writes into the run's folder test.csv (step, split, difficulty, loops, loss, accuracy, count), baselines.csv
(shortcuts that do not solve the task, on the same examples) and a figure. A model whose loops adapt to the
problem (Fan et al. 2025) is evaluated under every stopping rule: test.csv has a row for each rule, steps.csv
one for each step.
"""
import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import torch

from engine.checkpoint import load_model
from engine.configurator import Natural, Path, Positive, Rate, configure
from engine.errors import UserError, one_line_errors
from engine.evaluation import LoopCount, LoopCounts, evaluate, loop_counts_to_try
from engine.files import write_csv
from engine.logs import describe
from engine.runtime import start
from engine.stopping import evaluate_rules
from stages import is_looped

BASELINE_BATCH = 10_000  # examples at a time


@dataclass
class EvalConfig:
    # --- what to evaluate
    checkpoint: str = 'best.pt'                        # file in the run's folder: best.pt or ckpt.pt
    split: Literal['test', 'val'] = 'test'             # examples never seen in training, either way
    loops: LoopCounts = ()                             # loop counts (default: 1 to twice the trained count)
    sweep: bool = True                                 # False: at the trained loop count only
    examples: Positive = 10_000                        # for each difficulty
    batch_size: Natural = 0                            # examples at a time; 0: 1000, of a text 16
    out_dir: Path = ''                                 # folder of what is written (default: that of the run)
    # --- stopping rules, where loops adapt; the defaults are those of the code of Fan et al. 2025
    loops_min: LoopCount = 1                           # no rule but the oracle stops before
    loops_max: LoopCount = 0                           # T_max of all lengths; 0: T + loops_margin of each
    loops_margin: LoopCount = 0                        # 0: 20, of multiplication and unique_set 30
    group: Natural = 0                                 # problems that stop together; 0: all of a length
    threshold: Rate = 0.001                            # of the rule that stops below it, in nats
    # --- where
    device: Literal['auto', 'cpu', 'cuda'] = 'auto'    # auto: a GPU if there is one
    dtype: Literal['auto', 'float32', 'bfloat16'] = 'auto'  # auto: bfloat16 where the hardware is fast at it

    def check(self):
        if self.loops_min < 1 or 0 < self.loops_max < self.loops_min:
            raise ValueError(f'loops_min={self.loops_min} must be at least 1, and loops_max={self.loops_max} '
                             '0 or no less than it')


def main(argv):
    config, folders = configure(EvalConfig, argv, __doc__, positional='folder')
    if len(folders) != 1:
        raise UserError(f'give one folder of a run, such as out/ghop_1x6, not {len(folders)}')
    runtime = start(config.device, config.dtype, 'False')
    model, task, step, train_config = load_model(folders[0], runtime.device, config.checkpoint)
    runtime.for_inference(model)
    if config.loops and not is_looped(model.stages):
        raise UserError(f'{train_config.stages} holds no loop, so --loops does not apply to it')

    config.out_dir = config.out_dir or folders[0]
    os.makedirs(config.out_dir, exist_ok=True)
    tempfile.TemporaryFile(dir=config.out_dir).close()  # refused now, not after the work
    config.examples = min(config.examples, task.available(config.split))
    config.batch_size = min(config.batch_size or (16 if task.per_token else 1000), config.examples)

    step_rows = []
    if task.adaptive_loops and not config.loops:
        rows, step_rows = evaluate_rules(model, task, runtime, config)
    else:
        loop_counts = config.loops or (None,)
        if config.sweep:
            loop_counts = loop_counts_to_try(model.stages, config.loops)
        rows = evaluate(model, task, runtime, config.split, config.examples, config.batch_size, loop_counts)
    rows = [dict(step=step, split=config.split) | row for row in rows]

    if runtime.main:
        for row in rows:
            print(f"{train_config.stages}, {describe(row)}, {row['count']} {config.split} examples")
        write_results(task, config, rows, step_rows)
    if runtime.world > 1:
        torch.distributed.destroy_process_group()


def baseline_rows(task, split: str, examples: int) -> list[dict]:
    """Accuracy of the task's shortcuts on the same examples."""
    rows = []
    for difficulty in task.evaluated(split):
        right_counts = Counter()
        for first in range(0, examples, BASELINE_BATCH):
            batch = task.eval_batch(split, difficulty, first, min(first + BASELINE_BATCH, examples))
            for name, right in task.baselines(batch).items():
                right_counts[name] += int(right.sum())
        for name, n_right in right_counts.items():
            rows.append(dict(baseline=name, split=split, difficulty=difficulty, accuracy=n_right / examples,
                             count=examples))
    return rows


def write_results(task, config, rows: list[dict], step_rows: list[dict]):
    from plots.run_tables import loops_figure  # imports matplotlib, not needed before

    if step_rows:
        write_csv(os.path.join(config.out_dir, 'steps.csv'), step_rows)
    if config.split == 'test':
        baselines = baseline_rows(task, config.split, config.examples)
        write_csv(os.path.join(config.out_dir, 'baselines.csv'), baselines)
    write_csv(os.path.join(config.out_dir, f'{config.split}.csv'), rows)
    loops_figure(config.out_dir, config.split)


if __name__ == '__main__':
    with one_line_errors():
        main(sys.argv[1:])
