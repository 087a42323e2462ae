"""A's theorems, and two programs of B, as weights that run: the table of what their models compute.

    python theory.py                  # a small grid, and a trained base model for Thm 5.2: minutes
    python theory.py --full=True      # the whole grid: about an hour on one core
    python plot.py composition results/theory_group.csv --out=results/theory_group

Weights are built by theory_models.py and theory_rasp.py, run through looped.py in float32, and compared
with brute force: the product, hop_p by its definition, the base model itself, its greedy decoding, the
program. OUT gets a row for each case. Mismatches are inputs with a wrong answer at any position that counts;
max_error is the largest difference of logits, divided by the largest logit.
"""
import itertools
import os
import sys
import tempfile
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

import train
from engine.checkpoint import load_model
from engine.configurator import UserError, configure, one_line_errors
from engine.files import write_csv
from looped import LoopedGPT
from model import GPTConfig
from plots.drawing import markdown_table
from problems.lengths import LENGTH_TASKS
from problems.phop import PHop, sample_phop
from problems.randomness import key_of
from problems.task import IGNORE
from proofs.constructions import Construction, group_composition, p_hop, simulate, think
from proofs.rasp_models import PROGRAMS
from settings import Config
from tasks import group_table

BATCH = 50                # inputs at once
EXHAUSTIVE = 100_000      # all inputs where there are no more than so many
TRAINED = '''--task=phop --p=4 --length=32 --supervise=all --stages=4x1 --norm=none --activation=relu
--positions=learned --n_embd=128 --n_head=4 --optimizer=adamw --learning_rate=2e-3 --init_std=0.1
--warmup_steps=100 --batch_size=64 --eval_interval=500 --log_interval=100'''.split()


@dataclass
class TheoryConfig:
    # --- what is checked
    full: bool = False                   # the whole grid, not a small one
    theorems: tuple[str, ...] = ('5.1', '5.2', '5.3', '5.4', 'B')      # A's, or B: its programs
    inputs: int = 0                      # of a case that is not exhaustive; 0: 10,000, or 300 if not full
    steps: int = 2500                    # to train the base model of Thm 5.2; 0 leaves it out
    out: str = 'results/theory.csv'      # a row for each case; the products of one go beside it

    def check(self):
        if self.inputs < 0 or self.steps < 0:
            raise ValueError('inputs and steps must not be negative')
        if not set(self.theorems) <= CASES.keys():
            raise ValueError(f'theorems={",".join(self.theorems)}: there are {", ".join(CASES)}')
        self.inputs = self.inputs or (10_000 if self.full else 300)


class Case(NamedTuple):
    """Inputs (B, T) and what the last positions of a construction's output have to be: (B, t).

    `logits` (B, t, V) are the expected ones, for max_error, or None. IGNORE among the answers is left out.
    """
    theorem: str
    name: str
    built: Construction
    tokens: torch.Tensor
    answers: torch.Tensor
    logits: torch.Tensor | None = None


# --- cases

def dihedral_table(n: int):
    """table[g, h] = gh of the 2n symmetries of an n-gon: a + n s is s reflections, then a turns."""
    a, s = np.arange(2 * n) % n, np.arange(2 * n) // n
    turns = (a[:, None] + (1 - 2 * s[:, None]) * a) % n
    return turns + n * (s[:, None] ^ s)


GROUPS = {'Z7': group_table('c', 7), 'Z60': group_table('c', 60), 'D4': dihedral_table(4),
          'A5': group_table('a', 5), 'S5': group_table('s', 5)}


def group_cases(config: TheoryConfig):
    """Every group and length: all inputs, or random ones."""
    generator = torch.Generator().manual_seed(51)
    lengths = (1, 2, 3, 4, 5, 7, 8, 16, 31, 32, 33, 64) if config.full else (1, 3, 8)
    for name, n in itertools.product(GROUPS, lengths):
        table, order = torch.as_tensor(GROUPS[name]).long(), len(GROUPS[name])
        if order ** n <= EXHAUSTIVE and (config.full or order ** n <= config.inputs):
            factors = torch.cartesian_prod(*n * [torch.arange(order)]).view(-1, n)
        else:
            factors = torch.randint(order, (config.inputs, n), generator=generator)
        product = factors[:, 0]
        for i in range(1, n):
            product = table[product, factors[:, i]]
        built = group_composition(table, n)
        logits = built.model.head.weight @ built.model.token_embedding.weight[product].T  # of the right state
        tokens = torch.cat([torch.full((len(factors), 1), order), factors], 1)
        yield Case('5.1', f'{name}, n = {n}', built, tokens, product[:, None], logits.T[:, None])


