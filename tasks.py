"""The tasks and their dict: p-hop, addition, group composition, variable assignment, i-GSM."""
import itertools
import re
import string
from random import Random

import numpy as np

import igsm
import variables
from phop import hop, sample_phop
from randomness import mix, random_words
from task import IGNORE, Batch, Task, check_starts


def after(rows, token: int):
    """The place after the only (or first) `token` of each row, (B,)."""
    return (rows == token).argmax(1) + 1


def correct(batch: Batch, answers):
    """Whether each of the answers (B,) of one token is the target that is scored first, (B,)."""
    first = (batch.targets != IGNORE).argmax(1)
    return answers == batch.targets[np.arange(len(first)), first]


def majority(batch: Batch):
    """Right or wrong (B,) for always giving the answer that is commonest in the batch itself."""
    answers = batch.targets.max(1)
    return answers == np.bincount(answers).argmax()


def rng_of(key, number: int) -> Random:
    """A generator of Python's own for one example, for tasks that are drawn one by one."""
    return Random(int(mix(key + np.uint64(number))[0]))


class PHop(Task):
    """p-hop induction (phop.py). A set of p puts p before the letters as the first token.

    Vocabulary: the letters, 'none' (a position with fewer than p hops before it), a token for each p.
    supervise='all' scores every position, with hop_p of the prefix that it ends.
    """

    def __init__(self, p=(16,), length=256, n_letters=4, supervise='answer', starts=()):
        if not 2 <= n_letters <= 26:
            raise ValueError(f'n_letters={n_letters}: p-hop takes 2 to 26 letters')
        if not p or min(p) < 1:
            raise ValueError(f'p={p}: p-hop takes one or several p, each at least 1')
        if 2 * max(p) + 1 > length:
            raise ValueError(f'p={max(p)} hops do not fit into length={length}: they take at least '
                             f'{2 * max(p) + 1} letters, so p can be {(length - 1) // 2} at most')
        self.difficulties, self.starts = tuple(p), check_starts(p, starts)
        self.length, self.supervise = length, supervise
        self.letters, self.none, self.several = string.ascii_lowercase[:n_letters], n_letters, len(p) > 1
        self.vocab_size = n_letters + 1 + (len(p) if self.several else 0)
        self.block_size = length + self.several

    def draw(self, key, ids, difficulty):
        out = np.empty((len(ids), self.block_size + 1), np.uint8)
        for p in np.unique(difficulty):
            rows = difficulty == p
            out[rows, self.several:] = sample_phop(key, ids[rows], int(p), self.length, len(self.letters))
            if self.several:
                out[rows, 0] = self.none + 1 + self.difficulties.index(p)
        return out

    def batch(self, rows, supervise):
        tokens, targets = rows[:, :-1].astype(np.int64), np.full((len(rows), self.block_size), IGNORE)
        targets[:, -1] = rows[:, -1]
        if supervise == 'all':
            targets[:, self.several:] = self.hops(tokens)
        return Batch(tokens, targets)

    def hops(self, tokens):
        """hop_p at every letter of tokens (B, T), `none` where there is none."""
        hops = hop(tokens[:, self.several:], self.p_of(tokens), len(self.letters))
        return np.where(hops < 0, self.none, hops)

    def p_of(self, tokens):
        """p of each row (B,), from its first token where there are several."""
        if not self.several:
            return np.full(len(tokens), self.difficulties[0])
        return np.array(self.difficulties)[tokens[:, 0] - self.none - 1]

    def solve(self, prompt: list[int]) -> list[int]:
        return [int(self.hops(np.array([prompt]))[0, -1])]

    def baselines(self, batch: Batch) -> dict:
        """Right or wrong (B,) for shortcuts that do not hop p times: the commonest letter, a single hop."""
        letters = batch.tokens[:, self.several:]
        counts = (letters[:, :, None] == np.arange(len(self.letters))).sum(1)
        one_hop = hop(letters, np.ones(len(letters), int), len(self.letters))[:, -1]
        return {'majority letter': correct(batch, counts.argmax(1)), 'one hop': correct(batch, one_hop)}

    def encode(self, text: str) -> list[int]:
        """'abcab', or with several p '4:abcab' -> tokens. ValueError where it is no such prompt."""
        head, colon, letters = text.rpartition(':')
        if wrong := sorted(set(letters) - set(self.letters)):
            raise ValueError(f'the prompt holds {wrong[0]!r}; its letters are {self.letters}')
        if bool(colon) != self.several or self.several and head not in map(str, self.difficulties):
            form = f'P:LETTERS, P one of {self.difficulties}' if self.several else 'letters alone'
            raise ValueError(f'the prompt should be {form}')
        if not 2 <= len(letters) <= self.length:
            raise ValueError(f'the prompt has {len(letters)} letters; this model takes 2 to {self.length}')
        first = [self.none + 1 + self.difficulties.index(int(head))] if self.several else []
        return first + [self.letters.index(letter) for letter in letters]

    def decode(self, tokens) -> str:
        """Letters as text, '-' for none, 'P:' for a token that gives p."""
        names = [*self.letters, '-'] + [f'{p}:' for p in self.difficulties]
        return ''.join(names[token] for token in tokens)


