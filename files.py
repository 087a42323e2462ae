"""Files that are whole or absent, whatever happens while they are written."""
import csv
import os


def write_atomically(path: str, write, mode='w'):
    """`write(file)` into a temporary file beside `path`, synced, moved over it: readers see old or new."""
    temporary = f'{path}.tmp'
    try:
        with open(temporary, mode, encoding=None if 'b' in mode else 'utf-8') as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


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
