"""i-GSM as a task (Saunshi et al. 2025, Sec. 2 and App. A.1); its problems are made in igsm_problems.py."""
from dataclasses import dataclass
from typing import Literal

from problems.igsm_problems import (
    MODULUS,
    NAMES,
    Problem,
    check_sizes,
    igsm_text,
    parse_igsm,
    sample_igsm,
    solve_igsm,
    values_so_far,
)
from problems.task import Batch, Text, after, majority

PRESETS = {'medium': (15, 20), 'hard': (21, 28)}  # (max_ops, max_edges) of Ye et al. 2024, Sec. 2.2
DIGITS = [str(digit) for digit in range(MODULUS)]
SIGNS = ['+', '-', '*', ':=', '.', '?']


@dataclass(kw_only=True, eq=False)
class IGSM(Text):
    """A token is a parameter, a digit or a sign, which the paper does not state; the difficulty is max_ops.
    supervise='values' scores more than the answer: at every mention of a parameter, and at the end of its
    definition, its value, wherever the text up to there determines it."""

    max_ops: tuple[int, ...] = (15,)        # an answer needs min of two draws up to this
    max_edges: int = 20                     # most parameters (15, 20: Ye et al.'s medium; 21, 28: hard)
    supervise: Literal['answer', 'all', 'values'] = 'answer'  # where the loss is; values: where one is known
    difficulty_start: tuple[int, ...] = ()  # the step from which each max_ops is drawn
    train_examples: int = 0                 # size of a fixed training set; 0 draws fresh examples for ever

    joint = ' '
    redraws_at_once = 1

    def __post_init__(self):
        for max_ops in self.max_ops:
            check_sizes(max_ops, self.max_edges)
        self.set_difficulties('max_ops', self.max_ops)
        possible = f'parameters such as E#I, digits 0 to {MODULUS - 1} and {" ".join(SIGNS)}'
        self.set_words([*NAMES, *DIGITS, *SIGNS, '_'], possible)
        self.block_size = 8 * self.max_edges + 2  # longer problems are drawn again

    def draw_one(self, rng, max_ops):
        words = []
        while not 0 < len(words) <= self.block_size:
            problem = sample_igsm(rng, max_ops, self.max_edges)
            words = self.split(igsm_text(problem))
        words.append(str(solve_igsm(problem)[0]))
        return [self.number[word] for word in words]

    def batch(self, rows, supervise):
        if supervise != 'values':
            return super().batch(rows, supervise)
        batch = super().batch(rows, 'answer')
        for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
            self.score_values(tokens, targets)
        return batch

    def score_values(self, tokens, targets):
        """Writes into targets (T,) each value that the tokens (T,) up to its place determine."""
        definitions = self.problem(tokens).definitions
        values = values_so_far(definitions)
        i = 0  # definitions that have ended
        for t, token in enumerate(tokens.tolist()):
            parameter = token  # tokens below len(NAMES) are parameters
            if token == self.number['?']:
                break
            if token == self.number['.']:
                parameter = definitions[i].parameter
                i += 1
            if parameter in values[i]:
                targets[t] = self.number[str(values[i][parameter])]

    def problem(self, row) -> Problem:
        """The problem of a row of tokens, which may go on after it."""
        size = self.answer_start(row[None])[0]
        return parse_igsm(self.decode(row[:size]))

    def answer_start(self, rows):
        return after(rows, self.number['?'])

    def solve(self, prompt: list[int]) -> list[int]:
        answer = solve_igsm(parse_igsm(self.decode(prompt)))[0]
        return [self.number[str(answer)]]

    def baselines(self, batch: Batch) -> dict:
        """The commonest answer; and reading the query's own line, which is enough where it is a constant."""
        commonest = majority(batch)
        one_line = commonest.copy()
        for i, row in enumerate(batch.tokens):
            definitions, query = self.problem(row)
            constants = [definition.parameter for definition in definitions if not definition.dependencies]
            one_line[i] |= query in constants
        return {'majority answer': commonest, 'one line': one_line}

    def split(self, text):
        return text.replace('.', ' .').replace('?', ' ?').split()

    def decode(self, tokens):
        return super().decode(tokens).replace(' .', '.').replace(' ?', '?')
