"""When a looped model stops: the rules for full-answer prediction, and how well each of them does.
Fan et al. 2025, Sec. 4.3: the oracle knows how many loops a problem needs; the other rules look at how sure
the model is of its answer after every loop. The defaults of eval_tasks.py are those of the authors' code:
one of the steps 1 to T + 20 (T + 30 for multiplication and unique set) for all problems of a length."""
import torch

from engine.evaluation import exact_match, progress_bar
from problems.task import IGNORE

RULES = ('oracle', 'confidence', 'confidence of the batch', 'threshold', 'threshold of the batch')


def confidence(logits, answered):
    """Mean cross entropy against the argmax of logits (B, T, V) over `answered` (B, T): (B,), in nats.
    The lower, the surer the model is. Fan et al. 2025, Eq. 2, prints arg max of this; the lowest is meant."""
    logits = logits.float()
    cross_entropy = logits.logsumexp(-1) - logits.amax(-1)  # (B, T)
    total = (cross_entropy * answered).sum(1)  # (B,)
    return total / answered.sum(1)


def chosen_steps(rule: str, confidences, needed, threshold: float, loops_min: int = 1, group: int = 0):
    """The step, from 1, at which each sample stops (B,).
    confidences (T_max, B); needed (B,) is each sample's T. oracle: T itself, T_max at most. confidence: the
    surest step. threshold: the first step below it, else T_max (Fan et al. 2025, footnote 9). 'of the batch'
    takes the mean of `group` samples, 0: of all, for each of them. Only the oracle stops before loops_min."""
    steps_max = len(confidences)
    if rule == 'oracle':
        return needed.clamp(max=steps_max)
    if rule.endswith('of the batch'):
        parts = confidences.split(group or confidences.size(1), 1)
        means = [part.mean(1, keepdim=True).expand_as(part) for part in parts]
        confidences = torch.cat(means, 1)

    confidences = confidences[loops_min - 1:]
    if rule.startswith('confidence'):
        return confidences.argmin(0) + loops_min
    below = confidences < threshold
    first_below = below.int().argmax(0) + loops_min
    return torch.where(below.any(0), first_below, steps_max)


def all_steps(model, runtime, batch, loops_max: int):
    """(confidences, right, needed): (T_max, B) twice and (B,), on the CPU, from one pass of T_max loops.
    Confidence is that of all that is read, to the end of the row: no rule knows where the answer ends."""
    tokens, targets, needed = runtime.put(batch)
    answered = (targets != IGNORE).cumsum(1) > 0  # (B, T)
    confidences = []
    right = []
    with runtime.autocast():
        for _, logits in model.logits_by_loop(tokens, loops_max):
            confidences.append(confidence(logits, answered))
            right.append(exact_match(logits, targets))
    return torch.stack(confidences).cpu(), torch.stack(right).cpu(), needed


def all_examples(model, task, runtime, config, length: int, loops_max: int, bar):
    """What `all_steps` gives for all examples of a length, in every process; they share the work."""
    confidences = torch.zeros(loops_max, config.examples, dtype=torch.float64)
    right = torch.zeros_like(confidences)
    needed = torch.zeros(config.examples, dtype=torch.long)
    lo, hi = runtime.slice(config.examples)
    for first in range(lo, hi, config.batch_size):
        last = min(first + config.batch_size, hi)
        batch = task.eval_batch(config.split, length, first, last)
        part = all_steps(model, runtime, batch, loops_max)
        confidences[:, first:last] = part[0]
        right[:, first:last] = part[1]
        needed[first:last] = part[2]
        bar.update()

    if runtime.world > 1:
        for numbers in (confidences, right, needed):
            torch.distributed.all_reduce(numbers, group=runtime.control)
    return confidences, right, needed


@torch.inference_mode()
def evaluate_rules(model, task, runtime, config) -> tuple[list[dict], list[dict]]:
    """Rows by length and rule (loops: the mean of the steps used), and rows by length and step.
    config: split, examples, batch_size and the options of stopping rules, as in eval_tasks.py."""
    lengths = task.evaluated(config.split)
    margin = config.loops_margin or task.loops_margin
    rule_rows = []
    step_rows = []
    with progress_bar(runtime, lengths, config.examples, config.batch_size) as bar:
        for length in lengths:
            loops_max = config.loops_max
            if not loops_max:
                some = task.eval_batch(config.split, length, 0, min(100, config.examples))
                loops_max = max(int(some.loops.max()) + margin, config.loops_min)
            confidences, right, needed = all_examples(model, task, runtime, config, length, loops_max, bar)

            # where each sample stops, and whether its answer is right there
            for rule in RULES:
                steps = chosen_steps(rule, confidences, needed, config.threshold, config.loops_min,
                                     config.group)
                right_at_stop = right.gather(0, steps[None] - 1)  # (1, B)
                rule_rows.append(dict(difficulty=length, rule=rule, loops=steps.double().mean().item(),
                                      accuracy=right_at_stop.mean().item(), count=config.examples))

            # after every step, whoever stops there
            for t in range(loops_max):
                step_rows.append(dict(difficulty=length, step=t + 1, accuracy=right[t].mean().item(),
                                      confidence=confidences[t].mean().item(),
                                      needed=needed.double().mean().item()))
    return rule_rows, step_rows
