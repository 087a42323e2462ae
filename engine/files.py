"""Files that are whole or absent, whatever happens while they are written; and the library of data sets."""
import csv
import os
import tempfile

from engine.errors import UserError

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # the project's folder


def write_atomically(path: str, write, mode='w'):
    """`write(file)` into a temporary file beside `path`, synced, moved over it: readers see old or new."""
    temporary = f'{path}.tmp'
    encoding = None if 'b' in mode else 'utf-8'
    try:
        with open(temporary, mode, encoding=encoding) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.errno and not error.filename:  # a full disk does not say whose
            error.filename = path
        raise
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def check_writable(folder: str):
    """OSError where no file could be written into a folder, which need not exist; leaves nothing there."""
    existing = os.path.abspath(folder)
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, existing) from None


def import_datasets():
    """The package datasets, without progress bars and its many lines about a network that is not there."""
    os.environ.setdefault('HF_UPDATE_DOWNLOAD_COUNTS', '0')  # or it reports each local file to a server
    try:
        import datasets
        from huggingface_hub.utils import logging
    except ImportError:
        raise UserError("data sets need datasets and zstandard: pip install -e '.[data]'") from None
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)  # what it logs as an error it raises, too
    logging.set_verbosity_error()
    return datasets


def read_rows(path: str) -> list[dict]:
    """The rows of a CSV file as they were written, all values strings; [] where there is none."""
    if not os.path.exists(path):
        return []
    with open(path, encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))


def write_csv(path: str, rows: list[dict]):
    """Rows of the same keys, which are the header; the folder is made where it is missing."""
    def write(file):
        writer = csv.DictWriter(file, rows[0], lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)

    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    write_atomically(path, write)


def lock_folder(folder: str) -> int | None:
    """A descriptor that keeps a run's folder to this process until it is closed; UserError if it is taken."""
    try:
        import fcntl
    except ImportError:  # Windows has no such locks
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UserError(f'another run is writing to {folder}; wait for its end, or name another '
                        '--out_dir') from None
    return descriptor
