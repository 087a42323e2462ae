"""When a looped model stops: the rules for full-answer prediction, and how well each of them does.

Fan et al. 2025, Sec. 4.3: the oracle knows how many loops a problem needs; the other rules look at how sure
the model is of its answer after every loop.
"""
import torch

from engine.evaluation import exact_match
from problems.task import IGNORE

RULES = (
    'oracle',
    'confidence',
    'confidence of the batch',
    'threshold',
    'threshold of the batch',
)
LOOPS_MIN = 3        # no rule but the oracle stops before; Eq. 2 of Fan et al. 2025 begins at 1 (D12)
LOOPS_MARGIN = 1.25  # T_max over the largest T of the problems; not stated in the paper (D12)
BATCH = 64           # samples that stop at one step under the rules 'of the batch', as in the authors' code


def confidence(logits, scored):
    """Mean cross entropy against the argmax of logits (B, T, V) over `scored` (B, T): (B,), in nats.

    The lower, the surer the model is. Fan et al. 2025, Eq. 2, prints arg max of this; the lowest is meant.
    """
    logits = logits.float()
    cross_entropy = logits.logsumexp(-1) - logits.amax(-1)  # (B, T)
    total = (cross_entropy * scored).sum(1)  # (B,)
    return total / scored.sum(1)


def chosen_steps(rule: str, confidences, needed, threshold: float, loops_min: int = 1):
    """The step, from 1, at which each sample stops (B,).

    confidences (T_max, B); needed (B,) is each sample's T. oracle: T itself, T_max at most. confidence: the
    surest step. threshold: the first step below it, else T_max (Fan et al. 2025, footnote 9). 'of the batch'
    takes the mean of every BATCH samples for each of them. No rule but the oracle stops before loops_min.
    """
    steps_max = len(confidences)
    if rule == 'oracle':
        return needed.clamp(max=steps_max)
    if rule.endswith('of the batch'):
        confidences = batch_means(confidences)

    confidences = confidences[loops_min - 1:]
    if rule.startswith('confidence'):
        return confidences.argmin(0) + loops_min
    below = confidences < threshold
    first_below = below.int().argmax(0) + loops_min
    ever_below = below.any(0)
    return torch.where(ever_below, first_below, steps_max)


def batch_means(confidences):
    """Each sample's confidence replaced by the mean of its BATCH samples, (T_max, B)."""
    means = []
    for part in confidences.split(BATCH, 1):
        mean = part.mean(1, keepdim=True)
        means.append(mean.expand_as(part))
    return torch.cat(means, 1)


def all_steps(model, runtime, batch, loops_max: int):
    """(confidences, right, needed): (T_max, B) twice and (B,), on the CPU, from one pass of T_max loops."""
    tokens, targets, needed = runtime.put(batch)
    scored = targets != IGNORE
    confidences = []
    right = []

    with runtime.autocast():
        for _, logits in model.logits_by_loop(tokens, loops_max):
            confidences.append(confidence(logits, scored))
            right.append(exact_match(logits, targets))

    confidences = torch.stack(confidences).cpu()
    right = torch.stack(right).cpu()
    return confidences, right, needed


@torch.inference_mode()
def evaluate_rules(model, task, runtime, split: str, examples: int, batch_size: int, loops_max: int,
                   threshold: float, loops_min: int = 1) -> tuple[list[dict], list[dict]]:
    """Rows by length and rule (loops: the mean of the steps used), and rows by length and step."""
    rule_rows = []
    step_rows = []
    for length in task.evaluated(split):
        lo, hi = runtime.slice(examples)
        parts = []
        for first in range(lo, hi, batch_size):
            last = min(first + batch_size, hi)
            batch = task.eval_batch(split, length, first, last)
            parts.append(all_steps(model, runtime, batch, loops_max))
        columns = zip(*parts, strict=True)
        confidences, right, needed = [torch.cat(column, -1) for column in columns]

        # where each sample stops, and whether its answer is right there
        for rule in RULES:
            steps = chosen_steps(rule, confidences, needed, threshold, loops_min)
            right_at_stop = right.gather(0, steps[None] - 1)  # (1, B)
            n_loops = steps.sum().item()
            n_right = right_at_stop.sum().item()
            means = shared_means(runtime, [n_loops, n_right], examples)
            row = dict(difficulty=length, rule=rule, loops=means[0], accuracy=means[1], count=examples)
            rule_rows.append(row)

        # after every step, whoever stops there
        accuracies = shared_means(runtime, right.sum(1).tolist(), examples)
        confidence_sums = confidences.sum(1).tolist()
        confidence_means = shared_means(runtime, confidence_sums, examples)
        needed_mean = shared_means(runtime, [needed.sum().item()], examples)[0]
        for t in range(loops_max):
            step_rows.append(dict(
                difficulty=length,
                step=t + 1,
                accuracy=accuracies[t],
                confidence=confidence_means[t],
                needed=needed_mean,
            ))
    return rule_rows, step_rows


def shared_means(runtime, sums: list, examples: int) -> list[float]:
    """Means over the examples of all processes, from the sums over those of this one."""
    totals = runtime.sum(*sums)
    return [total / examples for total in totals]
