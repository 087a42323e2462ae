"""What a task is: examples, splits, the order of training data. Numpy only; models are not known here.

Every example is a pure function of (split, seed, number): no generator has a state, so a batch depends on
neither the number of processes nor what was drawn before. An example belongs to the split that the hash of
its tokens says; one that falls into another is drawn again. So the splits are disjoint by construction.
"""
import math
from collections.abc import Iterator
from functools import cached_property
from random import Random
from typing import NamedTuple

import numpy as np

from problems.randomness import hash_rows, key_of, mix, random_words

SPLITS = ('train', 'val', 'test')
IGNORE = -100  # a target that is not scored; torch's cross_entropy passes over it


class Batch(NamedTuple):
    """tokens and targets (B, T), int16; target t is what the model should say after token t, or IGNORE.

    loops: how often each sample is looped (B,), where that differs; None leaves it to the model.
    """
    tokens: np.ndarray
    targets: np.ndarray
    loops: np.ndarray | None = None


def split_of(rows):
    """The split of each row (B, T), as an index of SPLITS: 1/16 validation, 1/16 test, by hash."""
    digest = hash_rows(rows) >> np.uint64(60)
    return np.where(digest < 2, digest + np.uint64(1), np.uint64(0)).astype(np.int64)


def train_ids(seed: int, step: int, batch_size: int, train_examples: int, lo: int, hi: int):
    """Numbers of examples lo .. hi - 1 of step's batch: endless, or epochs, each in fresh random order."""
    place = np.arange(step * batch_size + lo, step * batch_size + hi)
    if not train_examples:
        return place
    epochs, within = place // train_examples, place % train_examples
    ids = np.empty_like(place)
    for epoch in np.unique(epochs):
        ids[epochs == epoch] = epoch_order(seed, int(epoch), train_examples)[within[epochs == epoch]]
    return ids


_orders: dict = {}  # the order of the last epoch: 4M numbers take 0.1 s to shuffle, once an epoch


def epoch_order(seed: int, epoch: int, n: int):
    if (seed, epoch, n) not in _orders:
        _orders.clear()
        _orders[seed, epoch, n] = np.random.default_rng([seed, epoch]).permutation(n)
    return _orders[seed, epoch, n]


def check_starts(difficulties, starts):
    """One starting step for each difficulty, all 0 by default; ValueError where they do not fit."""
    if not difficulties or len(set(difficulties)) < len(difficulties):
        raise ValueError(f'{difficulties}: give one or several different difficulties')
    if starts and (len(starts) != len(difficulties) or 0 not in starts):
        raise ValueError(f'difficulty_start={starts} needs one step for each of {difficulties}, '
                         'and a 0 among them')
    return tuple(starts) or (0,) * len(difficulties)


class Task:
    """Splits and batches over rows (B, block_size + 1): prompt, answer, end and padding.

    A task sets vocab_size, block_size, supervise ('answer' scores the answer alone, 'all' every position),
    difficulties and starts (what is trained on, and from which step), test_difficulties (tested apart), and
    adds draw, encode, decode, solve and baselines.
    """

    pad = end = None        # tokens: filling after a row's end; what follows an answer of varying length
    test_difficulties = ()
    adaptive_loops = False  # whether each sample has a loop count of its own
    per_token = False       # language modelling: the loss of every token is what counts
    full_answer = False     # whether all of an answer is read in one go, not token by token
    fixed_size = True       # whether all batches have block_size tokens in a row
    redraws_at_once = 4     # what is drawn row by row sets 1: there a draw too many costs more than a call

    def evaluated(self, split: str) -> tuple:
        """Difficulties of a split's evaluation: validation is always in distribution."""
        return self.test_difficulties if split == 'test' and self.test_difficulties else self.difficulties

    def available(self, split: str) -> float:
        """How many evaluation examples there are at most."""
        return math.inf

    def examples(self, split: str, seed: int, ids, difficulty):
        """The examples `ids` (B,) of a split, of difficulty (B,): rows (B, block_size + 1) uint8.

        Each is the first of its attempts, counted from 0, that belongs to the split.
        """
        wanted, out = SPLITS.index(split), np.empty((len(ids), self.block_size + 1), np.uint8)
        todo, attempt, tries = np.arange(len(ids)), 0, 1
        while attempt < 1000:
            keys = np.concatenate([key_of(wanted, seed, attempt + i) for i in range(tries)])
            which = np.repeat(todo, tries)
            drawn = self.draw(np.tile(keys, len(todo)), ids[which], difficulty[which])
            fits = (split_of(drawn[:, :-1]) == wanted).reshape(-1, tries)
            found = np.nonzero(fits.any(1))[0]
            out[todo[found]] = drawn[found * tries + fits[found].argmax(1)]
            todo = np.delete(todo, found)
            if not todo.size:
                return out
            attempt, tries = attempt + tries, self.redraws_at_once
        raise ValueError(f'no {split} example found: the task has too few distinct problems to be split')

    def train_batch(self, seed: int, step: int, batch_size: int, train_examples=0, lo=0, hi=None) -> Batch:
        """Examples lo .. hi - 1 of step's batch. A fixed set is the same for every seed, its order is not."""
        ids = train_ids(seed, step, batch_size, train_examples, lo, batch_size if hi is None else hi)
        data_seed = 0 if train_examples else seed + 1
        starts = zip(self.difficulties, self.starts, strict=True)
        active = np.array([difficulty for difficulty, start in starts if start <= step])
        chosen = random_words(key_of(data_seed, 77), ids, 1)[:, 0] % np.uint64(len(active))
        rows = self.examples('train', data_seed, ids, active[chosen.astype(np.int64)])
        return self.batch(rows, self.supervise)

    def eval_batch(self, split: str, difficulty, lo: int, hi: int) -> Batch:
        """Examples lo .. hi - 1 of the one set of this split and difficulty; only the answer is scored."""
        if (split, difficulty, lo, hi) not in self.evaluation_rows:  # drawn once: they never change
            rows = self.examples(split, 0, np.arange(lo, hi), np.full(hi - lo, difficulty))
            self.evaluation_rows[split, difficulty, lo, hi] = rows
        return self.batch(self.evaluation_rows[split, difficulty, lo, hi], 'answer')

    @cached_property
    def evaluation_rows(self) -> dict:
        """Rows of evaluation batches drawn so far, by (split, difficulty, lo, hi)."""
        return {}

    def batch(self, rows, supervise: str) -> Batch:
        """Targets are the next tokens, of the answer or of all, padding never."""
        targets = rows[:, 1:].astype(np.int16)
        if supervise == 'answer':
            before = np.arange(self.block_size) + 1 < self.answer_start(rows)[:, None]
            targets[before] = IGNORE
        if self.pad is not None:
            targets[rows[:, 1:] == self.pad] = IGNORE
        return Batch(rows[:, :-1].astype(np.int16), targets)

    def answer_start(self, rows):
        """Where the answer begins in each row (B,); by default it is the last token."""
        return np.full(len(rows), self.block_size)


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


def rngs(key, ids) -> Iterator[Random]:
    """A generator of Python's own for each example (key and ids (B,)), where they are drawn one by one."""
    return (Random(number) for number in mix(key + ids.astype(np.uint64)).tolist())
