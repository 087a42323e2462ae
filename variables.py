"""Variable assignment: the reasoning primitives of A's Table 8, after Saunshi et al. 2024 (arXiv 2409.19044).

Five variables get values of 1 to 25; each further depth adds five aliases, a shuffled one-to-one map onto the
five before; the question asks for one of the deepest. Three forms: equations, a Python program, one line.
"""
import re
from random import Random
from typing import NamedTuple

WIDTH, VALUE_MAX, DEPTH_MAX = 5, 25, 4  # 5 * (4 + 1) of the 26 letters
MATH = ('The following is a set of simple mathematical equations.\n\n{lines}\n'
        'What is the numerical value of {query}?\nAnswer:')
CODE = ('The following is a very short Python program. Use the program to resolve the value of the '
        'variable in the question.\nProgram:\n{lines}\n\nQuestion:\nWhat is the value of {query}?\nAnswer:')
FORMS = {  # template, assignment, what joins the assignments, what stands before the answer
    'math': (MATH, '{}={}', '\n', ' '),
    'code': (CODE, '{} = {}', '\n', ' '),
    'inline': ('{lines}, {query}=', '{}={}', ', ', ''),
}


class Assignment(NamedTuple):
    """The assignments (name, value or name) in order, the variable asked for, and its value."""
    lines: list
    query: str
    value: int


def generate(rng: Random, depth: int) -> Assignment:
    """A problem of a depth: 0 asks for a variable with a value, each more for an alias one step further."""
    letters = rng.sample('abcdefghijklmnopqrstuvwxyz', WIDTH * (depth + 1))
    values = [rng.randint(1, VALUE_MAX) for _ in range(WIDTH)]
    lines = [(letter, str(value)) for letter, value in zip(letters, values, strict=False)]
    for level in range(1, depth + 1):
        targets = list(range(WIDTH))
        rng.shuffle(targets)
        before = letters[WIDTH * (level - 1):WIDTH * level]
        names = letters[WIDTH * level:WIDTH * (level + 1)]
        lines += [(name, before[target]) for name, target in zip(names, targets, strict=True)]
        values = [values[target] for target in targets]
    asked = rng.randrange(WIDTH)
    return Assignment(lines, letters[WIDTH * depth + asked], values[asked])


def to_text(problem: Assignment, form: str) -> tuple[str, str]:
    """(prompt, answer) in one of the FORMS; joined as they are, they read right."""
    template, line, joint, gap = FORMS[form]
    lines = joint.join(line.format(name, value) for name, value in problem.lines)
    return template.format(lines=lines, query=problem.query), gap + str(problem.value)


def solve(prompt: str) -> int:
    """The value asked for, read off the text of a prompt in any form. ValueError where it is not there."""
    known = {}
    for name, value in re.findall(r'\b([a-z]) ?= ?([a-z]|\d+)\b', prompt):
        known[name] = int(value) if value.isdigit() else known.get(value)
    asked = re.search(r'value of ([a-z])\?', prompt) or re.search(r'([a-z])=$', prompt)
    if not asked or known.get(asked[1]) is None:
        raise ValueError('the prompt does not say the value that it asks for')
    return known[asked[1]]
