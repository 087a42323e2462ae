"""Text as tokens on disk: shards, the stream they make, and its batches as a task.

A folder holds SPLIT_00000.bin, SPLIT_00001.bin, .. of uint16 tokens for the splits train and val, each with
a JSON file of the same name: tokenizer, vocabulary, tokens, bytes of text, SHA-256, source, revision, and how
far into the documents it reaches. All shards of a split are one stream, cut into windows of block_size
tokens; the batch of a step is a pure function of (seed, step), and an epoch has every window once.
"""
import glob
import hashlib
import json
import math
import os
from functools import cached_property

import numpy as np

from engine.files import write_atomically
from problems.randomness import key_of, shuffled
from problems.task import Batch, Task

END_OF_TEXT = {'bytes': 256, 'gpt2': 50256}  # which is also the largest number: the vocabulary is one more


class Bytes:
    """Every byte of UTF-8 is a token."""

    def encode(self, text: str):
        """Tokens (N,)."""
        return np.frombuffer(text.encode('utf-8', errors='surrogatepass'), np.uint8)

    def decode(self, tokens) -> str:
        return bytes(token for token in tokens if token < 256).decode('utf-8', errors='replace')


class GPT2:
    """tiktoken's gpt2, which downloads its vocabulary once."""

    def __init__(self):
        try:
            import tiktoken
        except ImportError:
            raise ValueError("tokenizer=gpt2 needs tiktoken: pip install -e '.[data]'") from None
        try:
            self.encoding = tiktoken.get_encoding('gpt2')
        except Exception as error:  # requests' errors are many, and tiktoken wraps none of them
            reason = type(error).__name__
            raise ValueError(f'the gpt2 vocabulary could not be downloaded ({reason}); fetch it on a machine '
                             'with network and set TIKTOKEN_CACHE_DIR, or take tokenizer=bytes') from None

    def encode(self, text: str):
        """Tokens (N,); what looks like a special token is text."""
        return self.encoding.encode_to_numpy(text, disallowed_special=())

    def decode(self, tokens) -> str:
        return self.encoding.decode([token for token in tokens if token < END_OF_TEXT['gpt2']])


TOKENIZERS = {'bytes': Bytes, 'gpt2': GPT2}


class ShardWriter:
    """Writes the documents of a split as shards of `shard_tokens`; after a kill it goes on from the last.

    `documents` says how many are on disk whole. Give add() the documents from that number on: the shards come
    out the same, wherever the kill was.
    """

    def __init__(self, folder: str, split: str, header: dict, shard_tokens: int):
        self.folder, self.split, self.header, self.shard_tokens = folder, split, header, shard_tokens
        os.makedirs(folder, exist_ok=True)
        headers = read_headers(folder, split)
        for old in headers:
            check_same(old, header, folder)
        self.number, self.finished = len(headers), bool(headers) and headers[-1]['last']
        self.documents, self.skip = headers[-1]['done'] if headers else (0, 0)
        self.written = sum(old['tokens'] for old in headers)
        self.parts, self.held, self.bytes = [], 0, 0

    def add(self, tokens, n_bytes: int):
        """The next document, uint16 (N,), its end-of-text included, and the bytes of its text."""
        offset, self.skip = self.skip, 0
        if not offset:  # a document's bytes count in the shard where it begins
            self.bytes += n_bytes
        while self.held + len(tokens) - offset >= self.shard_tokens:
            size = self.shard_tokens - self.held
            self.parts.append(tokens[offset:offset + size])
            offset += size
            whole = offset == len(tokens)
            self.write((self.documents + whole, 0 if whole else offset), last=False)
            if whole:
                break
        if offset < len(tokens):
            self.parts.append(tokens[offset:])
            self.held += len(tokens) - offset
        self.documents += 1

    def finish(self):
        """The rest as the last shard."""
        if not self.finished:
            self.write((self.documents, 0), last=True)
            self.finished = True

    def write(self, done, last: bool):
        """First the tokens, then the header that makes them count; each whole or absent."""
        tokens = np.concatenate(self.parts) if self.parts else np.empty(0, np.uint16)
        name = os.path.join(self.folder, f'{self.split}_{self.number:05d}')
        data = tokens.astype('<u2').tobytes()
        header = self.header | dict(tokens=len(tokens), bytes=self.bytes, done=done, last=last,
                                    sha256=hashlib.sha256(data).hexdigest())
        write_atomically(f'{name}.bin', lambda file: file.write(data), 'wb')
        write_atomically(f'{name}.json', lambda file: json.dump(header, file, indent=1))
        self.number, self.parts, self.held, self.bytes = self.number + 1, [], 0, 0
        self.written += len(tokens)


def check_same(header: dict, other: dict, folder: str):
    """ValueError where two shards cannot be one stream."""
    for name in ('tokenizer', 'vocab_size', 'source', 'revision'):
        if header[name] != other[name]:
            raise ValueError(f'{folder}: shards with {name}={header[name]!r} and {other[name]!r} do not go '
                             'together; prepare into another folder')


def read_headers(folder: str, split: str) -> list[dict]:
    """The headers of a split's shards in order. ValueError names what is missing, cut or foreign."""
    headers = []
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), f'{split}_*.json'))):
        name = path.removesuffix('.json')
        try:
            with open(path, encoding='utf-8') as file:
                header = json.load(file)
            wanted, found = 2 * header['tokens'], os.path.getsize(f'{name}.bin')
        except (OSError, ValueError, KeyError, TypeError):
            raise ValueError(f'{name}.bin and its .json are not a shard of this project: '
                             'prepare the data again') from None
        if name != os.path.join(folder, f'{split}_{len(headers):05d}'):
            raise ValueError(f'{folder}: shard {split}_{len(headers):05d} is missing before {name}')
        if wanted != found:
            raise ValueError(f'{name}.bin has {found:,} bytes, not {wanted:,}: it is cut, copy it again')
        if headers:
            check_same(headers[0], header, folder)
        headers.append(header)
    return headers


