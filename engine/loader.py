"""Batches made ahead by worker processes, in the order of the steps whatever the number of workers."""
import signal

from torch.utils.data import DataLoader, Dataset

from engine.errors import UserError, in_one_line

AHEAD = 4  # steps in a request to a worker: one at a time costs up to 5% of a step of 25 ms


class StepBatches(Dataset):
    """This process's part of the batches of AHEAD steps, by the first of them."""

    def __init__(self, run):
        self.task = run.task
        self.seed = run.config.seed
        self.batch_size = run.config.batch_size
        self.max_steps = run.config.max_steps
        self.lo, self.hi = run.runtime.slice(run.config.batch_size)

    def __len__(self):
        return self.max_steps

    def __getitem__(self, first: int):
        """The batches, or what the user reads of an error: torch would add a worker's traceback to it."""
        try:
            return self.batches_from(first)
        except (UserError, OSError, ValueError, MemoryError) as error:
            return UserError(in_one_line(error) or str(error))

    def batches_from(self, first: int) -> list:
        batches = []
        for step in range(first, min(first + AHEAD, self.max_steps)):
            batches.append(self.task.train_batch(self.seed, step, self.batch_size, self.lo, self.hi))
        return batches


def leave_signals_to_the_parent(worker: int):
    """A scheduler signals all processes of a job; the workers are needed until the run has been saved."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def as_numpy(batch):
    """No conversion to tensors: numpy arrays come through the workers' pipe in half the time."""
    return batch


def batches_ahead(run):
    """Yields batches from the run's step on, made ahead by worker processes, in order whatever their number.
    Closing the generator ends the workers. UserError where a worker is killed, or a batch cannot be made."""
    workers = run.config.data_workers
    loader = DataLoader(StepBatches(run), sampler=range(run.step, run.config.max_steps, AHEAD),
                        batch_size=None, num_workers=workers, prefetch_factor=2 if workers else None,
                        worker_init_fn=leave_signals_to_the_parent, collate_fn=as_numpy)
    iterator = iter(loader)
    if workers:
        # torch's handler would raise the error of a killed worker in the middle of a step; without it the
        # next call finds the worker gone.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        for batches in iterator:
            if isinstance(batches, UserError):
                raise batches
            yield from batches
    except RuntimeError as error:
        if 'exited unexpectedly' not in str(error):
            raise
        raise UserError('a process that makes batches was killed (out of memory?); the run is saved up to '
                        'here: --resume=auto goes on, --data_workers=0 takes no such process') from None
    finally:
        if workers:
            iterator._shutdown_workers()  # they heed no signal, so Python would wait for them for ever
