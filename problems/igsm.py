"""i-GSM: grade-school problems in symbols, arithmetic mod 7 (A, Sec. 2 and App. A.1, after Ye et al. 2024).

    E#I := 4. J#N := 3 * E#I. I#N := E#I - J#N. I#N?

Entities stand on 4 levels, named A-D, E-H, I-L, M-P. An edge from a level to the next is a parameter,
Parent#Child. Every parameter of the structure has one definition, X := S, c, c + S or c * S, where S is A,
A - B or a sum A + B + .. and `c *` multiplies all of S. The definitions are shuffled, the question comes
last, the answer is its value mod 7.

Sampling follows Ye et al., Sec. 2, without their English and abstract parameters: the operations s that the
answer needs are the smaller of two uniform draws from 1 .. max_ops; every lower entity gets one parent at
random, then edges are added up to a uniform count of at most max_edges; definitions are built so that all s
operations are needed; edges left over become distractors. What A does not state (counts, constants, tokens)
is chosen here.
"""
import re
from random import Random
from typing import NamedTuple

import numpy as np

from problems.task import Batch, Task, after, check_starts, majority, rngs

MODULUS = 7
LEVELS, WIDTH = 4, 4  # entities: 4 levels of 2 to 4
NAMES = [f'{chr(65 + WIDTH * level + parent)}#{chr(65 + WIDTH * (level + 1) + child)}'
         for level in range(LEVELS - 1) for parent in range(WIDTH) for child in range(WIDTH)]
PRESETS = {'medium': (15, 20), 'hard': (21, 28)}  # (max_ops, max_edges) of Ye et al., Sec. 2.2
DEPENDENCIES_MAX = 4


class Definition(NamedTuple):
    """parameter := constant (operator '') | S | constant + S | constant * S, S a sum, or one difference."""
    parameter: int           # index of NAMES
    operator: str            # '', '+', '*': how the constant enters; '' with dependencies: there is none
    constant: int
    dependencies: tuple      # indices of NAMES; none: the parameter is the constant
    minus: bool              # the second of two dependencies is subtracted

    @property
    def operations(self) -> int:
        """Additions, subtractions and multiplications; a bare constant or a copy counts as 1 (Sec. 2.2)."""
        return max(1, len(self.dependencies) - 1 + (self.operator != ''))


class Problem(NamedTuple):
    definitions: list
    query: int


def generate(rng: Random, max_ops: int, max_edges: int) -> Problem:
    """A problem whose answer needs s operations, s = min of two uniform draws from 1 .. max_ops.

    Where the structure has too few parameters for s, all of them are needed and s is as large as they allow.
    """
    parameters = draw_structure(rng, max_edges)
    rng.shuffle(parameters)
    s = min(draw(rng, max_ops), draw(rng, max_ops)) + 1
    definitions, n_needed = define_needed(rng, parameters, s)
    for i in range(n_needed, len(parameters)):  # distractors may use what is needed, not the other way round
        count = min(draw(rng, DEPENDENCIES_MAX + 1), i)
        definitions.append(define(rng, parameters[i], pick(rng, parameters[:i], count), rng.random() < 0.5))
    query = parameters[0]
    rng.shuffle(definitions)
    return Problem(definitions, query)


def check_sizes(max_ops: int, max_edges: int):
    """ValueError where no structure has so few edges, or none so many."""
    least, most = 2 * (LEVELS - 1), WIDTH * WIDTH * (LEVELS - 1)
    if not least <= max_edges <= most:
        raise ValueError(f'max_edges={max_edges}: {LEVELS} levels of 2 to {WIDTH} entities have {least} to '
                         f'{most} edges')
    if max_ops < 1:
        raise ValueError(f'max_ops={max_ops} must be at least 1')


def draw(rng: Random, n: int) -> int:
    """Uniform in 0 .. n - 1."""
    return int(rng.random() * n)


def pick(rng: Random, items: list, count: int) -> list:
    """`count` different items in random order."""
    return rng.sample(items, count) if count else []


def draw_structure(rng: Random, max_edges: int) -> list[int]:
    """Parameters (edges) of a structure in which every entity below the first level has a parent."""
    sizes = [2 + draw(rng, WIDTH - 1) for _ in range(LEVELS)]
    while sum(sizes[1:]) > max_edges:
        sizes = [2 + draw(rng, WIDTH - 1) for _ in range(LEVELS)]
    every, first = [], []
    for level in range(LEVELS - 1):
        for child in range(sizes[level + 1]):
            edges = [(level * WIDTH + parent) * WIDTH + child for parent in range(sizes[level])]
            first.append(edges.pop(draw(rng, len(edges))))
            every += edges
    room = min(max_edges - len(first), len(every))
    return first + (pick(rng, every, draw(rng, room + 1)) if room > 0 else [])