def random_base(L: int, R: int, seed: int, spread=1.0, vocab_size=9, block_size=24) -> LoopedGPT:
    """A transformer of A's class with random weights, biases too; its R distinct layers in random order.

    `spread` multiplies the token embeddings: the larger, the more the output depends on the input.
    """
    config = GPTConfig(vocab_size, block_size, 0, n_head=2, n_embd=16, n_ff=32, activation='relu',
                       positions='learned', norm='none', bias=True, init_std=0.3)
    generator = torch.Generator().manual_seed(seed)
    base = LoopedGPT(config, f'{L}x1', generator)
    order = torch.cat([torch.arange(R), torch.randint(R, (L - R,), generator=generator)])
    with torch.no_grad():
        for block in base.blocks:
            for layer in (block.feed_forward.up, block.feed_forward.down):
                layer.bias.normal_(0, 0.3, generator=generator)
        base.token_embedding.weight.mul_(spread)
    for block, i in zip(base.blocks, order, strict=True):
        block.load_state_dict(base.blocks[i].state_dict())
    return base.requires_grad_(False).eval()


def simulation_case(name: str, base: LoopedGPT, tokens) -> Case:
    """A base and its inputs: the same logits at every position, the same argmax."""
    dummy = torch.full((len(tokens), 1), base.config.vocab_size)
    logits = torch.cat([base(part) for part in tokens.split(BATCH)])
    return Case('5.2', name, simulate(base), torch.cat([dummy, tokens], 1), logits.argmax(-1), logits)


def simulation_cases(config: TheoryConfig):
    """Random bases of L layers, R of them distinct, and a trained one at its last position."""
    generator = torch.Generator().manual_seed(52)
    for L, R in itertools.product((2, 4, 6), (1, 2, 3)):
        if R <= L:
            base = random_base(L, R, seed=10 * L + R)
            tokens = torch.randint(base.config.vocab_size, (config.inputs, 24), generator=generator)
            yield simulation_case(f'random, L = {L}, R = {R}', base, tokens)
    if config.steps:
        base, task, accuracy = trained_base(config.steps)
        tokens = torch.as_tensor(task.eval_batch('test', 4, 0, config.inputs).tokens).long()
        case = simulation_case(f'trained 4x1, accuracy {100 * accuracy:.2f}%', base, tokens)
        yield case._replace(answers=case.answers[:, -1:], logits=case.logits[:, -1:])


def trained_base(steps: int):
    """(model, task, accuracy on 10,000 test problems): p-hop of length 32, p = 4, by train.py."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [*TRAINED, f'--max_steps={steps}', f'--out_dir={folder}/base']
        config, _ = configure(Config, argv, '')
        with torch.inference_mode(False):
            train.main(config, [], ['train.py', *argv])
        base, task, _, _ = load_model(f'{folder}/base')
    batch = task.eval_batch('test', 4, 0, 10_000)
    tokens = torch.as_tensor(batch.tokens).long()
    answers = torch.cat([base(part)[:, -1].argmax(-1) for part in tokens.split(500)])
    return base, task, (answers.numpy() == batch.targets[:, -1]).mean()


def hop_cases(config: TheoryConfig):
    """All positions of sequences, half of them A's (phop.py), half uniform letters, which may lack p hops."""
    generator = np.random.default_rng(53)
    for p in (1, 2, 3, 5, 6, 7, 8, 12, 16, 24, 31, 32) if config.full else (1, 3, 4, 7, 8):
        for n, n_head in ((2 * p + 1, 3), (256, 3)) if config.full else ((2 * p + 1, 3), (40, 7)):
            yield hop_case(p, n, n_head, config.inputs, generator)
    if config.full:
        yield hop_case(7, 256, 10, config.inputs, generator)


def hop_case(p: int, n: int, n_head: int, count: int, generator) -> Case:
    half = count // 2
    sampled = sample_phop(np.repeat(key_of(0, 53), half), np.arange(half), p, n, 4)[:, :-1]
    letters = np.concatenate([sampled, generator.integers(4, size=(count - half, n))])
    answers = torch.as_tensor(PHop(p=(p,), length=n).hops(letters)).long()
    logits = torch.nn.functional.one_hot(answers, 5).float()
    logits[..., 4] = 0.5
    tokens = torch.cat([torch.full((count, 1), 4), torch.as_tensor(letters).long()], 1)
    return Case('5.3', f'p = {p}, n = {n}, {n_head} heads', p_hop(p, n, 4, n_head), tokens, answers, logits)


def thought_cases(config: TheoryConfig):
    """m greedy tokens of a random base of 3 layers, which it generates one by one."""
    generator = torch.Generator().manual_seed(54)
    base = random_base(3, 3, seed=54, spread=4.0)
    V = base.config.vocab_size
    tokens = torch.randint(V, (config.inputs, 8), generator=generator)
    decoded = tokens
    for m in range(1, 9):
        step = torch.cat([base(part)[:, -1].argmax(-1) for part in decoded.split(BATCH)])
        decoded = torch.cat([decoded, step[:, None]], 1)
        thoughts = decoded[:, 8:]
        with_dummies = torch.cat([tokens, torch.full((len(tokens), m), V)], 1)
        yield Case('5.4', f'n = 8, m = {m}, {len(thoughts.unique(dim=0))} different', think(base, m),
                   with_dummies, thoughts, torch.nn.functional.one_hot(thoughts, V).float())


