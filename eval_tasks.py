"""Accuracy of a trained model by difficulty and by loops, past the trained depth too.

    python eval_tasks.py out/ghop_1x6 --loops=1,2,4,6,8,12

Writes test.csv (step, split, difficulty, loops, loss, accuracy, count), baselines.csv (shortcuts that do not
solve the task, on the same examples) and a figure into the run's folder. A model whose loops adapt to the
problem (B) is asked under every stopping rule: test.csv has a row for each, steps.csv one for each step.
"""
import os
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F

import plot
from engine.checkpoint import load_model
from engine.configurator import UserError, configure, one_line_errors
from engine.files import write_csv
from engine.logs import describe
from engine.runtime import start
from engine.stopping import LOOPS_MIN, evaluate_rules, exact_match
from problems.task import IGNORE
from stages import is_looped, parse_stages, sweepable, trained_loops


@dataclass
class EvalConfig:
    # --- what to evaluate
    checkpoint: str = 'best.pt'                        # file in the run's folder: best.pt or ckpt.pt
    split: Literal['test', 'val'] = 'test'             # examples never seen in training, either way
    loops: tuple[int, ...] = ()                        # loop counts (default: 1 to twice the trained count)
    sweep: bool = True                                 # False: at the trained loop count only
    examples: int = 10_000                             # for each difficulty
    batch_size: int = 0                                # examples at a time; 0: 1000, of a text 16
    loops_min: int = LOOPS_MIN                         # adaptive: no rule but the oracle stops before
    loops_max: int = 0                                 # adaptive: T_max; 0: 1.25 times the largest T tested
    threshold: float = 0.001                           # adaptive: of the rule that stops below it, in nats
    # --- where
    device: Literal['auto', 'cpu', 'cuda'] = 'auto'    # auto: a GPU if there is one
    dtype: Literal['auto', 'float32', 'bfloat16'] = 'auto'  # auto: bfloat16 where the hardware is fast at it

    def check(self):
        if self.examples < 1 or self.batch_size < 0:
            raise ValueError('examples must be at least 1, batch_size not negative')
        if self.loops_min < 1 or self.threshold <= 0 or self.loops_max and self.loops_max < self.loops_min:
            raise ValueError('loops_min must be at least 1, loops_max no less (or 0), threshold positive')
        if self.loops and min(self.loops) < 0:
            raise ValueError(f'loops={self.loops}: a loop count cannot be negative')


def evaluate(model, task, runtime, split: str, examples: int, batch_size: int, loops=(None,)) -> list[dict]:
    """Rows (difficulty, loops, loss, accuracy, count) by difficulty and loop count, on the task's fixed set.

    An example is right when all of its scored targets are (greedy decoding of the answer would be right);
    loss is the mean cross entropy of a scored target, nats. Processes share examples; the rows are the same.
    """
    was_training, examples = model.training, min(examples, task.available(split))
    model.eval()
    rows = []
    with torch.inference_mode():
        for difficulty in task.evaluated(split):
            sums = {n: torch.zeros(3, dtype=torch.float64, device=runtime.device) for n in loops}
            lo, hi = runtime.slice(examples)
            for first in range(lo, hi, batch_size):
                batch = task.eval_batch(split, difficulty, first, first + batch_size)  # of one shape, always
                with runtime.autocast():
                    own = min(batch_size, hi - first)
                    for n, scores in score_batch(model, task, runtime.put(batch), own, loops):
                        sums[n] += scores
            for n in loops:
                loss, targets_scored, right = runtime.sum(*sums[n].tolist())
                loss = loss / targets_scored
                row = dict(difficulty=difficulty, loops=trained_loops(model.stages) if n is None else n,
                           loss=loss, accuracy=right / examples, count=examples)
                if task.per_token:
                    row |= dict(accuracy='', bits_per_byte=task.bits_per_byte(loss))
                rows.append(row)
    model.train(was_training)
    return rows


def score_batch(model, task, batch, own: int, loops):
    """Yields (loop count, scores (3,)) of the first `own` examples of a batch; see `score`.

    Of language models only the loss is taken: logits of a large vocabulary are never all there at once.
    """
    tokens, targets, own_loops = batch
    targets[own:] = IGNORE
    if task.per_token:
        scored = (targets != IGNORE).sum().double()
        yield from ((n, torch.stack([model(tokens, targets, n).double(), scored, 0 * scored])) for n in loops)
        return
    for n, logits in logits_at(model, tokens, loops, own_loops):
        yield n, score(logits[:own], targets[:own])


