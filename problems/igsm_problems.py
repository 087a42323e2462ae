"""Problems of i-GSM, grade-school problems in symbols with arithmetic mod 7: sampler, solver, text.

    E#I := 4. J#N := 3 * E#I. I#N := E#I - J#N. I#N?

Saunshi et al. 2025, Sec. 2 and App. A.1, after Ye et al. 2024. Entities stand on 4 levels, named A-D, E-H,
I-L, M-P. An edge from a level to the next is a parameter, Parent#Child. Every parameter of the structure has
one definition, X := S, c, c + S or c * S, where S is A, A - B or a sum A + B + .. and `c *` multiplies all of
S. The definitions are shuffled, the question comes last, the answer is its value mod 7.

Sampling follows Ye et al., Sec. 2, without their English and abstract parameters: the operations s that the
answer needs are the smaller of two uniform draws from 1 .. max_ops; every lower entity gets one parent at
random, then edges are added up to a uniform count of at most max_edges; definitions are built so that all s
operations are needed; edges left over become distractors. What Saunshi et al. do not state (counts,
constants) is chosen here.
"""
import re
import string
from random import Random
from typing import NamedTuple

MODULUS = 7
LEVELS = 4
WIDTH = 4  # most entities of a level; the least is 2
EDGES_MIN = 2 * (LEVELS - 1)
EDGES_MAX = WIDTH * WIDTH * (LEVELS - 1)
DEPENDENCIES_MAX = 4
NAME = '[A-P]#[A-P]'
SENTENCE = re.compile(rf'({NAME}) := (?:(\d)|(?:(\d) ([+*]) )?({NAME}(?: - {NAME}|(?: \+ {NAME})*)))')


def index_of_edge(level: int, parent: int, child: int) -> int:
    """Index of NAMES of the edge from entity `parent` of a level to entity `child` of the next."""
    return (level * WIDTH + parent) * WIDTH + child


def parameter_names() -> list[str]:
    """The name of every possible parameter, by its index."""
    names = [''] * EDGES_MAX
    for level in range(LEVELS - 1):
        letters = string.ascii_uppercase[WIDTH * level:]
        for parent in range(WIDTH):
            for child in range(WIDTH):
                index = index_of_edge(level, parent, child)
                names[index] = f'{letters[parent]}#{letters[WIDTH + child]}'
    return names


NAMES = parameter_names()


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
        between = len(self.dependencies) - 1
        with_constant = self.operator != ''
        return max(1, between + with_constant)


class Problem(NamedTuple):
    """Definitions in the order of the text, and the parameter asked for, an index of NAMES."""
    definitions: list
    query: int


# --- sampling

def sample_igsm(rng: Random, max_ops: int, max_edges: int) -> Problem:
    """A problem whose answer needs s operations, s = min of two uniform draws from 1 .. max_ops.

    Where the structure has too few parameters for s, all of them are needed and s is as large as they allow.
    """
    parameters = draw_structure(rng, max_edges)
    rng.shuffle(parameters)
    draws = (uniform(rng, max_ops), uniform(rng, max_ops))
    s = 1 + min(draws)
    definitions = define_needed(rng, parameters, s)

    # distractors may use what is needed, not the other way round
    for i in range(len(definitions), len(parameters)):
        count = min(uniform(rng, DEPENDENCIES_MAX + 1), i)
        dependencies = rng.sample(parameters[:i], count)
        has_constant = rng.random() < 0.5
        definition = define(rng, parameters[i], dependencies, has_constant)
        definitions.append(definition)

    rng.shuffle(definitions)
    return Problem(definitions, query=parameters[0])


def check_edges(max_edges: int):
    """ValueError where no structure has so few edges, or none so many."""
    if not EDGES_MIN <= max_edges <= EDGES_MAX:
        raise ValueError(f'max_edges={max_edges}: {LEVELS} levels of 2 to {WIDTH} entities have '
                         f'{EDGES_MIN} to {EDGES_MAX} edges')


