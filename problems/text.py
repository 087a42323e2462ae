"""Text as a task: the tokenizers, and language modelling on the token shards of shards.py.
All shards of a split are one stream, cut into windows of block_size tokens; the batch of a step is a pure
function of (seed, step), and an epoch has every window once."""
import math
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from engine.errors import UserError
from problems.randomness import key_of, shuffled
from problems.shards import Stream, check_same, check_sums
from problems.task import Batch, Task

END_OF_TEXT = {'bytes': 256, 'gpt2': 50256}  # which is also the largest number: the vocabulary is one more
VOCABULARIES = {'bytes': 257, 'gpt2': 50304}  # of models; that of gpt2 is rounded up to a multiple of 64


class Bytes:
    """Every byte of UTF-8 is a token."""

    byte_lengths = np.array([1] * 256 + [0], np.uint8)  # bytes of text of each token

    def encode(self, text: str):
        """Tokens (N,)."""
        return np.frombuffer(text.encode('utf-8', errors='surrogatepass'), np.uint8)

    def decode(self, tokens) -> str:
        """Text without end-of-text; bytes that are no character are shown as a replacement mark."""
        data = bytes(token for token in tokens if token < END_OF_TEXT['bytes'])
        return data.decode('utf-8', errors='replace')


class GPT2:
    """tiktoken's gpt2, which downloads its vocabulary once."""

    def __init__(self):
        try:
            import tiktoken
            self.encoding = tiktoken.get_encoding('gpt2')
        except ImportError:
            raise UserError("tokenizer=gpt2 needs tiktoken: pip install -e '.[data]'") from None
        except Exception as error:  # requests' errors are many, and tiktoken wraps none of them
            raise UserError(f'the gpt2 vocabulary could not be downloaded ({type(error).__name__}); fetch it '
                            'on a machine with network and set TIKTOKEN_CACHE_DIR, or take tokenizer=bytes'
                            ) from None
        texts = self.encoding.decode_tokens_bytes(range(END_OF_TEXT['gpt2']))
        self.byte_lengths = np.array([len(text) for text in texts] + [0], np.uint8)

    def encode(self, text: str):
        """Tokens (N,); what looks like a special token is text."""
        return self.encoding.encode_to_numpy(text, disallowed_special=())

    def decode(self, tokens) -> str:
        """Text without end-of-text."""
        return self.encoding.decode([token for token in tokens if token < END_OF_TEXT['gpt2']])


TOKENIZERS = {'bytes': Bytes, 'gpt2': GPT2}


@dataclass(kw_only=True, eq=False)
class TokenTask(Task):
    """Causal language modelling on windows of a token stream; nothing is read before it is asked for. Window
    i is tokens i * T .. (i + 1) * T, whose last is a target only. So every token of the stream but the first,
    and at most T - 1 at its end, is a target once an epoch. Validation and test are the same stream."""

    data: str = 'data/stdlib'   # folder of the shards
    tokenizer: Literal['bytes', 'gpt2'] = 'gpt2'  # what the shards were made with
    vocab_size: int = 0         # of the model, at least that of the shards; 0: 257 for bytes, 50304 for gpt2
    block_size: int = 0         # tokens of the context; has to be given

    per_token = True
    supervise = 'all'

    def __post_init__(self):
        if self.block_size < 1:
            raise ValueError(f'block_size={self.block_size}: task=tokens needs a context of at least 1')
        if self.vocab_size < 0:
            raise ValueError(f'vocab_size={self.vocab_size} must not be negative')
        self.data = os.path.expanduser(self.data)
        self.vocab_size = self.vocab_size or VOCABULARIES[self.tokenizer]
        self.difficulties = (self.block_size,)
        self.starts = (0,)

    @cached_property
    def streams(self) -> dict:
        """The train and val streams, checked. UserError where they do not fit the model."""
        streams = {split: Stream(self.data, split) for split in ('train', 'val')}
        header = streams['train'].header
        check_same(header, streams['val'].header, self.data)

        held = header['vocab_size']
        if header['tokenizer'] != self.tokenizer:
            raise UserError(f'the shards in {self.data} were made with tokenizer={header["tokenizer"]}, '
                            f'not {self.tokenizer}')
        if held > self.vocab_size:
            raise UserError(f'the shards in {self.data} hold tokens up to {held - 1}: '
                            f'vocab_size={self.vocab_size} must be at least {held}')
        for split, stream in streams.items():
            if stream.length <= self.block_size:
                raise UserError(f'{self.data}: {split} has {stream.length:,} tokens, fewer than '
                                f'block_size={self.block_size} and one more')
        check_sums(self.data)
        return streams

    @cached_property
    def codec(self):
        return TOKENIZERS[self.tokenizer]()

    @cached_property
    def byte_lengths(self):
        """Bytes of text of each token; nan and a line on stderr where the tokenizer cannot be loaded."""
        try:
            return self.codec.byte_lengths
        except UserError as error:
            print(f'bits per byte are nan: {error}', file=sys.stderr)
            return np.full(2 ** 16, math.nan)

    def windows(self, split: str) -> int:
        return (self.streams[split].length - 1) // self.block_size

    def available(self, split: str) -> int:
        return self.windows('val')

    def read(self, split: str, numbers) -> Batch:
        """Tokens and targets of windows `numbers` (B,), int32 (B, T)."""
        T = self.block_size
        stream = self.streams[split]
        rows = np.stack([stream.window(number * T, T + 1) for number in numbers.tolist()])  # (B, T + 1)
        largest = rows.max()
        if largest >= self.vocab_size or largest > END_OF_TEXT[self.tokenizer]:
            raise UserError(f'{self.data}: token {largest} is beyond vocab_size={self.vocab_size} or '
                            f'tokenizer={self.tokenizer}')
        return Batch(rows[:, :-1], rows[:, 1:])

    def train_batch(self, seed: int, step: int, batch_size: int, lo=0, hi=None) -> Batch:
        """Windows lo .. hi - 1 of step's batch; each epoch has an order of its own."""
        hi = batch_size if hi is None else hi
        first = step * batch_size
        places = np.arange(first + lo, first + hi)
        n = self.windows('train')
        epochs = places // n

        numbers = []  # those of an epoch, then of the next
        for epoch in np.unique(epochs).tolist():
            numbers.append(shuffled(key_of(seed, epoch), places[epochs == epoch] % n, n))
        return self.read('train', np.concatenate(numbers))

    def eval_batch(self, split: str, difficulty, lo: int, hi: int) -> Batch:
        """Windows of the validation stream in order, and from its start again: batches have one shape."""
        return self.read('val', np.arange(lo, hi) % self.windows('val'))

    def bits_per_byte(self, loss: float, n_windows: int) -> float:
        """Of a loss in nats a token over the first windows of validation: comparable between tokenizers."""
        n_tokens = n_windows * self.block_size
        targets = self.streams['val'].window(1, n_tokens)
        n_bytes = self.byte_lengths[targets].sum(dtype=float)  # an end of text costs bits and has no bytes
        return loss / math.log(2) * n_tokens / n_bytes if n_bytes else math.nan

    def baselines(self, batch: Batch) -> dict:
        """The share of targets that are the commonest one."""
        commonest = np.bincount(batch.targets.ravel()).argmax()
        return {'commonest token': (batch.targets == commonest).mean(1)}

    def encode(self, text: str) -> list[int]:
        """Tokens of a prompt; of none, the end of the text before."""
        tokens = self.codec.encode(text).tolist()
        return tokens or [END_OF_TEXT[self.tokenizer]]

    def decode(self, tokens) -> str:
        return self.codec.decode(tokens)