class Stream:
    """All shards of a split as one array of tokens, memory-mapped."""

    def __init__(self, folder: str, split: str):
        self.headers = read_headers(folder, split)
        if not self.headers:
            raise ValueError(f'no {split} shards in {folder}: python data/text/prepare.py or '
                             'data/pile/prepare.py makes them')
        paths = [os.path.join(folder, f'{split}_{i:05d}.bin') for i in range(len(self.headers))]
        self.shards = [np.memmap(path, '<u2', 'r') for path, header in zip(paths, self.headers, strict=True)
                       if header['tokens']]
        self.ends = np.cumsum([len(shard) for shard in self.shards])
        self.length = int(self.ends[-1]) if self.shards else 0
        n_bytes = sum(header['bytes'] for header in self.headers)
        self.tokens_per_byte = self.length / n_bytes if n_bytes else math.nan

    def window(self, start: int, size: int):
        """Tokens start .. start + size - 1, over the borders of shards."""
        parts, shard = [], int(np.searchsorted(self.ends, start, side='right'))
        while size:
            own = self.shards[shard]
            at = start - (int(self.ends[shard]) - len(own))
            part = own[at:at + size]
            parts.append(part)
            start, size, shard = start + len(part), size - len(part), shard + 1
        return np.concatenate(parts)


class TokenTask(Task):
    """Causal language modelling on windows of a token stream; nothing is read before it is asked for.

    Window i is tokens i * T .. (i + 1) * T, whose last is a target only. So every token of the stream but the
    first, and at most T - 1 at its end, is a target once an epoch. Validation and test are the same stream.
    """

    per_token, supervise = True, 'all'

    def __init__(self, folder: str, block_size: int, vocab_size: int, tokenizer: str):
        if block_size < 1 or vocab_size < 1:
            raise ValueError('task=tokens needs block_size and vocab_size of at least 1, not '
                             f'{block_size} and {vocab_size}')
        self.folder, self.block_size, self.vocab_size, self.name = folder, block_size, vocab_size, tokenizer
        self.difficulties, self.starts = (block_size,), (0,)

    @cached_property
    def streams(self) -> dict:
        """The train and val streams, checked. ValueError where they do not fit the model."""
        streams = {split: Stream(self.folder, split) for split in ('train', 'val')}
        check_same(streams['train'].headers[0], streams['val'].headers[0], self.folder)
        tokenizer, held = (streams['train'].headers[0][name] for name in ('tokenizer', 'vocab_size'))
        if tokenizer != self.name:
            raise ValueError(f'the shards in {self.folder} were made with tokenizer={tokenizer}, '
                             f'not {self.name}')
        if held > self.vocab_size:
            raise ValueError(f'the shards in {self.folder} hold tokens up to {held - 1}: '
                             f'vocab_size={self.vocab_size} must be at least {held}')
        for split, stream in streams.items():
            if stream.length <= self.block_size:
                raise ValueError(f'{self.folder}: {split} has {stream.length:,} tokens, fewer than '
                                 f'block_size={self.block_size} and one more')
        return streams

    @cached_property
    def tokenizer(self):
        return TOKENIZERS[self.name]()

    def windows(self, split: str) -> int:
        return (self.streams[split].length - 1) // self.block_size

    def available(self, split: str) -> int:
        return self.windows('val')

    def read(self, split: str, numbers) -> Batch:
        """Tokens and targets of windows `numbers` (B,), int32 (B, T)."""
        T, stream = self.block_size, self.streams[split]
        rows = np.stack([stream.window(int(i) * T, T + 1) for i in numbers]).astype(np.int32)
        if rows.max() >= self.vocab_size:
            raise ValueError(f'{self.folder}: token {rows.max()} is beyond vocab_size={self.vocab_size}')
        return Batch(rows[:, :-1], rows[:, 1:])

    def train_batch(self, seed, step, batch_size, train_examples=0, lo=0, hi=None) -> Batch:
        places = step * batch_size + np.arange(lo, batch_size if hi is None else hi)
        n, numbers = self.windows('train'), np.empty(len(places), np.int64)
        for epoch in np.unique(places // n):
            own = places // n == epoch
            numbers[own] = shuffled(key_of(seed, int(epoch)), places[own] % n, n)
        return self.read('train', numbers)

    def eval_batch(self, split, difficulty, lo, hi) -> Batch:
        """Windows of the validation stream in order, and from its start again: batches have one shape."""
        return self.read('val', np.arange(lo, hi) % self.windows('val'))

    def bits_per_byte(self, loss: float) -> float:
        """Of a validation loss in nats a token: comparable between tokenizers."""
        return loss / math.log(2) * self.streams['val'].tokens_per_byte

    def baselines(self, batch: Batch) -> dict:
        """The share of targets that are the commonest one."""
        commonest = np.bincount(batch.targets.ravel()).argmax()
        return {'commonest token': (batch.targets == commonest).mean(1)}

    def encode(self, text: str) -> list[int]:
        """Tokens of a prompt; of none, the end of the text before."""
        return self.tokenizer.encode(text).tolist() or [END_OF_TEXT[self.name]]

    def decode(self, tokens) -> str:
        return self.tokenizer.decode(tokens)