def define_needed(rng: Random, parameters: list[int], s: int) -> tuple[list[Definition], int]:
    """Definitions of parameters[0], the query, and of all it needs, s operations in all; and their number.

    Parameters are taken in order, each one used by an earlier one, so none is idle and no cycle can close.
    One operation is kept back for every parameter that is used but not yet defined.
    """
    definitions, used, spare = [], 1, s - 1
    for i in range(len(parameters)):
        if i == used:
            break
        known, left = parameters[i + 1:used], len(parameters) - used
        constant = rng.random() < 0.5
        own = 1 + draw(rng, min(spare, DEPENDENCIES_MAX - 2 + constant) + 1)  # operations of this definition
        count = own + 1 - constant if own > 1 else draw(rng, 3 - constant)    # its dependencies
        while count > len(known) + min(left, spare - (own - 1)):              # more than can be had and paid
            own, count = max(1, own - 1), count - 1
        if not known and left and spare:
            count = max(count, 1)                                             # the chain must go on
        fresh_min = max(count - len(known), 0)
        fresh = fresh_min + draw(rng, min(count, left, spare - (own - 1)) - fresh_min + 1)
        chosen = parameters[used:used + fresh] + pick(rng, known, count - fresh)
        rng.shuffle(chosen)
        definitions.append(define(rng, parameters[i], chosen, constant))
        spare -= definitions[-1].operations - 1 + fresh
        used += fresh
    return definitions, used


def define(rng: Random, parameter: int, dependencies: list, constant: bool) -> Definition:
    if not dependencies:
        return Definition(parameter, '', draw(rng, MODULUS), (), False)
    minus = len(dependencies) == 2 and rng.random() < 0.5
    if not constant:
        return Definition(parameter, '', 0, tuple(dependencies), minus)
    if rng.random() < 0.5:
        return Definition(parameter, '+', 1 + draw(rng, MODULUS - 1), tuple(dependencies), minus)
    return Definition(parameter, '*', 2 + draw(rng, MODULUS - 2), tuple(dependencies), minus)


def evaluate(definition: Definition, values: dict) -> int:
    """The value mod 7 of a definition, given those of its dependencies."""
    terms = [values[name] for name in definition.dependencies]
    if not terms:
        return definition.constant % MODULUS
    total = terms[0] - terms[1] if definition.minus else sum(terms)
    if definition.operator == '*':
        return total * definition.constant % MODULUS
    return (total + (definition.constant if definition.operator else 0)) % MODULUS


def solve(problem: Problem) -> tuple[int, list[Definition]]:
    """(the answer, the definitions that it needs in an order that can be computed).

    ValueError where a parameter has no definition or depends on itself.
    """
    by_name = {definition.parameter: definition for definition in problem.definitions}
    values, needed, open_ = {}, [], set()

    def visit(name):
        if name in values:
            return
        if name in open_:
            raise ValueError(f'{NAMES[name]} depends on itself')
        if name not in by_name:
            raise ValueError(f'{NAMES[name]} has no definition')
        open_.add(name)
        for dependency in by_name[name].dependencies:
            visit(dependency)
        values[name] = evaluate(by_name[name], values)
        needed.append(by_name[name])

    visit(problem.query)
    return values[problem.query], needed


def values_so_far(definitions: list[Definition]) -> list[dict]:
    """Entry i, of len(definitions) + 1: the values, by parameter, that i definitions determine."""
    values, pending, out = {}, [], [{}]
    for definition in definitions:
        pending.append(definition)
        while ready := [d for d in pending if all(name in values for name in d.dependencies)]:
            values |= {d.parameter: evaluate(d, values) for d in ready}
            pending = [d for d in pending if d not in ready]
        out.append(dict(values))
    return out


def right_side(definition: Definition) -> str:
    terms = (' - ' if definition.minus else ' + ').join(NAMES[name] for name in definition.dependencies)
    if not terms:
        return str(definition.constant)
    return f'{definition.constant} {definition.operator} {terms}' if definition.operator else terms


def to_text(problem: Problem) -> str:
    """'E#I := 4. J#N := 3 * E#I. J#N?'"""
    lines = [f'{NAMES[definition.parameter]} := {right_side(definition)}.'
             for definition in problem.definitions]
    return ' '.join([*lines, f'{NAMES[problem.query]}?'])


def parse(text: str) -> Problem:
    """The problem of a text in that grammar; ValueError names the first sentence that is not."""
    name = r'[A-P]#[A-P]'
    sentence = re.compile(rf'({name}) := (?:(\d)|(?:(\d) ([+*]) )?({name}(?: - {name}|(?: \+ {name})*)))')
    *lines, question = [part.strip() for part in re.sub(r'\s+', ' ', text.strip()).split('.')]
    definitions = []
    for line in lines:
        match = sentence.fullmatch(line)
        if not match:
            raise ValueError(f'{line!r} is not of the form X#Y := c, S, c + S or c * S')
        own, bare, constant, operator, terms = match.groups()
        names = tuple(index_of(each) for each in re.findall(name, terms or ''))
        definitions.append(Definition(index_of(own), operator or '', int(bare or constant or 0), names,
                                      ' - ' in (terms or '')))
    if not re.fullmatch(rf'{name}\?', question):
        raise ValueError(f'the problem must end in a question, X#Y?, not {question!r}')
    return Problem(definitions, index_of(question[:-1]))


