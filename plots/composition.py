"""The drawing of one group composition (A, Thm 5.1), loop by loop: the product that each position holds.

    python plot.py composition results/theory_group.csv --out=results/theory_group
"""
import matplotlib.pyplot as plt

from engine.configurator import UserError
from plots.drawing import read_csv, save


def composition(files: list[str], config):
    """Rows are loops, columns positions; the darker, the more factors. Rows of the CSV are theory.py's."""
    rows = read_csv(files[0], 'python theory.py writes one')
    if not rows or set(rows[0]) != {'loop', 'position', 'first', 'last'}:
        raise UserError(f'{files[0]} has no products by loop and position; python theory.py writes one')
    rows = [{name: int(value) for name, value in row.items()} for row in rows]
    loops, n = max(row['loop'] for row in rows), max(row['position'] for row in rows)
    figure, axes = plt.subplots(figsize=(0.9 + 0.82 * n, 1.1 + 0.55 * loops))
    held = [[0] * (n + 1) for _ in range(loops + 1)]
    for row in rows:
        held[row['loop']][row['position']] = 1 + row['last'] - row['first'] if row['first'] else 0
        axes.text(row['position'], row['loop'], product(row['first'], row['last']), ha='center', va='center')
    axes.imshow(held, cmap='Blues', vmin=0, vmax=1.6 * n, aspect='auto')
    axes.set(xticks=range(n + 1), yticks=range(loops + 1), xlabel='position', ylabel='after loop',
             title=f'{n} factors composed by one layer in {loops} loops')
    axes.tick_params(length=0)
    save(figure, f'{config.out}.png')
    print(f'figure: {config.out}.png')


def product(first: int, last: int) -> str:
    """'e', 'g3', 'g3 g4' or 'g3 .. g6'."""
    names = [f'$g_{{{i}}}$' for i in range(first, last + 1)] if first else ['e']
    return ' '.join(names) if len(names) < 3 else f'{names[0]} .. {names[-1]}'
