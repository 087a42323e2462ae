"""Tables: the options of plot.py, reading and writing rows as CSV, grouping them, tables in Markdown."""
import csv
import math
import os
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter

from engine.errors import UserError
from engine.files import write_atomically, write_csv


@dataclass
class PlotConfig:
    # --- output
    out: str = 'out/demo'  # path without its ending: .md, .csv and .png are added
    paper: str = ''        # table: CSV of the paper's numbers, shown beside ours
    first_step: int = 0    # isoplot: points from this step on; the paper's begin at 120,000


# Columns that hold a finite number in every row, or nothing.
NUMBERS = set('step loops loss accuracy bits_per_byte count difficulty ms_per_step score shots layer cosine '
              'standard_error loop position first last'.split())


class Row(dict):
    """A row of the CSV file at `path`; to ask for a column that it does not have is a UserError."""

    def __init__(self, path: str, values: dict):
        super().__init__(values)
        self.path = path

    def __missing__(self, name: str):
        raise UserError(f'{self.path} has no column {name!r}')


def read_csv(*parts: str, remedy='run train.py and then eval_tasks.py on that folder') -> list:
    """The rows of the CSV file at the joined parts, numbers as floats; UserError where it is not whole."""
    path = os.path.join(*parts)
    try:
        with open(path, encoding='utf-8', newline='') as file:
            rows = [Row(path, row) for row in csv.DictReader(file, strict=True)]
    except OSError as error:
        raise UserError(f'{path}: {error.strerror}; {remedy}') from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f'{path} is no whole CSV file ({error}); {remedy}') from None
    if not rows:
        raise UserError(f'{path} has no rows; {remedy}')

    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():  # more cells than the header has, or fewer
            raise UserError(f'{path}: row {number} is cut or too long; {remedy}')
        for name, text in row.items():
            with suppress(ValueError):  # words stay as they are
                row[name] = float(text)
            is_number = isinstance(row[name], float) and math.isfinite(row[name])
            if name in NUMBERS and text and not is_number:
                raise UserError(f'{path}: row {number} has {name}={text!r}, which is no number')
    return rows


def column(rows: list, name: str) -> list:
    return [row[name] for row in rows]


def percents(rows: list) -> list:
    """The accuracies of the rows, in percent."""
    return [100 * row['accuracy'] for row in rows]


def group_rows(rows: list, *names: str) -> dict:
    """Groups rows by one column, {value: rows}, or by several, {(value, ...): rows}, in order."""
    key = itemgetter(*names)  # of one name its value, of several a tuple
    groups = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def markdown_table(head: list, rows: list[list], left=1) -> str:
    """A Markdown table whose first `left` columns hold words, the others numbers."""
    lines = ['| ' + ' | '.join(cells) + ' |' for cells in [head, *rows]]
    lines.insert(1, '|' + '---|' * left + '---:|' * (len(head) - left))  # a colon aligns right
    return '\n'.join(lines)


def write_table(rows: list, text: str, out: str):
    """Writes the rows to OUT.csv and the text to OUT.md, and prints the text."""
    write_csv(f'{out}.csv', rows)
    write_atomically(f'{out}.md', lambda file: file.write(text + '\n'))
    print(f'{text}\n\nrows: {out}.csv')
