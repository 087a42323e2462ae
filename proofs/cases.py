"""The cases of theory.py's table: constructions, inputs and the right answers, and how one is checked.
A generator for each theorem yields its cases, many or (`full`) all of the published ones. The right answers
come from brute force: the product, hop_p by its definition, the base model, its greedy decoding, the task."""
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from looped import LoopedGPT
from problems.group import group_table
from problems.lengths import LENGTH_TASKS
from problems.phop import PHop, sample_phop
from problems.randomness import key_of
from problems.task import IGNORE
from proofs.constructions import Construction, group_composition, p_hop
from proofs.rasp_models import RASP_MODELS
from proofs.simulations import simulate, think
from stages import ModelConfig

BATCH = 50                # inputs at once
EXHAUSTIVE = 100_000      # a case with no more inputs than this is checked on all of them


class Case(NamedTuple):
    """Inputs (B, T), and what the last t positions of a construction's output have to be.
    `answers` (B, t), IGNORE where any will do; `logits` (B, t, V), for max_error, or None."""
    theorem: str
    name: str
    built: Construction
    tokens: torch.Tensor
    answers: torch.Tensor
    logits: torch.Tensor | None = None


def check_case(case: Case) -> dict:
    """The row of a case. A mismatch is an input with a wrong answer at any position that counts."""
    theorem, name, built, tokens, answers, expected = case
    loops = built.loops
    t = answers.size(1)
    parts = []
    parts_one_fewer = []
    for part in tokens.split(BATCH):
        by_loop = dict(built.model.logits_by_loop(part, loops))
        by_loop[0] = built.model(part, n_loops=0)
        parts.append(by_loop[loops][:, -t:].clone())
        parts_one_fewer.append(by_loop[max(0, loops - 1)][:, -t:].clone())
    logits = torch.cat(parts)  # (B, t, V)

    # A check of the check: one loop fewer must not be enough.
    wrong_one_fewer = count_wrong(torch.cat(parts_one_fewer), answers) if loops else ''
    max_error = ''
    if expected is not None:
        V = expected.size(-1)  # the construction may have a token more
        error = (logits[..., :V] - expected).abs().max().item()
        max_error = f'{error / expected.abs().max().item():.1e}'
    return dict(theorem=theorem, case=name, claimed=built.claimed, used=built.used(), loops=loops,
                inputs=len(tokens), mismatches=count_wrong(logits, answers),
                mismatches_one_loop_fewer=wrong_one_fewer, max_error=max_error)


def count_wrong(logits, answers) -> int:
    """Inputs with a wrong answer, of logits (B, t, V) and answers (B, t)."""
    differs = logits.argmax(-1) != answers
    counts = answers != IGNORE
    return (differs & counts).any(1).sum().item()


def logits_of(model, tokens):
    """Logits (B, T, V) of tokens (B, T), a batch at a time."""
    return torch.cat([model(part) for part in tokens.split(BATCH)])


def dihedral_table(n: int):
    """table[g, h] = gh of the 2n symmetries of an n-gon: a + n s is s reflections, then a turns."""
    numbers = np.arange(2 * n)
    a = numbers % n
    s = numbers // n
    sign = 1 - 2 * s[:, None]  # a reflection turns the other way
    turns = (a[:, None] + sign * a) % n  # (2n, 2n)
    return turns + n * (s[:, None] ^ s)


def group_cases(full: bool, inputs: int):
    """Thm 5.1: every group and length, all inputs or random ones."""
    tables = {
        'Z7': group_table('c', 7),
        'Z60': group_table('c', 60),
        'D4': dihedral_table(4),
        'A5': group_table('a', 5),
        'S5': group_table('s', 5),
    }
    generator = torch.Generator().manual_seed(51)
    lengths = (1, 2, 3, 4, 5, 7, 8, 16, 31, 32, 33, 64) if full else (1, 3, 8)
    limit = EXHAUSTIVE if full else min(EXHAUSTIVE, inputs)
    for name, table in tables.items():
        order = len(table)
        for n in lengths:
            if order ** n <= limit:
                factors = torch.cartesian_prod(*n * [torch.arange(order)]).view(-1, n)
            else:
                factors = torch.randint(order, (inputs, n), generator=generator)
            yield group_case(f'{name}, n = {n}', torch.as_tensor(table).long(), factors)


def group_case(name: str, table, factors) -> Case:
    """The product of factors (B, n) at the last position."""
    n = factors.size(1)
    product = factors[:, 0]
    for i in range(1, n):
        product = table[product, factors[:, i]]
    built = group_composition(table, n)
    logits = built.model.readout(built.model.token_embedding(product))  # (B, V)
    tokens = F.pad(factors, (1, 0), value=len(table))  # (B, n + 1)
    return Case('5.1', name, built, tokens, product[:, None], logits[:, None])


def simulation_cases(full: bool, inputs: int):
    """Thm 5.2: random bases of L layers, R of them distinct; the small grid is the full one."""
    generator = torch.Generator().manual_seed(52)
    for L in (2, 4, 6):
        for R in (1, 2, 3):
            if R <= L:
                base = random_base(L, R, seed=10 * L + R)
                tokens = torch.randint(base.config.vocab_size, (inputs, 24), generator=generator)
                yield simulation_case(f'random, L = {L}, R = {R}', base, tokens)


