"""Draws a group composition (Saunshi et al. 2025, Thm 5.1): the product that each position holds, by loop."""
import numpy as np

from engine.errors import UserError
from plots.drawing import new_panels, save_and_announce
from plots.tables import PlotConfig, column, read_csv

COLUMNS = ('loop', 'position', 'first', 'last')  # a product's first and last factor, 0 of the identity
REMEDY = 'python theory.py writes one'


def make_composition_figure(files: list, config: PlotConfig):
    """Draws the first file, a CSV of theory.py, a cell for each product: the darker, the more factors."""
    rows = read_csv(files[0], remedy=REMEDY)
    if not rows or set(rows[0]) != set(COLUMNS):
        raise UserError(f'{files[0]} has no products by loop and position; {REMEDY}')
    loops = int(max(column(rows, 'loop')))
    n = int(max(column(rows, 'position')))
    axes = new_panels(1, width=0.9 + 0.82 * n, height=1.1 + 0.55 * loops)[0]

    factors = np.zeros((loops + 1, n + 1))
    for row in rows:
        loop, position, first, last = [int(row[name]) for name in COLUMNS]
        if first > 0:
            factors[loop, position] = last - first + 1
        axes.text(position, loop, product_name(first, last), ha='center', va='center')

    # a colour scale that ends beyond n keeps the names legible
    axes.imshow(factors, cmap='Blues', vmin=0, vmax=1.6 * n, aspect='auto')
    axes.set_title(f'{n} factors composed by one layer in {loops} loops')
    axes.set(xlabel='position', ylabel='after loop', xticks=range(n + 1), yticks=range(loops + 1))
    axes.tick_params(length=0)
    save_and_announce(axes.figure, config.out)


def product_name(first: int, last: int) -> str:
    """'g3', 'g3 g4' or 'g3 .. g6', as mathtext; 'e', the identity, where `first` is 0."""
    if first == 0:
        return 'e'
    if first == last:
        return f'$g_{{{first}}}$'
    between = ' ' if last == first + 1 else ' .. '
    return f'$g_{{{first}}}${between}$g_{{{last}}}$'
