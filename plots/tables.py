"""Tables: the options of plot.py, reading and writing rows as CSV, grouping them, tables in Markdown."""
import csv
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


def read_csv(*parts: str, remedy='run train.py and then eval_tasks.py on that folder') -> list:
    """The rows of the CSV file at the joined parts, numbers as floats; UserError where it cannot be read."""
    path = os.path.join(*parts)
    try:
        with open(path, encoding='utf-8', newline='') as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise UserError(f'{path}: {error.strerror}; {remedy}') from None

    for row in rows:
        for name, text in row.items():
            with suppress(ValueError):  # words stay as they are
                row[name] = float(text)  # 'nan' and 'inf' too
    return rows


def column(rows: list, name: str) -> list:
    """The values that the rows have under `name`."""
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