def simulation_case(name: str, base: LoopedGPT, tokens) -> Case:
    """A base and its inputs: the same logits at every position, the same argmax."""
    logits = logits_of(base, tokens)
    with_dummy = F.pad(tokens, (1, 0), value=base.config.vocab_size)  # (B, T + 1)
    return Case('5.2', name, simulate(base), with_dummy, logits.argmax(-1), logits)


def random_base(L: int, R: int, seed: int, spread=1.0) -> LoopedGPT:
    """A model of the theorems' class with random weights: R distinct layers, then L - R random ones of these.
    `spread` multiplies the token embeddings: the larger, the more the output depends on the input."""
    config = ModelConfig(stages=f'{L}x1', vocab_size=9, block_size=24, n_embd=16, n_head=2, n_ff=32,
                         norm='none', activation='relu', positions='learned', bias=True, init_std=0.3)
    generator = torch.Generator().manual_seed(seed)
    base = LoopedGPT(config, generator)
    repeated = torch.randint(R, (L - R,), generator=generator)
    with torch.no_grad():
        for block in base.blocks:
            block.feed_forward.up.bias.normal_(0, 0.3, generator=generator)
            block.feed_forward.down.bias.normal_(0, 0.3, generator=generator)
        base.token_embedding.weight.mul_(spread)
    for block, i in zip(base.blocks[R:], repeated, strict=True):
        block.load_state_dict(base.blocks[i].state_dict())
    return base.requires_grad_(False).eval()


def hop_cases(full: bool, inputs: int):
    """Cor. 5.3: several p, lengths and numbers of heads."""
    generator = np.random.default_rng(53)
    hops = (1, 2, 3, 5, 6, 7, 8, 12, 16, 24, 31, 32) if full else (1, 3, 4, 7, 8)
    long = (256, 3) if full else (40, 7)  # letters and heads
    for p in hops:
        yield hop_case(p, 2 * p + 1, 3, inputs, generator)
        yield hop_case(p, *long, inputs, generator)
    if full:
        yield hop_case(7, 256, 10, inputs, generator)


def hop_case(p: int, n: int, n_head: int, inputs: int, generator) -> Case:
    """All positions of n letters: sampled as in Saunshi et al. 2025, or uniform, which may lack p hops."""
    half = inputs // 2
    keys = np.repeat(key_of(0, 53), half)
    sampled = sample_phop(keys, np.arange(half), p, n, 4)
    uniform = generator.integers(4, size=(inputs - half, n))
    letters = np.concatenate([sampled[:, :-1], uniform])

    task = PHop(p=(p,), length=n)
    answers = torch.as_tensor(task.hops(letters)).long()
    logits = F.one_hot(answers, 5).float()
    logits[..., task.none] = 0.5
    tokens = F.pad(torch.as_tensor(letters).long(), (1, 0), value=task.none)  # (B, n + 1)
    name = f'p = {p}, n = {n}, {n_head} heads'
    return Case('5.3', name, p_hop(p, n, 4, n_head), tokens, answers, logits)


def thought_cases(full: bool, inputs: int):
    """Thm 5.4: m greedy tokens of a random base of 3 layers; the small grid is the full one."""
    generator = torch.Generator().manual_seed(54)
    base = random_base(3, 3, seed=54, spread=4.0)
    V = base.config.vocab_size
    n = 8
    tokens = torch.randint(V, (inputs, n), generator=generator)
    decoded = tokens
    for m in range(1, 9):
        # The base decodes one token more.
        last = logits_of(base, decoded)[:, -1]  # (B, V)
        decoded = torch.cat([decoded, last.argmax(-1)[:, None]], 1)
        thoughts = decoded[:, n:]  # (B, m)
        padded = F.pad(tokens, (0, m), value=V)  # (B, n + m)
        logits = F.one_hot(thoughts, V).float()
        name = f'n = {n}, m = {m}, {len(thoughts.unique(dim=0))} different'
        yield Case('5.4', name, think(base, m), padded, thoughts, logits)


def program_cases(full: bool, inputs: int):
    """The tasks of Fan et al. 2025, full-answer prediction, T(n) = n loops."""
    lengths = (1, 2, 5, 20, 64) if full else (1, 5, 20)
    for name, build in RASP_MODELS.items():
        model = build(64)
        for n in lengths:
            task = LENGTH_TASKS[name](max_length=n)
            batch = task.eval_batch('test', n, 0, inputs)
            tokens = torch.as_tensor(batch.tokens).long()
            answers = torch.as_tensor(batch.targets).long()
            built = Construction(model, loops=n, claimed='')
            yield Case('B', f'{name}, n = {n}', built, tokens, answers)


CASES = {
    '5.1': group_cases,
    '5.2': simulation_cases,
    '5.3': hop_cases,
    '5.4': thought_cases,
    'B': program_cases,  # of Fan et al. 2025
}
