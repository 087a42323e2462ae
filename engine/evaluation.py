"""Evaluation on a task's fixed examples: loss and accuracy by difficulty and loop count."""
import math
from typing import Annotated

import torch
import torch.nn.functional as F
from tqdm import tqdm

from engine.configurator import Bounds
from problems.task import IGNORE
from stages import sweepable, trained_loops

LoopCount = Annotated[int, Bounds(0, 10_000, '0 to 10000')]  # of `configure`
LoopCounts = tuple[LoopCount, ...]
BAR_DELAY = 5  # seconds that an evaluation takes before its progress is shown


def loop_counts_to_try(stages, wanted=()) -> tuple:
    """The wanted loop counts, by default 1 to twice the trained one; (None,), which stands for the trained
    counts, where there is no loop or several of different counts."""
    if wanted:
        return wanted
    if not sweepable(stages):
        return (None,)
    return tuple(range(1, 2 * trained_loops(stages) + 1))


def progress_bar(runtime, difficulties, examples: int, batch_size: int) -> tqdm:
    """Counts the batches of all difficulties, on a terminal, where the evaluation takes long."""
    n_batches = len(difficulties) * math.ceil(runtime.share(examples) / batch_size)
    hidden = None if runtime.main else True  # None: unless it is a terminal
    return tqdm(total=n_batches, delay=BAR_DELAY, leave=False, disable=hidden)


def evaluate(model, task, runtime, split: str, examples: int, batch_size: int, loop_counts=(None,),
             stop=None) -> list[dict] | None:
    """Rows (difficulty, loops, loss, accuracy, count), one for each difficulty and loop count.
    The count None stands for the trained one, or for each sample's T where loops are adaptive. An example is
    right when all of its scored targets are, as greedy decoding of its answer would be. The loss is the mean
    cross entropy of a scored target, in nats. Processes share the examples; their number changes no row.
    No rows but None where stop(), called before each batch, is true in any process."""
    was_training = model.training
    model.eval()
    examples = min(examples, task.available(split))
    difficulties = task.evaluated(split)
    rows = []
    with torch.inference_mode(), progress_bar(runtime, difficulties, examples, batch_size) as bar:
        for difficulty in difficulties:
            sums = score_examples(model, task, runtime, split, difficulty, examples, batch_size, loop_counts,
                                  stop, bar)
            if sums is None:
                rows = None
                break
            for n_loops, (loss_sum, n_targets, n_right) in sums.items():
                loss = loss_sum / n_targets
                row = dict(difficulty=difficulty,
                           loops=trained_loops(model.stages) if n_loops is None else n_loops, loss=loss,
                           accuracy=n_right / examples, count=examples)
                if task.per_token:  # every token has its own loss, and none has to be right
                    row['accuracy'] = ''
                    row['bits_per_byte'] = task.bits_per_byte(loss, examples)
                rows.append(row)

    model.train(was_training)
    return rows


def score_examples(model, task, runtime, split: str, difficulty, examples: int, batch_size: int, loop_counts,
                   stop, bar) -> dict | None:
    """{loop count: [loss, targets, right], summed over the first examples of a difficulty}; see `score`.
    None where a process was told to stop; all of them learn of it here."""
    sums = {n_loops: torch.zeros(3, dtype=torch.float64, device=runtime.device) for n_loops in loop_counts}
    stopped = False
    lo, hi = runtime.slice(examples)
    for first in range(lo, hi, batch_size):
        stopped = bool(stop and stop())
        if stopped:
            break
        # A last batch of the common size keeps shapes the same; the examples past hi do not count.
        batch = task.eval_batch(split, difficulty, first, first + batch_size)
        n_counted = min(batch_size, hi - first)
        with runtime.autocast():
            for n_loops, scores in score_batch(model, task, runtime.put(batch), n_counted, loop_counts):
                sums[n_loops] += scores
        bar.update()

    totals = {n_loops: runtime.sum(*scores.tolist()) for n_loops, scores in sums.items()}
    return None if runtime.sum(stopped)[0] else totals


def score_batch(model, task, batch, n_counted: int, loop_counts):
    """Yields (loop count, scores (3,)) of the first n_counted examples of a batch; see `score`.
    Language models are scored by their loss alone: the logits of a large vocabulary are never all held."""
    tokens, targets, sample_loops = batch  # (B, T), (B, T), (B,) or None
    targets[n_counted:] = IGNORE

    if task.per_token:
        n_targets = (targets != IGNORE).sum().double()
        n_right = torch.zeros_like(n_targets)
        for n_loops in loop_counts:
            loss = model(tokens, targets, n_loops).double()
            yield n_loops, torch.stack([loss, n_targets, n_right])
        return

    for n_loops, logits in logits_at(model, tokens, loop_counts, sample_loops):
        yield n_loops, score(logits[:n_counted], targets[:n_counted])


def logits_at(model, tokens, loop_counts, sample_loops=None):
    """Yields (loop count, logits (B, T, V)) for each loop count, in one pass where there are several.
    None stands for each sample's own count, sample_loops (B,), or for the model's where these are None."""
    if len(loop_counts) == 1 or 0 in loop_counts:  # the single pass begins after the first loop
        for n_loops in loop_counts:
            yield n_loops, model(tokens, n_loops=sample_loops if n_loops is None else n_loops)
        return

    for n_loops, logits in model.logits_by_loop(tokens, max(loop_counts)):
        if n_loops in loop_counts:
            yield n_loops, logits


def score(logits, targets):
    """Summed cross entropy, scored targets, and examples right in all of them, of logits (B, T, V): (3,)."""
    scored = targets != IGNORE
    losses = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORE,
                             reduction='none')  # (B * T,)
    n_right = exact_match(logits, targets).double().sum()
    return torch.stack([losses.double().sum(), scored.double().sum(), n_right])


def exact_match(logits, targets):
    """Whether the argmax of logits (B, T, V) is right at every scored target (B, T): (B,)."""
    matches = logits.argmax(-1) == targets  # (B, T)
    return (matches | (targets == IGNORE)).all(1)
