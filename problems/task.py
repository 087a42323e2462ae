"""What a task is: examples, splits, the order of training data. Numpy only; models are not known here.
Every example is a pure function of (split, seed, number): no generator has a state, so a batch depends on
neither the number of processes nor what was drawn before. An example belongs to the split that the hash of
its tokens says; one that falls into another is drawn again. So the splits are disjoint by construction."""
import math
from collections import Counter
from functools import cached_property, lru_cache
from random import Random
from typing import NamedTuple

import numpy as np

from problems.randomness import hash_rows, key_of, mix, random_words

SPLITS = ('train', 'val', 'test')
IGNORE = -100            # a target that is not scored; torch's cross_entropy passes over it
ATTEMPTS_MAX = 1000      # at one example, until the split is taken to have none
DIFFICULTY_STREAM = 77   # names the random numbers that choose difficulties, apart from those of the examples


class Batch(NamedTuple):
    tokens: np.ndarray               # (B, T) int16
    targets: np.ndarray              # (B, T) int16: what should follow each token, or IGNORE
    loops: np.ndarray | None = None  # (B,), where samples differ in it; None leaves it to the model


def split_of(rows):
    """The split of each row (B, T), as an index of SPLITS: 1/16 validation, 1/16 test, by hash."""
    sixteenth = (hash_rows(rows) >> 60).astype(np.int64)  # (B,), 0 .. 15
    return np.where(sixteenth < 2, sixteenth + 1, 0)


def train_ids(seed: int, step: int, batch_size: int, train_examples: int, lo: int, hi: int):
    """Numbers of examples lo .. hi - 1 of step's batch: endless, or epochs, each in fresh random order."""
    places = step * batch_size + np.arange(lo, hi)
    if not train_examples:
        return places

    epochs = places // train_examples
    ids = np.empty_like(places)
    for epoch in np.unique(epochs).tolist():
        in_epoch = epochs == epoch
        order = epoch_order(seed, epoch, train_examples)
        ids[in_epoch] = order[places[in_epoch] % train_examples]
    return ids


@lru_cache(maxsize=1)  # 4M numbers take 0.1 s to shuffle, once an epoch
def epoch_order(seed: int, epoch: int, n: int):
    """The order in which an epoch visits the n examples of a fixed set, (n,)."""
    return np.random.default_rng([seed, epoch]).permutation(n)


class Task:
    """Splits and batches over rows (B, block_size + 1): prompt, answer, end and padding.
    A task is a dataclass whose fields are its options. Its __post_init__ checks them, calls set_difficulties
    and sets vocab_size and block_size; it adds draw, encode, decode, solve and baselines."""

    # what the options say where a task lacks them
    supervise = 'answer'    # 'answer' scores the answer alone, 'all' every position
    train_examples = 0      # size of a fixed training set; 0 draws fresh examples for ever
    difficulty_start = ()   # the step from which each difficulty is drawn
    adaptive_loops = False  # whether each sample has a loop count of its own

    # what a task is like
    pad = end = None        # tokens: filling after a row's end; what follows an answer of varying length
    test_difficulties = ()  # tested apart from those that are trained on
    per_token = False       # language modelling: the loss of every token is what counts
    full_answer = False     # whether all of an answer is read in one go, not token by token
    fixed_size = True       # whether all batches have block_size tokens in a row
    redraws_at_once = 4     # what is drawn row by row sets 1: there a draw too many costs more than a call

    def set_difficulties(self, option: str, difficulties: tuple):
        """Sets difficulties (what is trained on, given by an option) and starts (from which step each is).
        ValueError where they, difficulty_start and train_examples do not go together."""
        n = len(difficulties)
        starts = self.difficulty_start
        if n == 0 or len(set(difficulties)) < n:
            raise ValueError(f'{option}={difficulties}: give one or several different difficulties')
        if self.train_examples < 0:
            raise ValueError(f'train_examples={self.train_examples} must not be negative')
        if starts and self.train_examples:
            raise ValueError(f'difficulty_start={starts} does not go with a fixed set, '
                             f'train_examples={self.train_examples}')
        if starts and (len(starts) != n or 0 not in starts):
            raise ValueError(f'difficulty_start={starts} needs one step for each of {difficulties}, '
                             'and a 0 among them')

        self.difficulties = tuple(difficulties)
        self.starts = tuple(starts) or (0,) * n

    def evaluated(self, split: str) -> tuple:
        """Difficulties of a split's evaluation: validation is always in distribution."""
        tested = self.test_difficulties if split == 'test' else ()
        return tested or self.difficulties

    def available(self, split: str) -> float:
        """How many evaluation examples there are at most."""
        return math.inf

    def examples(self, split: str, seed: int, ids, difficulty):
        """The examples `ids` (B,) of a split, of difficulty (B,): rows (B, block_size + 1) uint8.
        Each is the first of its attempts that belongs to the split. ValueError where none does."""
        wanted = SPLITS.index(split)
        out = self.new_rows(len(ids))
        missing = np.arange(len(ids))
        attempt = 0
        tries = 1

        while attempt < ATTEMPTS_MAX:
            # several attempts at each example that is missing
            attempts = range(attempt, attempt + tries)
            keys = np.concatenate([key_of(wanted, seed, number) for number in attempts])
            drawn_for = np.repeat(missing, tries)
            drawn = self.draw(np.tile(keys, len(missing)), ids[drawn_for], difficulty[drawn_for])
            if drawn.shape[1] != self.block_size + 1:  # prompt and answer
                raise ValueError(f'{type(self).__name__}.draw gave rows of {drawn.shape[1]} tokens, not '
                                 f'block_size + 1 = {self.block_size + 1}')

            # the first that fits
            fits = split_of(drawn[:, :-1]) == wanted
            fits = fits.reshape(-1, tries)  # (missing, tries)
            found = fits.any(1).nonzero()[0]
            first = fits[found].argmax(1)
            out[missing[found]] = drawn[found * tries + first]
            missing = np.delete(missing, found)
            if not missing.size:
                return out
            attempt += tries
            tries = self.redraws_at_once
        raise ValueError(f'no {split} example found: the task has too few distinct problems to be split')

    def new_rows(self, n: int):
        """Rows (n, block_size + 1) uint8 to be filled, of padding where the task has it."""
        return np.full((n, self.block_size + 1), self.pad or 0, np.uint8)

    def train_batch(self, seed: int, step: int, batch_size: int, lo=0, hi=None) -> Batch:
        """Examples lo .. hi - 1 of step's batch. A fixed set is the same for every seed, its order is not."""
        hi = batch_size if hi is None else hi
        ids = train_ids(seed, step, batch_size, self.train_examples, lo, hi)
        data_seed = 0 if self.train_examples else seed + 1

        # the difficulties that have joined are equally likely
        joined = np.array(self.starts) <= step
        active = np.array(self.difficulties)[joined]
        words = random_words(key_of(data_seed, DIFFICULTY_STREAM), ids, 1)[:, 0]
        difficulty = active[words % len(active)]

        rows = self.examples('train', data_seed, ids, difficulty)
        return self.batch(rows, self.supervise)

    def eval_batch(self, split: str, difficulty, lo: int, hi: int) -> Batch:
        """Examples lo .. hi - 1 of the one set of this split and difficulty; only the answer is scored."""
        wanted = (split, difficulty, lo, hi)
        if wanted not in self.evaluation_rows:
            difficulties = np.full(hi - lo, difficulty)
            self.evaluation_rows[wanted] = self.examples(split, 0, np.arange(lo, hi), difficulties)
        return self.batch(self.evaluation_rows[wanted], 'answer')

    @cached_property
    def evaluation_rows(self) -> dict:
        """Rows of evaluation batches by (split, difficulty, lo, hi), drawn once: they never change."""
        return {}

    def batch(self, rows, supervise: str) -> Batch:
        """Targets are the next tokens, of the answer or of all, padding never."""
        tokens = rows[:, :-1].astype(np.int16)
        following = rows[:, 1:]
        targets = following.astype(np.int16)
        if supervise == 'answer':
            places = np.arange(1, self.block_size + 1)
            targets[places < self.answer_start(rows)[:, None]] = IGNORE
        if self.pad is not None:
            targets[following == self.pad] = IGNORE
        return Batch(tokens, targets)

    def answer_start(self, rows):
        """Where the answer begins in each row (B,); by default it is the last token."""
        return np.full(len(rows), self.block_size)