def uniform(rng: Random, n: int) -> int:
    """Uniform in 0 .. n - 1."""
    return int(rng.random() * n)


def draw_structure(rng: Random, max_edges: int) -> list[int]:
    """Parameters (edges) of a structure in which every entity below the first level has a parent."""
    sizes = draw_sizes(rng)
    while sum(sizes[1:]) > max_edges:
        sizes = draw_sizes(rng)

    chosen = []  # an edge to each child
    others = []
    for level in range(LEVELS - 1):
        n_parents = sizes[level]
        for child in range(sizes[level + 1]):
            start = index_of_edge(level, 0, child)
            edges = list(range(start, start + WIDTH * n_parents, WIDTH))
            place = uniform(rng, n_parents)
            chosen.append(edges.pop(place))
            others += edges

    room = min(max_edges - len(chosen), len(others))
    if room > 0:
        count = uniform(rng, room + 1)
        chosen += rng.sample(others, count)
    return chosen


def draw_sizes(rng: Random) -> list[int]:
    """The number of entities on each level."""
    return [2 + uniform(rng, WIDTH - 1) for _ in range(LEVELS)]


def define_needed(rng: Random, parameters: list[int], s: int) -> list[Definition]:
    """Definitions of parameters[0], the query, and of all it needs, s operations in all.

    Parameters are taken in order, each one used by an earlier one, so none is idle and no cycle can close.
    One operation is kept back for every parameter that is used but not yet defined.
    """
    definitions = []
    n_used = 1
    spare = s - 1
    while len(definitions) < n_used:
        i = len(definitions)
        known = parameters[i + 1:n_used]
        n_left = len(parameters) - n_used
        has_constant = rng.random() < 0.5
        count, n_new = draw_counts(rng, spare, len(known), n_left, has_constant)

        new = parameters[n_used:n_used + n_new]
        dependencies = new + rng.sample(known, count - n_new)
        rng.shuffle(dependencies)
        definition = define(rng, parameters[i], dependencies, has_constant)
        definitions.append(definition)
        spare -= definition.operations - 1 + n_new
        n_used += n_new
    return definitions


def draw_counts(rng: Random, spare: int, n_known: int, n_left: int, has_constant: bool) -> tuple[int, int]:
    """How many dependencies a definition gets, and how many of these no definition has used before.

    It may take `spare` operations beyond the first, n_known parameters that are in use, n_left that are not.
    """
    most = min(spare, DEPENDENCIES_MAX - 2 + has_constant)
    extra = uniform(rng, most + 1)  # operations after the first
    if extra:
        count = extra + 2 - has_constant
    else:
        count = uniform(rng, 3 - has_constant)

    # no more than can be had and paid
    while count > n_known + min(n_left, spare - extra):
        extra = max(0, extra - 1)
        count -= 1

    # the chain must go on
    if not n_known and n_left and spare:
        count = max(count, 1)

    n_new_min = max(count - n_known, 0)
    n_new_max = min(count, n_left, spare - extra)
    n_new = n_new_min + uniform(rng, n_new_max - n_new_min + 1)
    return count, n_new


def define(rng: Random, parameter: int, dependencies: list, has_constant: bool) -> Definition:
    """A definition by these dependencies, with a random constant where it has one."""
    if not dependencies:
        return Definition(parameter, '', uniform(rng, MODULUS), (), False)
    dependencies = tuple(dependencies)
    minus = len(dependencies) == 2 and rng.random() < 0.5

    if not has_constant:
        return Definition(parameter, '', 0, dependencies, minus)
    if rng.random() < 0.5:
        constant = 1 + uniform(rng, MODULUS - 1)
        return Definition(parameter, '+', constant, dependencies, minus)
    constant = 2 + uniform(rng, MODULUS - 2)
    return Definition(parameter, '*', constant, dependencies, minus)


# --- solving

