"""Examples of tasks as prompts and answers."""
from problems.task import IGNORE


def prompts_and_answers(task, split='test', count=100):
    """(prompt tokens, answer tokens) of examples of every difficulty of a split."""
    for difficulty in task.evaluated(split):
        batch = task.eval_batch(split, difficulty, 0, count)
        for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
            end = (targets != IGNORE).argmax() + 1
            yield tokens[:end].tolist(), targets[targets != IGNORE].tolist()


def rows_of(batch) -> set:
    """The rows of a batch's tokens."""
    return {row.tobytes() for row in batch.tokens}
