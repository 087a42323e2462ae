"""Variable assignment: the reasoning primitives of Saunshi et al. 2025, Table 8, after arXiv 2409.19044.
Five variables get values of 1 to 25; each further depth adds five aliases, a shuffled one-to-one map onto the
five before; the question asks for one of the deepest. Three forms: equations, a Python program, one line."""
import re
import string
from dataclasses import dataclass
from random import Random
from typing import Literal, NamedTuple

import numpy as np

from problems.task import IGNORE, Batch, Text

WIDTH = 5
VALUE_MAX = 25
DEPTH_MAX = 4  # 5 * (4 + 1) of the 26 letters
QUESTIONS = 20


class Form(NamedTuple):
    before: str      # what precedes the assignments
    assignment: str
    joint: str       # between two assignments
    question: str    # what follows them
    gap: str         # between question and answer


FORMS = {
    'math': Form(
        before='The following is a set of simple mathematical equations.\n\n',
        assignment='{}={}', joint='\n', gap=' ',
        question='\nWhat is the numerical value of {query}?\nAnswer:',
    ),
    'code': Form(
        before='The following is a very short Python program. Use the program to resolve the value of the '
               'variable in the question.\nProgram:\n',
        assignment='{} = {}', joint='\n', gap=' ',
        question='\n\nQuestion:\nWhat is the value of {query}?\nAnswer:',
    ),
    'inline': Form(before='', assignment='{}={}', joint=', ', gap='', question=', {query}='),
}


class Assignments(NamedTuple):
    lines: list   # (name, value or name) in order
    query: str    # the variable of the question
    value: int    # its value
    others: list  # QUESTIONS variables of the same depth, drawn again and again, and their values


def sample_variables(rng: Random, depth: int) -> Assignments:
    """A problem of a depth: 0 asks for a variable with a value, each more for an alias one step further."""
    letters = rng.sample(string.ascii_lowercase, WIDTH * (depth + 1))
    deepest = [(name, rng.randint(1, VALUE_MAX)) for name in letters[:WIDTH]]
    lines = [(name, str(value)) for name, value in deepest]

    for level in range(1, depth + 1):
        targets = deepest
        rng.shuffle(targets)
        deepest = []
        for name, (target, value) in zip(letters[WIDTH * level:], targets, strict=False):
            lines.append((name, target))
            deepest.append((name, value))

    questions = [rng.choice(deepest) for _ in range(1 + QUESTIONS)]
    query, value = questions[0]
    return Assignments(lines, query, value, questions[1:])


def variables_text(problem: Assignments, form: str) -> tuple[str, str]:
    """(prompt, answer) in one of the FORMS; joined as they are, they read right."""
    template = FORMS[form]
    lines = [template.assignment.format(name, value) for name, value in problem.lines]
    question = template.question.format(query=problem.query)
    return template.before + template.joint.join(lines) + question, template.gap + str(problem.value)


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
    one answer a problem small models did not start to learn. Evaluation is the same: it scores the first."""

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
        self.set_words([*sorted(used), ';', '_'], repr(''.join(sorted(used))))

        # any problem of the largest depth, its values of two digits instead of one, and the end
        longest = sample_variables(Random(0), max(depths))
        self.block_size = len(''.join(variables_text(longest, self.form))) + 2 * WIDTH + 2
        if self.supervise == 'values':
            question = self.template.question.format(query='a') + self.template.gap
            self.block_size += QUESTIONS * (len(question) + 3)

    def draw_one(self, rng, depth):
        """Prompt, answer and end; with supervise='values' the other questions, answers and ends."""
        problem = sample_variables(rng, depth)
        texts = [''.join(variables_text(problem, self.form))]
        if self.supervise == 'values':
            for query, value in problem.others:
                question = self.template.question.format(query=query)
                texts.append(question + self.template.gap + str(value))
        return [self.number[character] for character in ';'.join(texts) + ';']

    def batch(self, rows, supervise: str) -> Batch:
        """'answer' scores the first answer, 'values' all: from the mark that ends a question to the end."""
        if supervise == 'all':
            return super().batch(rows, supervise)

        # from the right, an end opens an answer and the mark before it closes it
        is_end = rows == self.end
        is_mark = rows == self.number[self.template.question[-1]]
        scored = np.zeros(rows.shape, bool)
        inside = np.zeros(len(rows), bool)
        for t in reversed(range(rows.shape[1])):
            inside = (inside | is_end[:, t]) & ~is_mark[:, t]
            scored[:, t] = inside

        if supervise == 'answer':
            ends_before = np.cumsum(is_end, 1) - is_end
            scored &= ends_before == 0
        rows = rows.astype(np.int16)
        return Batch(rows[:, :-1], np.where(scored, rows, IGNORE)[:, 1:])

    def solve(self, prompt: list[int]) -> list[int]:
        value = solve_variables(self.decode(prompt))
        return [*self.encode(f'{self.template.gap}{value}'), self.end]

    def baselines(self, batch: Batch) -> dict:
        """The value on the first line; knowing the five values only, a guess is right in one of five."""
        right = []
        for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
            first = re.search(r'= ?(\d+)', self.decode(tokens))[1]
            answer = self.decode(targets[targets != IGNORE])
            right.append(first == answer.strip())
        return {'first value': np.array(right)}
