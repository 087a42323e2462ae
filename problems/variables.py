"""Variable assignment: the reasoning primitives of A's Table 8, after Saunshi et al. 2024 (arXiv 2409.19044).

Five variables get values of 1 to 25; each further depth adds five aliases, a shuffled one-to-one map onto the
five before; the question asks for one of the deepest. Three forms: equations, a Python program, one line.
"""
import re
import string
from random import Random
from typing import NamedTuple

import numpy as np

from problems.task import IGNORE, Batch, Text, check_starts, rngs

WIDTH, VALUE_MAX, DEPTH_MAX = 5, 25, 4  # 5 * (4 + 1) of the 26 letters
QUESTIONS = 20
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
    """The assignments (name, value or name) in order, the variable asked for, and its value.

    `more` has QUESTIONS variables of its depth, drawn again and again, and their values.
    """
    lines: list
    query: str
    value: int
    more: list


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
    deepest = list(zip(letters[WIDTH * depth:], values, strict=True))
    (query, value), *more = [rng.choice(deepest) for _ in range(1 + QUESTIONS)]
    return Assignment(lines, query, value, more)


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


class Variables(Text):
    """Variable assignment as a task; the difficulty is the depth, tokens are characters.

    supervise='values' asks QUESTIONS more times about the same lines and scores all answers in training: with
    one answer a problem small models did not start to learn. Evaluation is the same: it scores the first.
    """

    redraws_at_once = 1

    def __init__(self, depths=(0, 1), form='inline', supervise='answer', starts=()):
        if not depths or min(depths) < 0 or max(depths) > DEPTH_MAX:
            raise ValueError(f'depths={depths}: the alphabet allows depths 0 to {DEPTH_MAX}')
        template, line, joint, gap = FORMS[form]
        used = set(template + line + joint + gap + string.ascii_lowercase + string.digits) - set('{}')
        self.set_alphabet(''.join(sorted(used)) + ';_')
        self.difficulties, self.starts = tuple(depths), check_starts(depths, starts)
        self.form, self.supervise = form, supervise
        self.question = template.split('{lines}')[1]
        longest = generate(Random(0), max(depths))
        fixed = sum(len(part) for part in to_text(longest, form))
        self.block_size = fixed + 2 * WIDTH + 2  # values of two digits instead of one, and the end
        if supervise == 'values':
            self.block_size += QUESTIONS * (len(self.question.format(query='a') + gap) + 3)

    def draw(self, key, ids, difficulty):
        out = np.full((len(ids), self.block_size + 1), self.pad, np.uint8)
        for row, rng, depth in zip(out, rngs(key, ids), difficulty, strict=True):
            tokens = self.row(generate(rng, int(depth)))
            row[:len(tokens)] = tokens
        return out

    def row(self, problem: Assignment) -> list[int]:
        """Prompt, answer and end; with supervise='values' the other questions, answers and ends."""
        texts, gap = [''.join(to_text(problem, self.form))], FORMS[self.form][3]
        for query, value in problem.more if self.supervise == 'values' else ():
            texts.append(self.question.format(query=query) + gap + str(value))
        return [token for text in texts for token in [*map(self.number.get, text), self.end]]

    def batch(self, rows, supervise: str) -> Batch:
        """'answer' scores the first answer, 'values' all: from the mark before an end to the end."""
        if supervise == 'all':
            return super().batch(rows, supervise)
        mark = self.number['=' if self.form == 'inline' else ':']
        scored, inside = np.zeros(rows.shape, bool), np.zeros(len(rows), bool)
        for t in reversed(range(rows.shape[1])):
            inside = (inside | (rows[:, t] == self.end)) & (rows[:, t] != mark)
            scored[:, t] = inside
        if supervise == 'answer':
            ends_before = np.cumsum(rows == self.end, 1) - (rows == self.end)
            scored &= ends_before == 0
        targets = np.where(scored, rows.astype(np.int16), IGNORE)[:, 1:]
        return Batch(rows[:, :-1].astype(np.int16), targets)

    def solve(self, prompt: list[int]) -> list[int]:
        text = str(solve(self.decode(prompt)))
        return self.encode(FORMS[self.form][3] + text) + [self.end]

    def baselines(self, batch: Batch) -> dict:
        """The value on the first line; knowing the five values only, a guess is right in one of five."""
        rows = [self.decode(row) for row in batch.tokens]
        first = [re.search(r'= ?(\d+)', row)[1] for row in rows]
        answers = [self.decode(row[row != IGNORE]).strip() for row in batch.targets]
        return {'first value': np.array([a == b for a, b in zip(first, answers, strict=True)])}
