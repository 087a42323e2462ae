"""i-GSM as a task (Saunshi et al. 2025, Sec. 2 and App. A.1); its problems are made in igsm_problems.py."""
from dataclasses import dataclass
from typing import Literal

from problems.igsm_problems import (
    MODULUS,
    NAMES,
    Problem,
    check_edges,
    parse_igsm,
    sample_igsm,
    solve_igsm,
    values_so_far,
)
from problems.task import Batch, Task, after, majority, rngs

PRESETS = {'medium': (15, 20), 'hard': (21, 28)}  # (max_ops, max_edges) of Ye et al. 2024, Sec. 2.2
SIGNS = ('+', '-', '*', ':=', '.', '?')


@dataclass(kw_only=True, eq=False)
class IGSM(Task):
    """A token is a parameter, a digit or a sign, which the paper does not state; the difficulty is max_ops.

    supervise='values' scores more than the answer: at every mention of a parameter, and at the end of its
    definition, its value, wherever the text up to there determines it.
    """

    max_ops: tuple[int, ...] = (15,)        # an answer needs min of two draws up to this
    max_edges: int = 20                     # most parameters (15, 20: Ye et al.'s medium; 21, 28: hard)
    supervise: Literal['answer', 'all', 'values'] = 'answer'  # where the loss is; values: where one is known
    difficulty_start: tuple[int, ...] = ()  # the step from which each max_ops is drawn
    train_examples: int = 0                 # size of a fixed training set; 0 draws fresh examples for ever

    redraws_at_once = 1

    def __post_init__(self):
        check_edges(self.max_edges)
        least_ops = min(self.max_ops, default=1)
        if least_ops < 1:
            raise ValueError(f'max_ops={least_ops} must be at least 1')
        self.set_difficulties('max_ops', self.max_ops)

        digits = map(str, range(MODULUS))
        self.words = [*NAMES, *digits, *SIGNS, '_']
        self.number = {word: i for i, word in enumerate(self.words)}
        self.vocab_size = len(self.words)
        self.pad = self.vocab_size - 1
        self.block_size = 8 * self.max_edges + 2  # longer problems are drawn again

    def draw(self, key, ids, difficulty):
        out = self.new_rows(len(ids))
        for row, rng, max_ops in zip(out, rngs(key, ids), difficulty.tolist(), strict=True):
            tokens = []
            while not 0 < len(tokens) <= self.block_size:
                problem = sample_igsm(rng, max_ops, self.max_edges)
                tokens = self.tokens(problem)
            tokens.append(self.answer_token(problem))
            row[:len(tokens)] = tokens
        return out

    def tokens(self, problem: Problem) -> list[int]:
        """The same as encode(igsm_text(problem)), without the text."""
        number = self.number
        zero = number['0']
        becomes = number[':=']
        stop = number['.']
        out = []

        # a definition's parts, the joint after its last dependency replaced by the stop
        for definition in problem.definitions:
            out += (definition.parameter, becomes)
            if not definition.dependencies:
                out += (zero + definition.constant, stop)
                continue
            if definition.operator:
                out += (zero + definition.constant, number[definition.operator])
            joint = number['-' if definition.minus else '+']
            for parameter in definition.dependencies:
                out += (parameter, joint)
            out[-1] = stop

        out += (problem.query, number['?'])
        return out

    def answer_token(self, problem: Problem) -> int:
        answer = solve_igsm(problem)[0]
        return self.number[str(answer)]

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

        statements = tokens[:self.problem_size(tokens) - 1]
        for t, token in enumerate(statements.tolist()):
            parameter = token  # tokens below len(NAMES) are parameters
            if token == self.number['.']:
                parameter = definitions[i].parameter
                i += 1
            if parameter in values[i]:
                value = values[i][parameter]
                targets[t] = self.number[str(value)]

    def problem(self, row) -> Problem:
        """The problem of a row of tokens, which may go on after it."""
        size = self.problem_size(row)
        return parse_igsm(self.decode(row[:size]))

    def problem_size(self, row) -> int:
        """Tokens of a row up to the end of the question."""
        return int(after(row[None], self.number['?'])[0])

    def answer_start(self, rows):
        return after(rows, self.number['?'])

    def solve(self, prompt: list[int]) -> list[int]:
        problem = parse_igsm(self.decode(prompt))
        return [self.answer_token(problem)]

    def baselines(self, batch: Batch) -> dict:
        """The commonest answer; and reading the query's own line, which is enough where it is a constant."""
        commonest = majority(batch)
        one_line = commonest.copy()
        for i, row in enumerate(batch.tokens):
            problem = self.problem(row)
            for definition in problem.definitions:
                if definition.parameter == problem.query and not definition.dependencies:
                    one_line[i] = True
        return {'majority answer': commonest, 'one line': one_line}

    def encode(self, text: str) -> list[int]:
        """'E#I := 4. E#I?' -> tokens. ValueError where a word is no token, or where there are too many."""
        words = text.replace('.', ' .').replace('?', ' ?').split()
        unknown = [word for word in words if word not in self.number]
        if unknown:
            raise ValueError(f'the prompt holds {unknown[0]!r}; possible are parameters such as E#I, digits '
                             f'0 to {MODULUS - 1} and {" ".join(SIGNS)}')
        if len(words) > self.block_size:
            raise ValueError(f'the prompt has {len(words)} tokens; this model takes 1 to {self.block_size}')
        return [self.number[word] for word in words]

    def decode(self, tokens) -> str:
        """Tokens -> text, without padding."""
        text = ' '.join(self.words[token] for token in tokens if token != self.pad)
        return text.replace(' .', '.').replace(' ?', '?')