def index_of(name: str) -> int:
    """Index of NAMES; ValueError for a pair that is not on successive levels."""
    if name not in NAMES:
        raise ValueError(f'{name} does not join two successive levels (A-D, E-H, I-L, M-P)')
    return NAMES.index(name)


class IGSM(Task):
    """i-GSM as a task; a token is a parameter, a digit or a sign, and the difficulty is max_ops.

    supervise='values' scores more than the answer: at every mention of a parameter, and at the end of its
    definition, its value, wherever the text up to there determines it.
    """

    redraws_at_once = 1
    signs = ('+', '-', '*', ':=', '.', '?')

    def __init__(self, max_ops=(15,), max_edges=20, supervise='answer', starts=()):
        check_sizes(min(max_ops, default=1), max_edges)
        self.max_edges, self.supervise = max_edges, supervise
        self.difficulties, self.starts = tuple(max_ops), check_starts(max_ops, starts)
        self.words = [*NAMES, *map(str, range(MODULUS)), *self.signs, '_']
        self.number = {word: i for i, word in enumerate(self.words)}
        self.vocab_size, self.pad = len(self.words), len(self.words) - 1
        self.block_size = 8 * max_edges + 2  # longer problems are drawn again

    def draw(self, key, ids, difficulty):
        out = np.full((len(ids), self.block_size + 1), self.pad, np.uint8)
        for row, rng, max_ops in zip(out, rngs(key, ids), difficulty, strict=True):
            tokens = []
            while not 0 < len(tokens) <= self.block_size:
                problem = generate(rng, int(max_ops), self.max_edges)
                tokens = self.tokens(problem)
            row[:len(tokens) + 1] = tokens + [self.number[str(solve(problem)[0])]]
        return out

    def batch(self, rows, supervise):
        batch = super().batch(rows, 'answer' if supervise == 'values' else supervise)
        if supervise == 'values':
            for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
                self.score_values(tokens, targets)
        return batch

    def score_values(self, tokens, targets):
        definitions = self.problem(tokens).definitions
        values, i = values_so_far(definitions), 0
        for t in range(after(tokens[None], self.number['?'])[0] - 1):
            name = tokens[t]
            if name == self.number['.']:
                name, i = definitions[i].parameter, i + 1
            if name in values[i]:
                targets[t] = self.number[str(values[i][name])]

    def tokens(self, problem) -> list[int]:
        """The same as encode(to_text(problem)), without the text."""
        number, zero, out = self.number, len(NAMES), []
        plus, minus, becomes, stop = (number[sign] for sign in ('+', '-', ':=', '.'))
        for parameter, operator, constant, dependencies, subtract in problem.definitions:
            out += (parameter, becomes)
            if not dependencies:
                out += (zero + constant, stop)
                continue
            if operator:
                out += (zero + constant, number[operator])
            for name in dependencies:
                out += (name, minus if subtract else plus)
            out[-1] = stop
        return out + [problem.query, number['?']]

    def problem(self, row):
        """The problem of a row of tokens, which may go on after it."""
        return parse(self.decode(row[:after(row[None], self.number['?'])[0]]))

    def answer_start(self, rows):
        return after(rows, self.number['?'])

    def solve(self, prompt: list[int]) -> list[int]:
        return [self.number[str(solve(parse(self.decode(prompt)))[0])]]

    def baselines(self, batch: Batch) -> dict:
        """The commonest answer; and reading the query's own line, which is enough where it is a constant."""
        commonest, lines = majority(batch), []
        for row, right in zip(batch.tokens, commonest, strict=True):
            problem = self.problem(row)
            own = next(d for d in problem.definitions if d.parameter == problem.query)
            lines.append(right if own.dependencies else True)
        return {'majority answer': commonest, 'one line': np.array(lines)}

    def encode(self, text: str) -> list[int]:
        words = text.replace('.', ' .').replace('?', ' ?').split()
        if wrong := [word for word in words if word not in self.number]:
            raise ValueError(f'the prompt holds {wrong[0]!r}; possible are parameters such as E#I, digits '
                             f'0 to {MODULUS - 1} and {" ".join(self.signs)}')
        if len(words) > self.block_size:
            raise ValueError(f'the prompt has {len(words)} tokens; this model takes 1 to {self.block_size}')
        return [self.number[word] for word in words]

    def decode(self, tokens) -> str:
        text = ' '.join(self.words[token] for token in tokens if token != self.pad)
        return text.replace(' .', '.').replace(' ?', '?')
