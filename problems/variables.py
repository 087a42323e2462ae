"""Variable assignment: the reasoning primitives of Saunshi et al. 2025, Table 8, after Saunshi et al. 2024.

Five variables get values of 1 to 25; each further depth adds five aliases, a shuffled one-to-one map onto the
five before; the question asks for one of the deepest. Three forms: equations, a Python program, one line. The
paper of 2024 is arXiv 2409.19044.
"""
import re
import string
from dataclasses import dataclass
from random import Random
from typing import Literal, NamedTuple

import numpy as np

from problems.task import IGNORE, Batch, Text, rngs

WIDTH = 5
VALUE_MAX = 25
DEPTH_MAX = 4  # 5 * (4 + 1) of the 26 letters
QUESTIONS = 20


class Form(NamedTuple):
    """How a problem is written."""
    before: str      # what precedes the assignments
    assignment: str
    joint: str       # between two assignments
    question: str    # what follows them
    gap: str         # between question and answer
    mark: str        # the question's last character


FORMS = {
    'math': Form(
        before='The following is a set of simple mathematical equations.\n\n',
        assignment='{}={}',
        joint='\n',
        question='\nWhat is the numerical value of {query}?\nAnswer:',
        gap=' ',
        mark=':',
    ),
    'code': Form(
        before='The following is a very short Python program. Use the program to resolve the value of the '
               'variable in the question.\nProgram:\n',
        assignment='{} = {}',
        joint='\n',
        question='\n\nQuestion:\nWhat is the value of {query}?\nAnswer:',
        gap=' ',
        mark=':',
    ),
    'inline': Form(
        before='',
        assignment='{}={}',
        joint=', ',
        question=', {query}=',
        gap='',
        mark='=',
    ),
}


class Assignments(NamedTuple):
    """The assignments (name, value or name) in order, the variable of the question, and its value.

    `others` has QUESTIONS variables of the question's depth, drawn again and again, and their values.
    """
    lines: list
    query: str
    value: int
    others: list


def sample_variables(rng: Random, depth: int) -> Assignments:
    """A problem of a depth: 0 asks for a variable with a value, each more for an alias one step further."""
    letters = rng.sample(string.ascii_lowercase, WIDTH * (depth + 1))
    names = letters[:WIDTH]
    values = [rng.randint(1, VALUE_MAX) for _ in range(WIDTH)]
    lines = list(zip(names, map(str, values), strict=True))

    for level in range(1, depth + 1):
        targets = list(range(WIDTH))
        rng.shuffle(targets)
        values_before = values
        names_before = names
        values = []
        names = letters[WIDTH * level:WIDTH * (level + 1)]
        for name, target in zip(names, targets, strict=True):
            lines.append((name, names_before[target]))
            values.append(values_before[target])

    deepest = list(zip(names, values, strict=True))
    questions = [rng.choice(deepest) for _ in range(1 + QUESTIONS)]
    query, value = questions[0]
    return Assignments(lines, query, value, questions[1:])


def variables_text(problem: Assignments, form: str) -> tuple[str, str]:
    """(prompt, answer) in one of the FORMS; joined as they are, they read right."""
    template = FORMS[form]
    lines = [template.assignment.format(name, value) for name, value in problem.lines]
    text = template.before + template.joint.join(lines)
    question = template.question.format(query=problem.query)
    return text + question, template.gap + str(problem.value)


def solve_variables(prompt: str) -> int:
    """The value asked for, read off the text of a prompt in any form. ValueError where it is not there."""
    known = {}
    for name, value in re.findall(r'\b([a-z]) ?= ?([a-z]|\d+)\b', prompt):
        known[name] = int(value) if value.isdigit() else known.get(value)
    query = re.search(r'value of ([a-z])\?', prompt) or re.search(r'([a-z])=$', prompt)
    if not query or known.get(query[1]) is None:
        raise ValueError('the prompt does not say the value that it asks for')
    return known[query[1]]


