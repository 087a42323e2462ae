"""Language models: the table of bits per byte, and how alike the layers of regularized models are
(Saunshi et al. 2025, Sec. 4 and Fig. 2)."""
import os
from statistics import mean

from engine.errors import UserError
from plots.drawing import colors_of, new_panels, save_and_announce, whole_number_ticks
from plots.runs import model_name, read_config, training_minutes
from plots.tables import PlotConfig, column, group_rows, markdown_table, read_csv, write_table

TEXT_FORMATS = {'model': '', 'parameters': ',', 'training_flops_per_token': ',', 'tokens': ',',
                'training_minutes': '.1f', 'bits_per_byte': '.3f', 'similarity': ''}


def make_text_table(folders: list, config: PlotConfig):
    """Tables bits per byte, and how alike the matrices of layers k apart are, a row for each run."""
    rows = list(map(text_row, folders))
    head = ['model', 'parameters', 'training FLOPs a token', 'tokens', 'training minutes', 'bits per byte',
            'cosine of matrices']
    lines = []
    for row in rows:
        lines.append([format(row[name], spec) for name, spec in TEXT_FORMATS.items()])
    write_table(rows, markdown_table(head, lines), config.out)


def text_row(folder: str) -> dict:
    """A run's row of the table, at its trained loop count; UserError where that was not tested."""
    run = read_config(folder)
    config = run['config']
    about = run['about']
    metrics = read_csv(folder, 'metrics.csv')
    tests = group_rows(read_csv(folder, 'test.csv'), 'loops').get(about['loops'], [])

    # a run of another task has no such column
    if len(tests) != 1 or not isinstance(tests[0].get('bits_per_byte'), float):
        raise UserError(f'{folder}/test.csv has no bits per byte at the trained loop count: text takes '
                        'language models, after eval_tasks.py without --loops')

    similarity = ''
    if os.path.exists(os.path.join(folder, 'similarity.csv')):  # only runs with regularize_k keep one
        cosines = column(matrices_at_the_end(folder), 'cosine')
        similarity = round(mean(cosines), 3) if cosines else ''
    return dict(
        model=model_name(config), seed=config['seed'], parameters=about['parameters'],
        training_flops_per_token=about['flops_per_token'], tokens=int(metrics[-1]['tokens']),
        training_minutes=training_minutes(metrics), bits_per_byte=round(tests[0]['bits_per_byte'], 4),
        similarity=similarity)


def matrices_at_the_end(folder: str) -> list:
    """The rows of similarity.csv that are of the last logged step, those of vectors left out."""
    rows = read_csv(folder, 'similarity.csv')
    last_step = rows[-1]['step'] if rows else None
    return group_rows(rows, 'step', 'kind').get((last_step, 'matrix'), [])


def make_similarity_figure(folders: list, config: PlotConfig):
    """Draws the cosine of layers i and i + k at the end of training, a line for each group of matrices."""
    panels = new_panels(len(folders), width=4.6, height=3.2, sharey=True)
    for axes, folder in zip(panels, folders, strict=True):
        rows = matrices_at_the_end(folder)
        groups = group_rows(rows, 'group')
        colors = colors_of(groups)
        for group, layers in groups.items():
            axes.plot(column(layers, 'layer'), column(layers, 'cosine'), marker='o', markersize=3,
                      color=colors[group], label=group.removesuffix('.weight'))
        name = os.path.basename(os.path.normpath(folder))
        axes.set(xlabel='layer', title=f"{name}, step {rows[0]['step']:g}", ylim=(-0.1, 1.05))
        whole_number_ticks(axes)

    panels[0].set(ylabel='cosine with the layer k further')
    panels[-1].legend(fontsize=7)
    save_and_announce(panels[0].figure, config.out)