class Text(Task):
    """A task whose tokens are the characters of `alphabet`, of which the last two are end and padding."""

    def set_alphabet(self, alphabet: str):
        self.alphabet, self.vocab_size = alphabet, len(alphabet)
        self.end, self.pad = len(alphabet) - 2, len(alphabet) - 1
        self.number = {character: i for i, character in enumerate(alphabet)}

    def encode(self, text: str) -> list[int]:
        if wrong := sorted(set(text) - set(self.alphabet[:-2])):
            raise ValueError(f'the prompt holds {wrong[0]!r}; possible are {self.alphabet[:-2]!r}')
        if not 0 < len(text) <= self.block_size:
            raise ValueError(f'the prompt has {len(text)} tokens; this model takes 1 to {self.block_size}')
        return [self.number[character] for character in text]

    def decode(self, tokens) -> str:
        return ''.join(self.alphabet[token] for token in tokens if token not in (self.end, self.pad))


class Addition(Text):
    """'315+120+045+824=' -> '1304': n operands of `digits` zero-padded digits (A, Sec. 2; no spaces here).

    The answer is unpadded, most significant digit first, and an end token is part of what is scored.
    """

    def __init__(self, operands=(2, 4, 8, 16, 32), test_operands=(8, 16, 24, 32), digits=3,
                 supervise='answer', starts=()):
        largest = max((*operands, *test_operands), default=0)
        if min((*operands, *test_operands), default=0) < 1 or not 1 <= digits <= 4 or largest > 1000:
            raise ValueError(f'operands={operands}, test_operands={test_operands}, digits={digits}: addition '
                             'takes 1 to 1000 operands of 1 to 4 digits')
        self.set_alphabet('0123456789+=;_')
        self.difficulties, self.starts = tuple(operands), check_starts(operands, starts)
        self.test_difficulties, self.digits, self.supervise = tuple(test_operands), digits, supervise
        self.answer_width = len(str(largest * (10 ** digits - 1)))
        self.block_size = largest * (digits + 1) + self.answer_width

    def draw(self, key, ids, difficulty):
        out = np.full((len(ids), self.block_size + 1), self.pad, np.uint8)
        for n in np.unique(difficulty):
            rows = np.nonzero(difficulty == n)[0]
            out[rows] = self.rows(key, ids[rows], int(n))
        return out

    def rows(self, key, ids, n: int):
        """Rows (B, block_size + 1) with n operands each."""
        B, start = len(ids), n * (self.digits + 1)
        words = random_words(key, ids, -(-n // 2)).view(np.uint32)[:, :n]
        operands = (words.astype(np.uint64) * np.uint64(10 ** self.digits) >> np.uint64(32)).astype(np.int32)
        out = np.full((B, self.block_size + 1), self.pad, np.uint8)
        prompt, rest = np.empty((B, n, self.digits + 1), np.uint8), operands
        for place in reversed(range(self.digits)):
            prompt[:, :, place] = rest % 10
            rest = rest // 10
        prompt[:, :, self.digits] = self.number['+']
        prompt[:, -1, self.digits] = self.number['=']
        out[:, :start] = prompt.reshape(B, start)
        total = operands.sum(1)
        width = np.maximum(1, (total[:, None] >= 10 ** np.arange(self.answer_width)).sum(1))
        for place in range(self.answer_width):
            digit = total // 10 ** np.maximum(width - 1 - place, 0) % 10
            out[:, start + place] = np.where(place < width, digit, self.pad)
        out[np.arange(B), start + width] = self.end
        return out

    def answer_start(self, rows):
        return after(rows, self.number['='])

    def solve(self, prompt: list[int]) -> list[int]:
        parts = self.decode(prompt).removesuffix('=').split('+')
        if not all(part.isdigit() for part in parts) or prompt[-1] != self.number['=']:
            raise ValueError("the prompt should be numbers joined by '+' and closed by '=', such as 315+120=")
        return [self.number[digit] for digit in str(sum(map(int, parts)))] + [self.end]

    def baselines(self, batch: Batch) -> dict:
        """Always the middle of the distribution, which is also its mode: n * (10^digits - 1) / 2."""
        n = (batch.tokens[0] == self.number['+']).sum() + 1
        guess = [self.number[digit] for digit in str(int(n) * (10 ** self.digits - 1) // 2)] + [self.end]
        answers = [row[row != IGNORE].tolist() for row in batch.targets]
        return {'most likely sum': np.array([answer == guess for answer in answers])}


class Group(Task):
    """g_1 .. g_n -> the product g_1 g_2 .. g_n in a finite group: what A's Thm 5.1 is about. Our addition.

    group: 'cN' cyclic of order N, 'sN' all permutations of N things, 'aN' the even ones; gh means first h,
    then g. A token is an element. supervise='all' scores every position, with the product of its prefix.
    """

    def __init__(self, group='s5', elements=16, supervise='answer'):
        kind, order = group[:1], group[1:]
        limits = {'c': 256, 's': 5, 'a': 5}
        if kind not in limits or not order.isdigit() or not 2 <= int(order) <= limits[kind]:
            raise ValueError(f'group={group!r} is not one of c2 .. c256, s2 .. s5, a2 .. a5')
        if elements < 2:
            raise ValueError(f'elements={elements}: a product takes at least 2')
        self.table = group_table(kind, int(order))
        self.difficulties, self.starts, self.supervise = (elements,), (0,), supervise
        self.vocab_size, self.block_size = len(self.table), elements

    def draw(self, key, ids, difficulty):
        words = random_words(key, ids, -(-self.block_size // 2)).view(np.uint32)[:, :self.block_size]
        factors = (words.astype(np.uint64) * np.uint64(self.vocab_size) >> np.uint64(32)).astype(np.uint8)
        return np.concatenate([factors, self.products(factors)[:, -1:]], 1)

    def products(self, factors):
        """The product of every prefix of factors (B, n), (B, n)."""
        out = factors.copy()
        for i in range(1, factors.shape[1]):
            out[:, i] = self.table[out[:, i - 1], factors[:, i]]
        return out

    def batch(self, rows, supervise):
        tokens, targets = super().batch(rows, 'answer')
        return Batch(tokens, self.products(tokens) if supervise == 'all' else targets)

    def solve(self, prompt: list[int]) -> list[int]:
        return self.products(np.array([prompt]))[0, -1:].tolist()

    def baselines(self, batch: Batch) -> dict:
        last_two = self.products(batch.tokens[:, -2:])[:, -1]
        return {'last two factors': correct(batch, last_two), 'majority answer': majority(batch)}

    def encode(self, text: str) -> list[int]:
        parts = text.split()
        if not parts or not all(part.isdigit() and int(part) < self.vocab_size for part in parts):
            raise ValueError('the prompt should be numbers of elements joined by spaces, each 0 to '
                             f'{self.vocab_size - 1}')
        if len(parts) > self.block_size:
            raise ValueError(f'the prompt has {len(parts)} elements; this model takes 1 to {self.block_size}')
        return [int(part) for part in parts]

    def decode(self, tokens) -> str:
        return ' '.join(map(str, tokens))


def group_table(kind: str, order: int):
    """table[g, h] = gh, (|G|, |G|) uint8; permutations in lexicographic order, so 0 is the identity."""
    if kind == 'c':
        return ((np.arange(order)[:, None] + np.arange(order)) % order).astype(np.uint8)
    elements = [p for p in itertools.permutations(range(order)) if kind == 's' or is_even(p)]
    place = {p: i for i, p in enumerate(elements)}
    return np.array([[place[tuple(g[i] for i in h)] for h in elements] for g in elements], np.uint8)


def is_even(permutation) -> bool:
    pairs = itertools.combinations(permutation, 2)
    return sum(a > b for a, b in pairs) % 2 == 0


class Variables(Text):
    """Variable assignment (variables.py); the difficulty is the depth, tokens are characters."""

    def __init__(self, depths=(0, 1), form='inline', supervise='answer', starts=()):
        if not depths or min(depths) < 0 or max(depths) > variables.DEPTH_MAX:
            raise ValueError(f'depths={depths}: the alphabet allows depths 0 to {variables.DEPTH_MAX}')
        template, line, joint, gap = variables.FORMS[form]
        used = set(template + line + joint + gap + string.ascii_lowercase + string.digits) - set('{}')
        self.set_alphabet(''.join(sorted(used)) + ';_')
        self.difficulties, self.starts = tuple(depths), check_starts(depths, starts)
        self.form, self.supervise = form, supervise
        longest = variables.generate(Random(0), max(depths))
        fixed = sum(len(part) for part in variables.to_text(longest, form))
        self.block_size = fixed + 2 * variables.WIDTH + 2  # values of two digits instead of one, and the end

    def draw(self, key, ids, difficulty):
        out = np.full((len(ids), self.block_size + 1), self.pad, np.uint8)
        for row, number, depth in zip(out, ids, difficulty, strict=True):
            text = ''.join(variables.to_text(variables.generate(rng_of(key, number), int(depth)), self.form))
            row[:len(text) + 1] = self.encode(text) + [self.end]
        return out

    def answer_start(self, rows):
        """After the last ':' (math, code) or '=' (inline)."""
        mark = self.number['=' if self.form == 'inline' else ':']
        return rows.shape[1] - (rows == mark)[:, ::-1].argmax(1)

    def solve(self, prompt: list[int]) -> list[int]:
        text = str(variables.solve(self.decode(prompt)))
        return self.encode(variables.FORMS[self.form][3] + text) + [self.end]

    def baselines(self, batch: Batch) -> dict:
        """The value on the first line; knowing the five values only, a guess is right in one of five."""
        rows = [self.decode(row) for row in batch.tokens]
        first = [re.search(r'= ?(\d+)', row)[1] for row in rows]
        answers = [self.decode(row[row != IGNORE]).strip() for row in batch.targets]
        return {'first value': np.array([a == b for a, b in zip(first, answers, strict=True)])}


class IGSM(Task):
    """i-GSM (igsm.py); a token is a parameter, a digit or a sign, and the difficulty is max_ops."""

    signs = ('+', '-', '*', ':=', '.', '?')

    def __init__(self, max_ops=15, max_edges=20, supervise='answer'):
        igsm.check_sizes(max_ops, max_edges)
        self.max_edges, self.supervise = max_edges, supervise
        self.difficulties, self.starts = (max_ops,), (0,)
        self.words = [*igsm.NAMES, *map(str, range(igsm.MODULUS)), *self.signs, '_']
        self.number = {word: i for i, word in enumerate(self.words)}
        self.vocab_size, self.pad = len(self.words), len(self.words) - 1
        self.block_size = 8 * max_edges + 2  # longer problems are drawn again

    def draw(self, key, ids, difficulty):
        out = np.full((len(ids), self.block_size + 1), self.pad, np.uint8)
        for row, number, max_ops in zip(out, ids, difficulty, strict=True):
            rng, tokens = rng_of(key, number), []
            while not 0 < len(tokens) <= self.block_size:
                problem = igsm.generate(rng, int(max_ops), self.max_edges)
                tokens = self.tokens(problem)
            row[:len(tokens) + 1] = tokens + [self.number[str(igsm.solve(problem)[0])]]
        return out

    def tokens(self, problem) -> list[int]:
        """The same as encode(igsm.to_text(problem)), without the text."""
        number, zero, out = self.number, len(igsm.NAMES), []
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

    def answer_start(self, rows):
        return after(rows, self.number['?'])

    def solve(self, prompt: list[int]) -> list[int]:
        return [self.number[str(igsm.solve(igsm.parse(self.decode(prompt)))[0])]]

    def baselines(self, batch: Batch) -> dict:
        """The commonest answer; and reading the query's own line, which is enough where it is a constant."""
        commonest, lines = majority(batch), []
        for row, right in zip(batch.tokens, commonest, strict=True):
            problem = igsm.parse(self.decode(row[:after(row[None], self.number['?'])[0]]))
            own = next(d for d in problem.definitions if d.parameter == problem.query)
            lines.append(right if own.dependencies else True)
        return {'majority answer': commonest, 'one line': np.array(lines)}

    def encode(self, text: str) -> list[int]:
        words = text.replace('.', ' .').replace('?', ' ?').split()
        if wrong := [word for word in words if word not in self.number]:
            raise ValueError(f'the prompt holds {wrong[0]!r}; possible are parameters such as E#I, digits '
                             f'0 to {igsm.MODULUS - 1} and {" ".join(self.signs)}')
        if len(words) > self.block_size:
            raise ValueError(f'the prompt has {len(words)} tokens; this model takes 1 to {self.block_size}')
        return [self.number[word] for word in words]

    def decode(self, tokens) -> str:
        text = ' '.join(self.words[token] for token in tokens if token != self.pad)
        return text.replace(' .', '.').replace(' ?', '?')


TASKS = {
    'phop': lambda c: PHop(c.p, c.length, c.n_letters, c.supervise, c.difficulty_start),
    'addition': lambda c: Addition(c.operands, c.test_operands, c.digits, c.supervise, c.difficulty_start),
    'igsm': lambda c: IGSM(c.max_ops, c.max_edges, c.supervise),
    'group': lambda c: Group(c.group, c.elements, c.supervise),
    'variables': lambda c: Variables(c.depths, c.form, c.supervise, c.difficulty_start),
}


def make_task(config) -> Task:
    """The task of a training configuration (any object with its fields)."""
    return TASKS[config.task](config)