def value_of(definition: Definition, values: dict) -> int:
    """The value mod 7 of a definition, given those of its dependencies."""
    terms = [values[parameter] for parameter in definition.dependencies]
    constant = definition.constant
    if not terms:
        return constant % MODULUS
    total = terms[0] - terms[1] if definition.minus else sum(terms)
    if definition.operator == '*':
        total *= constant
    elif definition.operator == '+':
        total += constant
    return total % MODULUS


def solve_igsm(problem: Problem) -> tuple[int, list[Definition]]:
    """(the answer, the definitions that it needs in an order that can be computed).

    ValueError where a parameter has no definition or depends on itself.
    """
    definition_of = {definition.parameter: definition for definition in problem.definitions}
    values = {}
    needed = []
    begun = set()

    def visit(parameter):
        if parameter in values:
            return
        if parameter in begun:
            raise ValueError(f'{NAMES[parameter]} depends on itself')
        if parameter not in definition_of:
            raise ValueError(f'{NAMES[parameter]} has no definition')

        begun.add(parameter)
        definition = definition_of[parameter]
        for dependency in definition.dependencies:
            visit(dependency)
        values[parameter] = value_of(definition, values)
        needed.append(definition)

    visit(problem.query)
    return values[problem.query], needed


def values_so_far(definitions: list[Definition]) -> list[dict]:
    """Entry i, of len(definitions) + 1: the values, by parameter, that i definitions determine."""
    values = {}
    pending = []
    out = [{}]
    for definition in definitions:
        pending.append(definition)
        pending = settle(pending, values)
        out.append(dict(values))
    return out


def settle(pending: list[Definition], values: dict) -> list[Definition]:
    """Adds to `values` all that they determine; returns the definitions that still wait for others."""
    n_before = -1
    while len(values) > n_before:
        n_before = len(values)
        waiting = []
        for definition in pending:
            if values.keys() >= set(definition.dependencies):
                values[definition.parameter] = value_of(definition, values)
            else:
                waiting.append(definition)
        pending = waiting
    return pending


# --- text

def igsm_text(problem: Problem) -> str:
    """'E#I := 4. J#N := 3 * E#I. J#N?'"""
    lines = []
    for definition in problem.definitions:
        name = NAMES[definition.parameter]
        lines.append(f'{name} := {right_side(definition)}.')
    lines.append(f'{NAMES[problem.query]}?')
    return ' '.join(lines)


def right_side(definition: Definition) -> str:
    """What stands behind ':='."""
    if not definition.dependencies:
        return str(definition.constant)
    joint = ' - ' if definition.minus else ' + '
    terms = joint.join(NAMES[parameter] for parameter in definition.dependencies)
    if not definition.operator:
        return terms
    return f'{definition.constant} {definition.operator} {terms}'


def parse_igsm(text: str) -> Problem:
    """The problem of a text in that grammar; ValueError names the first sentence that is not."""
    text = re.sub(r'\s+', ' ', text.strip())
    lines = [line.strip() for line in text.split('.')]
    question = lines.pop()
    definitions = list(map(parse_definition, lines))
    if not re.fullmatch(rf'{NAME}\?', question):
        raise ValueError(f'the problem must end in a question, X#Y?, not {question!r}')
    return Problem(definitions, index_of(question[:-1]))


def parse_definition(line: str) -> Definition:
    """The definition of a sentence without its full stop."""
    match = SENTENCE.fullmatch(line)
    if not match:
        raise ValueError(f'{line!r} is not of the form X#Y := c, S, c + S or c * S')
    name, bare, scale, operator, terms = match.groups(default='')
    names = re.findall(NAME, terms)
    dependencies = tuple(map(index_of, names))
    constant = int(bare or scale or 0)
    minus = ' - ' in terms
    return Definition(index_of(name), operator, constant, dependencies, minus)


def index_of(name: str) -> int:
    """Index of NAMES; ValueError for a pair that is not on successive levels."""
    if name not in NAMES:
        raise ValueError(f'{name} does not join two successive levels (A-D, E-H, I-L, M-P)')
    return NAMES.index(name)
