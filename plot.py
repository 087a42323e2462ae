"""Makes every table and figure from the CSV files that training and evaluation leave in the folders of runs.

    python plot.py demo out/demo_1x1 out/demo_1x4 out/demo_4x1 --out=out/demo

prints the table of these runs and writes it, its CSV and its figure: OUT.md, OUT.csv, OUT.png. In place of
`demo`, `table` makes the table alone, with the paper's numbers where --paper names a CSV of them.

Fan et al. 2025: `lengths` draws accuracy against length, a line for each method (Fig. 4 and 5), and `steps`
accuracy and confidence after every loop (Fig. 6).

Saunshi et al. 2025: of language models, `text` tables bits per byte, `downstream` makes Tables 3 and 4 and
`tasks` Tables 5 to 8; `isoplot` draws scores against log perplexity (Fig. 1), `scaling` against log depth,
`similarity` how alike the layers of regularized runs are (Fig. 2). `composition` draws Thm 5.1 from the CSV
that theory.py writes.

Runs that differ by their seed only are one row or line: mean and spread over seeds.
"""
import os
import sys

from engine.configurator import configure
from engine.errors import UserError, one_line_errors
from plots.composition import make_composition_figure
from plots.downstream_tables import make_downstream_table, make_task_tables
from plots.language_models import make_similarity_figure, make_text_table
from plots.length_figures import make_length_figure, make_step_figure
from plots.run_tables import make_demo, make_run_table
from plots.score_lines import make_isoplot, make_scaling_figure
from plots.tables import PlotConfig

FIGURES = {
    'demo': make_demo,
    'table': make_run_table,
    'lengths': make_length_figure,
    'steps': make_step_figure,
    'similarity': make_similarity_figure,
    'text': make_text_table,
    'downstream': make_downstream_table,
    'tasks': make_task_tables,
    'isoplot': make_isoplot,
    'scaling': make_scaling_figure,
    'composition': make_composition_figure,
}


def main(argv):
    config, words = configure(PlotConfig, argv, __doc__, positional='words')
    if len(words) < 2 or words[0] not in FIGURES:
        raise UserError(f'give a figure ({", ".join(FIGURES)}) and the folders of its runs')
    if not os.path.basename(config.out):
        raise UserError(f'out={config.out!r} names no file')
    make_figure = FIGURES[words[0]]
    make_figure(words[1:], config)


if __name__ == '__main__':
    with one_line_errors():
        main(sys.argv[1:])
