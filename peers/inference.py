"""The methods of Fan et al. 2025 on one batch of a task, and the times of their paper (App. D, Table 1)."""
from collections.abc import Callable
from functools import partial

import torch

from engine.configurator import configure
from engine.errors import UserError
from engine.stopping import all_steps
from looped import LoopedGPT
from sample import generate
from settings import Config, with_task
from stages import parse_stages
from tasks import make_task
from train import resolve

# Fan et al. 2025, Table 1: seconds at parity of length 50, batch 64.
PAPER_SECONDS = {
    'oracle': 0.1967, 'confidence': 0.2190, 'FAP': 0.1117, 'FAP-Pause': 0.1262,
    'NTP': 0.1229, 'NTP-Pause': 0.1315, 'NTP-Loop': 0.1527}
# Each method's file config/lengths/as_NAME.py. All but NTP-Loop have 20 times the layers of the task.
BASELINES = {'FAP': 'fap', 'FAP-Pause': 'fap_pause', 'NTP': 'ntp', 'NTP-Pause': 'ntp_pause',
             'NTP-Loop': 'ntp_loop'}


def inference_methods(path: str, options, runtime) -> dict[str, Callable]:
    """{method: a function that answers the batch once} for a task's configuration file.

    The looped model answers under both stopping rules, each baseline by a model of its own. `options` has the
    length and the number of the problems, and T_max.
    """
    _, task = read_task(path)
    if not task.adaptive_loops:
        raise UserError(f'{path} is no configuration of one of the tasks of Fan et al. 2025')
    test_length = f'--test_lengths={options.length}'
    config, task = read_task(path, test_length)
    methods = looped_answers(config, task, options, runtime)

    layers = parse_stages(config.stages)[0].layers  # of the loop
    for method, name in BASELINES.items():
        argv = [path, f'config/lengths/as_{name}.py', test_length]
        if method != 'NTP-Loop':
            argv.append(f'--stages={20 * layers}x1')
        config, task = read_task(*argv)
        methods[method] = baseline_answer(config, task, options, runtime)
    return methods


def read_task(*argv: str):
    """(configuration, task) of a training run, with the sizes of the model that the task needs."""
    config, _ = configure(Config, argv, '', extend=with_task)
    task = make_task(config)
    resolve(config, [], task)
    return config, task


def looped_answers(config, task, options, runtime) -> dict[str, Callable]:
    """Answers after the true T of each problem (oracle), and after the surest of T_max loops (confidence)."""
    model = random_model(config, runtime)
    batch = task.eval_batch('test', options.length, 0, options.batch)
    tokens, _, loops = runtime.put(batch)  # (B, T) and (B,)
    return {
        'oracle': partial(model, tokens, n_loops=loops),
        'confidence': partial(all_steps, model, runtime, batch, options.loops_max),
    }


def baseline_answer(config, task, options, runtime) -> Callable:
    """Full-answer prediction is one forward pass, next-token prediction decodes with the cache."""
    model = random_model(config, runtime)
    batch = task.eval_batch('test', options.length, 0, options.batch)
    tokens, targets, _ = runtime.put(batch)  # (B, T)
    if task.full_answer:
        return partial(model, tokens)

    # The prompt ends where the first target is scored; all answers get the length of the longest.
    scored = targets >= 0
    n_prompt = int(scored[0].int().argmax()) + 1
    n_new = int(scored.sum(1).max())
    return partial(generate, model, tokens[:, :n_prompt], n_new)


def random_model(config, runtime) -> LoopedGPT:
    model = LoopedGPT(config, torch.Generator().manual_seed(0))
    return model.to(runtime.device).eval()