def logits_at(model, tokens, loops, own=None):
    """Yields (loop count, logits) for each of `loops`, in one pass where there are several.

    None stands for each sample's own count (B,), or for the model's where there is no own.
    """
    if len(loops) == 1 or 0 in loops:
        yield from ((n, model(tokens, n_loops=own if n is None else n)) for n in loops)
        return
    for n, logits in model.logits_by_loop(tokens, max(loops)):
        if n in loops:
            yield n, logits


def score(logits, targets):
    """(summed cross entropy, scored targets, examples with all of them right) of one batch, float64 (3,)."""
    scored = targets != IGNORE
    loss = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORE,
                           reduction='none')
    right = exact_match(logits, targets).double().sum()
    return torch.stack([loss.double().sum(), scored.double().sum(), right])


def baseline_rows(task, split: str, examples: int) -> list[dict]:
    """Accuracy of the task's shortcuts on the same examples."""
    rows = []
    for difficulty in task.evaluated(split):
        sums = Counter()
        for first in range(0, examples, 10_000):
            batch = task.eval_batch(split, difficulty, first, min(first + 10_000, examples))
            sums.update({name: int(right.sum()) for name, right in task.baselines(batch).items()})
        rows += [dict(baseline=name, split=split, difficulty=difficulty, accuracy=right / examples,
                      count=examples) for name, right in sums.items()]
    return rows


def main(argv):
    config, folders = configure(EvalConfig, argv, __doc__, positional='folder')
    if len(folders) != 1:
        raise UserError(f'give one folder of a run, such as out/ghop_1x6, not {len(folders)}')
    folder = folders[0]
    runtime = start(config.device, config.dtype, 'False')
    model, task, step, trained = load_model(folder, runtime.device, config.checkpoint)
    runtime.for_inference(model)
    stages = parse_stages(trained.stages)
    if config.loops and not is_looped(stages):
        raise UserError(f'{trained.stages} holds no loop, so --loops does not apply to it')
    config.examples = min(config.examples, task.available(config.split))
    config.batch_size = config.batch_size or (16 if task.per_token else 1000)
    baselines = baseline_rows(task, config.split, config.examples)
    if task.adaptive_loops and not config.loops:
        rows = by_rule(folder, model, task, runtime, config)
    else:
        rows = by_loops(model, task, runtime, config, stages)
    rows = [dict(step=step, split=config.split) | row for row in rows]
    for row in rows if runtime.main else ():
        print(f"{trained.stages}, {describe(row)}, {row['count']} {config.split} examples")
    if runtime.main:
        if config.split == 'test':
            write_csv(os.path.join(folder, 'baselines.csv'), baselines)
        write_csv(os.path.join(folder, f'{config.split}.csv'), rows)
        plot.loops_figure(folder, config.split)
    if runtime.world > 1:
        torch.distributed.destroy_process_group()


def by_loops(model, task, runtime, config, stages) -> list[dict]:
    """Accuracy at each loop count."""
    loops = (None,)
    if config.loops or config.sweep and sweepable(stages):
        loops = config.loops or tuple(range(1, 2 * trained_loops(stages) + 1))
    return evaluate(model, task, runtime, config.split, config.examples, config.batch_size, loops)


def by_rule(folder: str, model, task, runtime, config) -> list[dict]:
    """Accuracy under each stopping rule; what every step gives goes to steps.csv."""
    longest = task.eval_batch(config.split, max(task.evaluated(config.split)), 0, 1000)
    loops_max = config.loops_max or int(1.25 * longest.loops.max())
    rows, steps = evaluate_rules(model, task, runtime, config.split, config.examples, config.batch_size,
                                 max(loops_max, config.loops_min), config.threshold, config.loops_min)
    if runtime.main:
        write_csv(os.path.join(folder, 'steps.csv'), steps)
    return rows


if __name__ == '__main__':
    with one_line_errors():
        main(sys.argv[1:])
