"""When a looped model stops: the rules for full-answer prediction (B, Sec. 4.3), and how well they do."""
import torch

from problems.task import IGNORE

RULES = ('oracle', 'confidence', 'confidence of the batch', 'threshold', 'threshold of the batch')
LOOPS_MIN = 3  # no rule but the oracle stops before (README.md, D12); 1 is B's Eq. 2
BATCH = 64  # problems that take one step together under the rules 'of the batch', as in B's code


def confidence(logits, scored):
    """Mean cross entropy of logits (B, T, V) against their own argmax over `scored` (B, T): (B,), in nats.

    B, Eq. 2, prints arg max of this; the lowest is meant, where the model is surest of its answer.
    """
    logits = logits.float()
    surprise = logits.logsumexp(-1) - logits.amax(-1)
    return (surprise * scored).sum(1) / scored.sum(1)


def exact_match(logits, targets):
    """Whether the argmax of logits (B, T, V) is right at every scored target (B, T): (B,)."""
    return ((logits.argmax(-1) == targets) | (targets == IGNORE)).all(1)


def chosen_steps(rule: str, confidences, own, threshold: float, loops_min: int = 1):
    """The step, from 1, at which each sample stops (B,): confidences (T_max, B), own the true T (B,).

    oracle: T itself, T_max at most. confidence: the surest step. threshold: the first step below it, else
    T_max (B, footnote 9). Either for each sample, or for the mean of every BATCH samples (B's code). No rule
    but the oracle takes a step before loops_min.
    """
    steps_max = len(confidences)
    if rule == 'oracle':
        return own.clamp(max=steps_max)
    if rule.endswith('of the batch'):
        parts = confidences.split(BATCH, 1)
        confidences = torch.cat([part.mean(1, keepdim=True).expand_as(part) for part in parts], 1)
    confidences = confidences[loops_min - 1:]
    if rule.startswith('confidence'):
        return confidences.argmin(0) + loops_min
    below = confidences < threshold
    return torch.where(below.any(0), below.int().argmax(0) + loops_min, steps_max)


def all_steps(model, runtime, batch, loops_max: int):
    """(confidences, right, T): (loops_max, B) twice and (B,), on the CPU, from one pass."""
    tokens, targets, own = runtime.put(batch)
    scored = targets != IGNORE
    confidences, right = [], []
    with runtime.autocast():
        for _, logits in model.logits_by_loop(tokens, loops_max):
            confidences.append(confidence(logits, scored))
            right.append(exact_match(logits, targets))
    return torch.stack(confidences).cpu(), torch.stack(right).cpu(), own


@torch.inference_mode()
def evaluate_rules(model, task, runtime, split: str, examples: int, batch_size: int, loops_max: int,
                   threshold: float, loops_min: int = 1) -> tuple[list[dict], list[dict]]:
    """Rows by length and rule (loops: the mean of the steps used), and rows by length and step."""
    by_rule, by_step = [], []
    for length in task.evaluated(split):
        lo, hi = runtime.slice(examples)
        parts = [all_steps(model, runtime, task.eval_batch(split, length, first, min(first + batch_size, hi)),
                           loops_max) for first in range(lo, hi, batch_size)]
        confidences, right = (torch.cat([part[i] for part in parts], 1) for i in range(2))
        own = torch.cat([part[2] for part in parts])
        for rule in RULES:
            steps = chosen_steps(rule, confidences, own, threshold, loops_min)
            hits, used = runtime.sum(right.gather(0, steps[None] - 1).sum().item(), steps.sum().item())
            by_rule.append(dict(difficulty=length, rule=rule, loops=used / examples, accuracy=hits / examples,
                                count=examples))
        sums = runtime.sum(own.sum().item(), *right.sum(1).tolist(), *confidences.sum(1).tolist())
        by_step += [dict(difficulty=length, step=t + 1, accuracy=sums[1 + t] / examples,
                         confidence=sums[1 + loops_max + t] / examples, needed=sums[0] / examples)
                    for t in range(loops_max)]
    return by_rule, by_step
