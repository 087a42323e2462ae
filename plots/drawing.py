"""Figures: matplotlib without a window, the colours, panels side by side, legends, saving. The other modules
of this folder draw through this one, which alone imports matplotlib."""
import itertools
import os

os.environ['MPLBACKEND'] = 'Agg'  # before the import: a notebook's shell may name a backend that is not there

import matplotlib.pyplot as plt

COLORS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000')  # Okabe and Ito 2008


def new_panels(count: int, width: float, height: float, sharey=False, layout=None) -> list:
    """Returns the list of the `count` panels of a new figure, in one row, each of width x height inches."""
    figure = plt.figure(figsize=(count * width, height), layout=layout)
    return list(figure.subplots(1, count, squeeze=False, sharey=sharey)[0])


def colors_of(names) -> dict:
    """{name: colour} in the order of first appearance; after seven they repeat."""
    return dict(zip(dict.fromkeys(names), itertools.cycle(COLORS), strict=False))


def whole_number_ticks(axes):
    axes.xaxis.get_major_locator().set_params(integer=True)


def legend_below(panels: list):
    """One legend for all panels, outside of them."""
    handles = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles[label] = handle
    panels[0].figure.legend(handles.values(), handles, loc='outside lower center', ncols=6, fontsize=9,
                            frameon=False)


def save_figure(figure, path: str):
    """Writes the figure to `path`, whose folder is made where it is missing, and closes it."""
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    if not figure.get_layout_engine():
        figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def save_and_announce(figure, out: str):
    """Saves the figure as OUT.png and prints that path."""
    save_figure(figure, f'{out}.png')
    print(f'figure: {out}.png')
