"""Batches made ahead by worker processes, in the order of the steps whatever the number of workers."""
import signal

from torch.utils.data import DataLoader, Dataset

AHEAD = 4  # steps in a request to a worker: one at a time costs up to 5% of a step of 25 ms


class StepBatches(Dataset):
    """This process's part of the batches of AHEAD steps, by the first of them."""

    def __init__(self, run):
        self.task, self.config = run.task, run.config
        self.lo, self.hi = run.runtime.slice(run.config.batch_size)

    def __len__(self):
        return self.config.max_steps

    def __getitem__(self, first: int):
        c = self.config
        return [self.task.train_batch(c.seed, step, c.batch_size, c.train_examples, self.lo, self.hi)
                for step in range(first, min(first + AHEAD, c.max_steps))]


def leave_signals_to_the_parent(worker: int):
    """A scheduler signals all processes of a job; the workers are needed until the run has been saved."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def as_it_is(batch):
    """No conversion to tensors: numpy arrays come through the workers' pipe in half the time."""
    return batch


def batches_ahead(run):
    """Yields batches from the run's step on, made ahead by worker processes, in order whatever their number.

    Closing the generator ends the workers.
    """
    workers = run.config.data_workers
    firsts = range(run.step, run.config.max_steps, AHEAD)
    for batches in DataLoader(StepBatches(run), sampler=firsts, batch_size=None, num_workers=workers,
                              prefetch_factor=2 if workers else None,
                              worker_init_fn=leave_signals_to_the_parent, collate_fn=as_it_is):
        yield from batches