def program_cases(config: TheoryConfig):
    """B's tasks, full-answer prediction, T(n) = n loops."""
    for name, build in PROGRAMS.items():
        model = build(64)
        for n in (1, 2, 5, 20, 64) if config.full else (1, 5, 20):
            batch = LENGTH_TASKS[name](n).eval_batch('test', n, 0, config.inputs)
            tokens, answers = (torch.as_tensor(part).long() for part in (batch.tokens, batch.targets))
            yield Case('B', f'{name}, n = {n}', Construction(model, n, {}), tokens, answers)


CASES = {'5.1': group_cases, '5.2': simulation_cases, '5.3': hop_cases, '5.4': thought_cases,
         'B': program_cases}


# --- checks

def check(case: Case) -> dict:
    """The row of a case."""
    built, wrong, error, scale = case.built, [0, 0], 0.0, 0.0
    for first in range(0, len(case.tokens), BATCH):
        tokens, answers = (part[first:first + BATCH] for part in (case.tokens, case.answers))
        by_loop = {0: built.model(tokens, n_loops=0)} if built.loops < 2 else {}
        by_loop |= dict(built.model.logits_by_loop(tokens, built.loops))
        for fewer in range(2 if built.loops else 1):
            logits = by_loop[built.loops - fewer][:, -answers.size(1):]
            differs = (logits.argmax(-1) != answers) & (answers != IGNORE)
            wrong[fewer] += differs.any(1).sum().item()
            if case.logits is not None and not fewer:
                expected = case.logits[first:first + BATCH]
                error = max(error, (logits[..., :expected.size(-1)] - expected).abs().max().item())
                scale = max(scale, expected.abs().max().item())
    return dict(theorem=case.theorem, case=case.name, claimed=sizes(built.claimed), used=sizes(built.used()),
                loops=built.loops, inputs=len(case.tokens), mismatches=wrong[0],
                mismatches_one_loop_fewer=wrong[1] if built.loops else '',
                max_error=f'{error / scale:.1e}' if scale else '')


def sizes(of: dict) -> str:
    """'layers 1, d 42, ff 14442, heads 2 x 7', or '' where none are claimed."""
    return 'layers {n_layer}, d {n_embd}, ff {n_ff}, heads {n_head} x {head_size}'.format(**of) if of else ''


def summary(rows: list[dict]) -> str:
    """A Markdown table, a line for each theorem."""
    lines = []
    for theorem in dict.fromkeys(row['theorem'] for row in rows):
        own = [row for row in rows if row['theorem'] == theorem]
        fewer = [row['mismatches_one_loop_fewer'] / row['inputs'] for row in own if row['loops']]
        errors = [float(row['max_error']) for row in own if row['max_error']]
        worst = f'{max(errors):.0e}' if errors else ''
        lines.append([theorem, str(len(own)), f"{sum(row['inputs'] for row in own):,}",
                      str(sum(row['mismatches'] for row in own)), worst, f'at least {100 * min(fewer):.0f}%'])
    head = ['theorem', 'cases', 'inputs', 'mismatches', 'max error', 'wrong with one loop fewer']
    return markdown_table(head, lines)


def held_products(n: int) -> list[dict]:
    """Rows of loop, position, first and last factor of the product held there, 0 and 0 for the identity.

    Asked of the model, not of the proof: it composes in Z_2, and factor j is in a product if and only if that
    is 1 where g_j alone is 1.
    """
    built, rows = group_composition(group_table('c', 2), n), []
    tokens = torch.cat([torch.full((n, 1), 2), torch.eye(n).long()], 1)  # row j: g_j alone is 1
    for loop in range(built.loops + 1):
        held = built.model(tokens, n_loops=loop).argmax(-1) == 1  # (n, position)
        for position, factors in enumerate(held.T):
            numbers = (factors.nonzero().flatten() + 1).tolist()
            assert numbers == list(range(numbers[0], numbers[-1] + 1) if numbers else ()), 'not neighbours'
            first, last = (numbers[0], numbers[-1]) if numbers else (0, 0)
            rows.append(dict(loop=loop, position=position, first=first, last=last))
    return rows


@torch.inference_mode()
def main(argv):
    config, words = configure(TheoryConfig, argv, __doc__, positional='words')
    if words:
        raise UserError(f'{words[0]}: theory.py takes options only, see --help')
    rows = []
    for theorem in config.theorems:
        for case in CASES[theorem](config):
            rows.append(check(case))
            print(' | '.join(str(value) for value in rows[-1].values()), flush=True)
            write_csv(config.out, rows)
    write_csv(f'{os.path.splitext(config.out)[0]}_group.csv', held_products(8))
    print(f'\n{summary(rows)}\n\nrows: {config.out}')


if __name__ == '__main__':
    with one_line_errors():
        main(sys.argv[1:])
