"""Problems of i-GSM, grade-school problems in symbols with arithmetic mod 7: sampler, solver, text.

    E#I := 4. J#N := 3 * E#I. I#N := E#I - J#N. I#N?

Saunshi et al. 2025, Sec. 2 and App. A.1, after Ye et al. 2024. Entities stand on 4 levels, named A-D, E-H,
I-L, M-P. An edge from a level to the next is a parameter, Parent#Child. Every parameter of the structure has
one definition, X := S, c, c + S or c * S, where S is A, A - B or a sum A + B + .. and `c *` multiplies all of
S. The definitions are shuffled, the question comes last, the answer is its value mod 7.

Sampling follows the generator that Ye et al. published (arXiv 2407.20311), within the simplifications of
Saunshi et al.: symbols for English, no abstract parameters, mod 7, 4 levels. docs/deviations.md, D8, says
what else differs."""
import re
import string
from functools import cache
from math import exp
from random import Random
from typing import NamedTuple

MODULUS = 7
LEVELS = 4
WIDTHS = {2: 0.2, 3: 0.5, 4: 0.8}  # entities of a level, and the hardness for which so many are likeliest
WIDTH = max(WIDTHS)
EDGES_MIN = min(WIDTHS) * (LEVELS - 1)
EDGES_MAX = WIDTH * WIDTH * (LEVELS - 1)
INPUTS_MAX = 4  # of a definition: its dependencies and its constant
NAME = '[A-P]#[A-P]'
SENTENCE = re.compile(rf'({NAME}) := (?:(\d)|(?:(\d) ([+*]) )?({NAME}(?: - {NAME}|(?: \+ {NAME})*)))')