class Text(Task):
    """A task whose tokens are words: single characters, unless `split` and `joint` say otherwise.
    It adds either draw or draw_one, which gives the tokens of one row."""

    joint = ''  # between the words of a text

    def set_words(self, words, possible: str):
        """Sets the vocabulary, ';' the end, '_' padding; errors say that prompts may hold `possible`."""
        self.words = list(words)
        self.possible = possible
        self.vocab_size = len(self.words)
        self.number = {word: i for i, word in enumerate(self.words)}
        self.end = self.number.get(';')
        self.pad = self.number.get('_')

    def draw(self, key, ids, difficulty):
        out = self.new_rows(len(ids))
        seeds = mix(key + ids.astype(np.uint64)).tolist()
        for row, seed, level in zip(out, seeds, difficulty.tolist(), strict=True):
            tokens = self.draw_one(Random(seed), level)
            row[:len(tokens)] = tokens
        return out

    def split(self, text: str) -> list[str]:
        return list(text)

    def encode(self, text: str) -> list[int]:
        """Text -> tokens. ValueError where a prompt may not hold a word, or not so many."""
        words = self.split(text)
        for word in words:
            if self.number.get(word) in (None, self.end, self.pad):
                raise ValueError(f'the prompt holds {word!r}; possible are {self.possible}')
        if not 0 < len(words) <= self.block_size:
            raise ValueError(f'the prompt has {len(words)} tokens; this model takes 1 to {self.block_size}')
        return [self.number[word] for word in words]

    def decode(self, tokens) -> str:
        """Tokens -> text, without end and padding."""
        hidden = (self.end, self.pad)
        return self.joint.join([self.words[token] for token in tokens if token not in hidden])


def after(rows, token: int):
    """The place after the only (or first) `token` of each row, (B,)."""
    return (rows == token).argmax(1) + 1


def correct(batch: Batch, answers):
    """Whether each of the answers (B,) of one token is the target that is scored first, (B,)."""
    first = (batch.targets != IGNORE).argmax(1)
    return answers == batch.targets[np.arange(len(first)), first]


def majority(batch: Batch):
    """Right or wrong (B,) for always giving the whole answer that is commonest in the batch itself."""
    answers = [row[row != IGNORE].tobytes() for row in batch.targets]
    commonest = Counter(answers).most_common(1)[0][0]
    return np.array([answer == commonest for answer in answers])
