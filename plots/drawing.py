"""What every table and figure needs: its one option class, CSV files, Markdown, colours, saving."""
import csv
import json
import os
from dataclasses import dataclass

import matplotlib
import matplotlib.pyplot as plt

from engine.configurator import UserError
from engine.files import write_atomically, write_csv

matplotlib.use('Agg')
COLORS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000')  # Okabe and Ito 2008


@dataclass
class PlotConfig:
    # --- output
    out: str = 'out/demo'  # path without its ending: .md, .csv and .png are added
    paper: str = ''        # table: CSV of the paper's numbers, shown beside ours
    first_step: int = 0    # isoplot: points from this step on; A's begin at 120,000


def read_csv(path: str, remedy='run train.py and then eval_tasks.py on that folder') -> list[dict]:
    """The rows of a CSV file, numbers as floats. UserError, with the remedy, where it cannot be read."""
    def value(text):
        try:
            return float(text)
        except ValueError:
            return text
    try:
        with open(path, encoding='utf-8', newline='') as file:
            return [{key: value(text) for key, text in row.items()} for row in csv.DictReader(file)]
    except OSError as error:
        raise UserError(f'{path}: {error.strerror}; {remedy}') from None


def read_config(folder: str) -> dict:
    """A run's config.json: its fields under 'config', its size and circumstances under 'about'."""
    try:
        with open(os.path.join(folder, 'config.json'), encoding='utf-8') as file:
            return json.load(file)
    except OSError as error:
        raise UserError(f'{folder}/config.json: {error.strerror}') from None


def save(figure, path: str):
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    if not figure.get_layout_engine():
        figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def markdown_table(head: list[str], rows: list[list[str]], left=1) -> str:
    """A Markdown table whose first `left` columns are of words, the others of numbers."""
    lines = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * left + '---:|' * (len(head) - left)]
    return '\n'.join(lines + ['| ' + ' | '.join(row) + ' |' for row in rows])


def write_table(rows: list[dict], text: str, out: str):
    """OUT.csv of the rows, OUT.md of the text, which is printed too."""
    write_csv(f'{out}.csv', rows)
    write_atomically(f'{out}.md', lambda file: file.write(text + '\n'))
    print(f'{text}\n\nrows: {out}.csv')