def parameter_name(index: int) -> str:
    """Parent#Child; the index of an edge is (level * WIDTH + parent) * WIDTH + child."""
    parent, child = divmod(index, WIDTH)
    below = WIDTH * (parent // WIDTH + 1)
    return f'{string.ascii_uppercase[parent]}#{string.ascii_uppercase[below + child]}'


NAMES = [parameter_name(index) for index in range(EDGES_MAX)]


class Definition(NamedTuple):
    """parameter := constant (operator '') | S | constant + S | constant * S, S a sum, or one difference."""
    parameter: int           # index of NAMES
    operator: str            # '', '+', '*': how the constant enters; '' with dependencies: there is none
    constant: int
    dependencies: tuple      # indices of NAMES; none: the parameter is the constant
    minus: bool              # the second of two dependencies is subtracted

    @property
    def operations(self) -> int:
        """One less than its inputs; a bare constant or a copy counts as 1 (Ye et al. 2024, Sec. 2.2)."""
        return max(1, len(self.dependencies) + len(self.operator) - 1)


class Problem(NamedTuple):
    """Definitions in the order of the text, and the parameter asked for, an index of NAMES."""
    definitions: list
    query: int


# --- sampling

def sample_igsm(rng: Random, max_ops: int, max_edges: int) -> Problem:
    """A problem whose answer needs s operations, s = min of two uniform draws from 1 .. max_ops.
    The number of needed definitions is uniform from the larger of two draws from 1 .. s, up to s; it and the
    structure are drawn again where so few parameters cannot take s operations."""
    s = 1 + min(uniform(rng, max_ops), uniform(rng, max_ops))
    n_needed = 0
    while most_operations(n_needed) < s:
        parameters = draw_structure(rng, s, max_edges)
        fewest = 1 + max(uniform(rng, s), uniform(rng, s))
        n_needed = min(fewest + uniform(rng, s - fewest + 1), len(parameters))

    definitions = define_needed(rng, parameters[:n_needed], s)
    definitions += define_distractors(rng, parameters, n_needed)
    return Problem(draw(rng, definitions, len(definitions)), query=parameters[0])


@cache
def most_operations(n: int) -> int:
    """The operations of n definitions, each of which uses as many as it may of those before it."""
    return sum(max(1, min(i + 1, INPUTS_MAX) - 1) for i in range(n))


def check_sizes(max_ops: int, max_edges: int):
    """ValueError where no structure has so few edges or so many, or where they cannot hold max_ops."""
    if not EDGES_MIN <= max_edges <= EDGES_MAX:
        raise ValueError(f'max_edges={max_edges}: {LEVELS} levels of {min(WIDTHS)} to {WIDTH} entities have '
                         f'{EDGES_MIN} to {EDGES_MAX} edges')
    possible = most_operations(max_edges)
    if not 1 <= max_ops <= possible:
        raise ValueError(f'max_ops={max_ops} must be 1 to {possible} where max_edges={max_edges}')


def uniform(rng: Random, n: int) -> int:
    """Uniform in 0 .. n - 1."""
    return int(rng.random() * n)


def draw(rng: Random, pool: list, count: int) -> list:
    """`count` of a pool, each once, in random order: faster than Random.sample where they are few."""
    pool = pool.copy()
    return [pool.pop(int(rng.random() * len(pool))) for _ in range(count)]


def draw_structure(rng: Random, s: int, max_edges: int) -> list[int]:
    """Parameters (edges), in random order, that give every entity below the first level a parent."""
    narrowest, widest = sorted(rng.choices(list(WIDTHS), width_weights(s, max_edges), k=2))
    narrowest = min(narrowest, max_edges // (LEVELS - 1))
    fewest = narrowest * (LEVELS - 1)
    spare = max_edges - fewest + 1
    n_edges = fewest + min(uniform(rng, spare), uniform(rng, spare))
    n_edges = min(n_edges, widest * widest * (LEVELS - 1))
    sizes = draw_sizes(rng, narrowest, widest, n_edges)

    chosen = []  # an edge to each child
    others = []
    for level in range(LEVELS - 1):
        for child in range(sizes[level + 1]):
            first = level * WIDTH * WIDTH + child
            edges = list(range(first, first + WIDTH * sizes[level], WIDTH))
            chosen.append(edges.pop(uniform(rng, sizes[level])))
            others += edges
    chosen += draw(rng, others, n_edges - len(chosen))
    return draw(rng, chosen, n_edges)


@cache
def width_weights(s: int, max_edges: int) -> list[float]:
    """How likely each of WIDTHS is where s operations are needed."""
    hardness = (s - 1) / (max_edges - 1)
    return [exp(-(hardness - likeliest) ** 2) for likeliest in WIDTHS.values()]


def draw_sizes(rng: Random, narrowest: int, widest: int, n_edges: int) -> list[int]:
    """The number of entities on each level: one is added here or there until n_edges fit, and some more."""
    sizes = [narrowest] * LEVELS
    p_more = rng.random()
    while True:
        possible = sum(sizes[i] * sizes[i + 1] for i in range(LEVELS - 1))
        is_full = sum(sizes[1:]) == n_edges
        growing = [level for level in range(LEVELS) if sizes[level] < widest]
        if not growing or possible >= n_edges and (is_full or rng.random() >= p_more):
            return sizes
        sizes[growing[uniform(rng, len(growing))]] += 1


def define_needed(rng: Random, parameters: list[int], s: int) -> list[Definition]:
    """Definitions of all these parameters, s operations in all; the first is the query and needs the others.
    They are written from the query on, each of a parameter that is used already, by some that follow."""
    p_bound = rng.random()
    definitions = []
    used = parameters[:1]
    unused = parameters[1:]
    for operations in share_operations(rng, len(parameters), s):
        parameter = used.pop(uniform(rng, len(used)))
        following = used + unused
        n_inputs = operations + 1 if operations > 1 else 1 + uniform(rng, 2)
        n_inputs = min(n_inputs, len(following) + 1)

        # one input may have to be a parameter; of the others one is the constant by a coin or by lot
        is_bound = bool(following) and (not used or rng.random() < p_bound)
        n_open = n_inputs - is_bound
        n_possible = len(following) - is_bound + 1
        has_constant = n_open > 0 and (rng.random() < 0.5 or uniform(rng, n_possible) < n_open)
        dependencies = draw(rng, following, n_inputs - has_constant)
        definitions.append(define(rng, parameter, dependencies, has_constant))
        used += [dependency for dependency in dependencies if dependency in unused]
        unused = [parameter for parameter in unused if parameter not in used]
    return definitions


def share_operations(rng: Random, n: int, s: int) -> list[int]:
    """Operations of n definitions, s in all, each as many as those after it allow."""
    operations = [1] * n
    places = list(range(n - 2))
    for _ in range(s - n):
        i = places[uniform(rng, len(places))]
        operations[i] += 1
        if operations[i] == min(n - i, INPUTS_MAX) - 1:
            places.remove(i)
    return operations


def define_distractors(rng: Random, parameters: list[int], n_needed: int) -> list[Definition]:
    """Definitions of parameters[n_needed:]; half of them use only one another, the others any before them."""
    definitions = []
    independent = []
    for i in range(n_needed, len(parameters)):
        is_independent = rng.random() < 0.5
        pool = independent if is_independent else parameters[:i]
        count = 1
        while count < min(len(pool) + 1, INPUTS_MAX) and rng.random() < 0.5:
            count += 1
        has_constant = count > len(pool) or rng.random() < 0.5
        dependencies = draw(rng, pool, count - has_constant)
        definitions.append(define(rng, parameters[i], dependencies, has_constant))
        if is_independent:
            independent.append(parameters[i])
    return definitions


def define(rng: Random, parameter: int, dependencies: list, has_constant: bool) -> Definition:
    """A definition by these dependencies, with a random constant where it has one."""
    if not dependencies:
        return Definition(parameter, '', uniform(rng, MODULUS), (), False)
    minus = len(dependencies) == 2 and rng.random() < 0.5
    operator = ''
    constant = 0
    if has_constant:
        operator = '+*'[uniform(rng, 2)]
        least = 1 if operator == '*' else 0
        constant = least + uniform(rng, MODULUS - least)
    return Definition(parameter, operator, constant, tuple(dependencies), minus)


# --- solving

def value_of(definition: Definition, values: dict) -> int:
    """The value mod 7 of a definition, given those of its dependencies."""
    terms = [values[parameter] for parameter in definition.dependencies]
    total = terms[0] - terms[1] if definition.minus else sum(terms)
    if definition.operator == '*':
        return total * definition.constant % MODULUS
    return (total + definition.constant) % MODULUS


def solve_igsm(problem: Problem) -> tuple[int, list[Definition]]:
    """(the answer, the definitions that it needs in an order that can be computed).
    ValueError where a parameter has no definition or depends on itself."""
    definition_of = {definition.parameter: definition for definition in problem.definitions}
    values = {}
    needed = []

    def visit(parameter):
        if parameter not in definition_of:
            raise ValueError(f'{NAMES[parameter]} has no definition')
        definition = definition_of[parameter]
        values[parameter] = None  # until those that it uses have theirs
        for dependency in definition.dependencies:
            if dependency not in values:
                visit(dependency)
            elif values[dependency] is None:
                raise ValueError(f'{NAMES[dependency]} depends on itself')
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
        ready = [definition]
        while ready:
            ready = [d for d in pending if values.keys() >= set(d.dependencies)]
            for d in ready:
                values[d.parameter] = value_of(d, values)
            pending = [d for d in pending if d.parameter not in values]
        out.append(dict(values))
    return out


# --- text

def igsm_text(problem: Problem) -> str:
    """'E#I := 4. J#N := 3 * E#I. J#N?'"""
    parts = []
    for parameter, operator, constant, dependencies, minus in problem.definitions:
        joint = ' - ' if minus else ' + '
        right = joint.join([NAMES[dependency] for dependency in dependencies]) or str(constant)
        if operator:
            right = f'{constant} {operator} {right}'
        parts.append(f'{NAMES[parameter]} := {right}.')
    return ' '.join([*parts, f'{NAMES[problem.query]}?'])


def parse_igsm(text: str) -> Problem:
    """The problem of a text in that grammar; ValueError names the first sentence that is not."""
    text = re.sub(r'\s+', ' ', text.strip())
    lines = [line.strip() for line in text.split('.')]
    question = lines.pop()
    definitions = list(map(parse_definition, lines))
    if len({definition.parameter for definition in definitions}) < len(definitions):
        raise ValueError('the problem defines a parameter twice')
    if not re.fullmatch(rf'{NAME}\?', question):
        raise ValueError(f'the problem must end in a question, X#Y?, not {question!r}')
    return Problem(definitions, index_of(question[:-1]))


def parse_definition(line: str) -> Definition:
    """The definition of a sentence without its full stop."""
    match = SENTENCE.fullmatch(line)
    if not match:
        raise ValueError(f'{line!r} is not of the form X#Y := c, S, c + S or c * S')
    name, bare, scale, operator, terms = match.groups(default='')
    dependencies = tuple(map(index_of, re.findall(NAME, terms)))
    return Definition(index_of(name), operator, int(bare or scale or 0), dependencies, ' - ' in terms)


def index_of(name: str) -> int:
    """Index of NAMES; ValueError for a pair that is not on successive levels."""
    if name not in NAMES:
        raise ValueError(f'{name} does not join two successive levels (A-D, E-H, I-L, M-P)')
    return NAMES.index(name)
