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
