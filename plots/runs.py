"""The folder of a run: what train.py and eval_tasks.py left there, its training time, its model's name."""
import json
import os

from engine.errors import UserError
from plots.tables import read_csv
from stages import parse_stages


def read_config(folder: str) -> dict:
    """Reads config.json: the run's options under 'config', its size and circumstances under 'about'."""
    path = os.path.join(folder, 'config.json')
    try:
        with open(path, encoding='utf-8') as file:
            run = json.load(file)
        parse_stages(run['config']['stages'])
        if run['about']['loops'] < 0 or run['config']['seed'] < 0:
            raise ValueError
    except OSError as error:
        raise UserError(f'{folder}/config.json: {error.strerror}') from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise UserError(f'{folder}/config.json is cut, or train.py has not written it') from None
    return run


def read_run(folder: str) -> dict:
    """Reads a trained and evaluated run: folder, model, seed, config, about, rows of its CSV files.
    'accuracies' are {difficulty: test accuracy in percent} at the trained loop count or, adaptive, under the
    oracle. UserError where training has not ended or the trained loop count was not tested."""
    run = dict(folder=folder)
    for name in ('metrics', 'eval', 'test', 'baselines'):
        run[name] = read_csv(folder, f'{name}.csv')
    run |= read_config(folder)
    run |= dict(model=run['config']['stages'], seed=run['config']['seed'], accuracies={})
    for row in run['test']:
        if row['loops'] == run['about']['loops'] or row.get('rule') == 'oracle':
            run['accuracies'][f"{row['difficulty']:g}"] = round(100 * row['accuracy'], 2)

    # a table of runs at different points of training would mislead
    if not run['metrics'] or run['metrics'][-1]['step'] < run['config']['max_steps']:
        raise UserError(f'{folder} is not finished; train.py with --resume=auto goes on with it')
    if not run['accuracies']:
        raise UserError(f'{folder}/test.csv lacks the trained loop count; run eval_tasks.py without --loops')
    return run


def training_minutes(metrics: list) -> float:
    """Time spent in training steps, to two digits; evaluation and checkpoints are not counted."""
    milliseconds = 0.0
    step_before = 0
    for row in metrics:
        milliseconds += row['ms_per_step'] * (row['step'] - step_before)  # a mean since the row before
        step_before = row['step']
    return round(milliseconds / 60_000, 2)


def model_name(config: dict) -> str:
    """The stages and the regularizer; for 24 layers the names of Saunshi et al. 2025, Table 4.
    '4x6', '6x1 reg2', 'reg4' (24 layers in blocks of 4, lambda 10), 'reg4 lambda 1'."""
    name = '+'.join(f'{layers}x{loops}' for layers, loops in parse_stages(config['stages']))
    weight = config.get('regularize_weight', 0)
    if not weight:
        return name
    name = f"{name} reg{config['regularize_k']:g}"
    name = name.removeprefix('24x1 ')  # the paper regularizes 24 layers only
    return name if weight == 10 else f'{name} lambda {weight:g}'  # most rows of Table 4 have 10