@dataclass(kw_only=True, eq=False)
class Variables(Text):
    """Variable assignment as a task; the difficulty is the depth, tokens are characters.

    supervise='values' asks QUESTIONS more times about the same lines and scores all answers in training: with
    one answer a problem small models did not start to learn. Evaluation is the same: it scores the first.
    """

    depths: tuple[int, ...] = (0, 1)        # steps from an alias to a value
    form: Literal['inline', 'math', 'code'] = 'inline'  # how a problem is written
    supervise: Literal['answer', 'all', 'values'] = 'answer'  # where the loss is; values: on 20 more answers
    difficulty_start: tuple[int, ...] = ()  # the step from which each depth is drawn
    train_examples: int = 0                 # size of a fixed training set; 0 draws fresh examples for ever

    redraws_at_once = 1

    def __post_init__(self):
        depths = self.depths
        if not depths or min(depths) < 0 or max(depths) > DEPTH_MAX:
            raise ValueError(f'depths={depths}: the alphabet allows depths 0 to {DEPTH_MAX}')
        self.set_difficulties('depths', depths)
        self.template = FORMS[self.form]
        used = set(''.join(self.template) + string.ascii_lowercase + string.digits) - set('{}')
        self.set_alphabet(''.join(sorted(used)) + ';_')

        # any problem of the largest depth, its values of two digits instead of one, and the end
        longest = sample_variables(Random(0), max(depths))
        text = ''.join(variables_text(longest, self.form))
        self.block_size = len(text) + 2 * WIDTH + 2
        if self.supervise == 'values':
            question = self.template.question.format(query='a') + self.template.gap
            self.block_size += QUESTIONS * (len(question) + 3)

    def draw(self, key, ids, difficulty):
        out = self.new_rows(len(ids))
        for row, rng, depth in zip(out, rngs(key, ids), difficulty.tolist(), strict=True):
            tokens = self.tokens(sample_variables(rng, depth))
            row[:len(tokens)] = tokens
        return out

    def tokens(self, problem: Assignments) -> list[int]:
        """Prompt, answer and end; with supervise='values' the other questions, answers and ends."""
        texts = [''.join(variables_text(problem, self.form))]
        if self.supervise == 'values':
            for query, value in problem.others:
                question = self.template.question.format(query=query)
                texts.append(question + self.template.gap + str(value))

        out = []
        for text in texts:
            out += map(self.number.get, text)
            out.append(self.end)
        return out

    def batch(self, rows, supervise: str) -> Batch:
        """'answer' scores the first answer, 'values' all: from the mark before an end to the end."""
        if supervise == 'all':
            return super().batch(rows, supervise)

        # from the right, an end opens an answer and the mark before it closes it
        is_end = rows == self.end
        is_mark = rows == self.number[self.template.mark]
        scored = np.zeros(rows.shape, bool)
        inside = np.zeros(len(rows), bool)
        for t in reversed(range(rows.shape[1])):
            inside = (inside | is_end[:, t]) & ~is_mark[:, t]
            scored[:, t] = inside

        if supervise == 'answer':
            ends_before = np.cumsum(is_end, 1) - is_end
            scored &= ends_before == 0
        rows = rows.astype(np.int16)
        targets = np.where(scored, rows, IGNORE)
        return Batch(rows[:, :-1], targets[:, 1:])

    def solve(self, prompt: list[int]) -> list[int]:
        value = solve_variables(self.decode(prompt))
        answer = self.encode(self.template.gap + str(value))
        return [*answer, self.end]

    def baselines(self, batch: Batch) -> dict:
        """The value on the first line; knowing the five values only, a guess is right in one of five."""
        right = []
        for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
            first = re.search(r'= ?(\d+)', self.decode(tokens))[1]
            answer = self.decode(targets[targets != IGNORE])
            right.append(first == answer.strip())
        return {'first value': np.array(right)}
