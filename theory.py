"""Checks the theorems of Saunshi et al. 2025, and two programs of Fan et al. 2025, as weights that run.

    python theory.py                  # a small grid, and a trained base model for Thm 5.2: minutes
    python theory.py --full=True      # the whole grid: about an hour on one core
    python plot.py composition out/theory_group.csv --out=out/theory_group

The weights are those of proofs/, run through looped.py in float32 and compared with brute force. OUT gets a
row for each case: mismatches are inputs with a wrong answer at any position that counts; max_error is the
largest difference of logits, divided by the largest logit. OUT_group.csv gets the products that Thm 5.1 holds
after every loop. `runs/theory.sh` makes what is published in results/.
"""
import os
import sys
import tempfile
from dataclasses import dataclass

import torch
import torch.nn.functional as F

import train
from engine.checkpoint import load_model
from engine.configurator import Path, configure
from engine.errors import UserError, one_line_errors
from engine.files import write_csv
from plots.tables import column, group_rows, markdown_table
from problems.group import group_table
from proofs.cases import CASES, Case, check_case, logits_of, simulation_case
from proofs.constructions import group_composition
from settings import make_config

TRAINED_BASE = dict(
    task='phop', p=(4,), length=32, supervise='all',
    stages='4x1', n_embd=128, n_head=4, norm='none', activation='relu', positions='learned', init_std=0.1,
    optimizer='adamw', learning_rate=2e-3, warmup_steps=100, batch_size=64,
    eval_interval=500, log_interval=100,
)


@dataclass
class TheoryConfig:
    # --- what is checked
    full: bool = False               # the whole grid, not a small one
    theorems: tuple[str, ...] = ('5.1', '5.2', '5.3', '5.4', 'B')  # B: the programs of Fan et al. 2025
    inputs: int = 0                  # of a case that is not exhaustive; 0: 10,000, or 300 if not full
    steps: int = 2500                # to train the base model of Thm 5.2; 0 leaves it out
    out: Path = 'out/theory.csv'     # a row for each case; the products of Thm 5.1 go beside it

    def check(self):
        if self.inputs < 0 or self.steps < 0:
            raise ValueError('inputs and steps must not be negative')
        if not self.theorems or not set(self.theorems) <= CASES.keys():
            raise ValueError(f'theorems={",".join(self.theorems)}: there are {", ".join(CASES)}')
        if not self.inputs:
            self.inputs = 10_000 if self.full else 300


def cases_of(theorem: str, config: TheoryConfig):
    yield from CASES[theorem](config.full, config.inputs)
    if theorem == '5.2' and config.steps:
        yield trained_case(config.steps, config.inputs)


def trained_case(steps: int, inputs: int) -> Case:
    """Thm 5.2 of a base that train.py trains: p-hop of length 32, p = 4, at its last position."""
    with tempfile.TemporaryDirectory() as folder:
        config = make_config(TRAINED_BASE | dict(max_steps=steps, out_dir=folder))
        with torch.inference_mode(False):
            train.main(config, [], sys.argv)
        base, task, _, _ = load_model(folder)

    problems = task.eval_batch('test', 4, 0, 10_000)
    logits = logits_of(base, torch.as_tensor(problems.tokens).long())[:, -1]  # (10,000, V)
    right = logits.argmax(-1).numpy() == problems.targets[:, -1]
    tokens = task.eval_batch('test', 4, 0, inputs).tokens
    name = f'trained 4x1, accuracy {100 * right.mean():.2f}%'
    case = simulation_case(name, base, torch.as_tensor(tokens).long())
    return case._replace(answers=case.answers[:, -1:], logits=case.logits[:, -1:])


def summary(rows: list[dict]) -> str:
    """A Markdown table, a line for each theorem."""
    lines = []
    for theorem, cases in group_rows(rows, 'theorem').items():
        errors = [float(row['max_error']) for row in cases if row['max_error']]
        failing = [row['mismatches_one_loop_fewer'] / row['inputs'] for row in cases if row['loops']]
        lines.append([
            theorem,
            str(len(cases)),
            f'{sum(column(cases, "inputs")):,}',
            str(sum(column(cases, 'mismatches'))),
            f'{max(errors):.0e}' if errors else '',
            f'at least {100 * min(failing):.0f}%',
        ])
    head = ['theorem', 'cases', 'inputs', 'mismatches', 'max error', 'wrong with one loop fewer']
    return markdown_table(head, lines)


def held_products(n: int) -> list[dict]:
    """Rows of loop, position, first and last factor of the product held there, 0 and 0 for the identity.
    The model composes in Z_2: factor j is in a product if and only if that is 1 where g_j alone is 1."""
    built = group_composition(group_table('c', 2), n)
    factors = torch.eye(n).long()  # (n, n), row j: g_j alone is 1
    tokens = F.pad(factors, (1, 0), value=2)  # (n, n + 1), # goes first

    rows = []
    for loop in range(built.loops + 1):
        held = built.model(tokens, n_loops=loop).argmax(-1) == 1  # (n, n + 1)
        for position in range(n + 1):
            numbers = held[:, position].nonzero().flatten() + 1
            numbers = numbers.tolist() or [0]
            first = numbers[0]
            last = numbers[-1]
            assert numbers == list(range(first, last + 1)), 'not neighbours'
            rows.append(dict(loop=loop, position=position, first=first, last=last))
    return rows


@torch.inference_mode()
def main(argv):
    config, words = configure(TheoryConfig, argv, __doc__, positional='words')
    if words:
        raise UserError(f'{words[0]}: theory.py takes options only, see --help')

    rows = []
    for theorem in config.theorems:
        for case in cases_of(theorem, config):
            row = check_case(case)
            rows.append(row)
            print(' | '.join(str(value) for value in row.values()), flush=True)
            write_csv(config.out, rows)
    without_ending = os.path.splitext(config.out)[0]
    write_csv(without_ending + '_group.csv', held_products(8))
    print(f'\n{summary(rows)}\n\nrows: {config.out}')


if __name__ == '__main__':
    with one_line_errors():
        main(sys.argv[1:])
