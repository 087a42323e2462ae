"""Token shards on disk: the writer, and all shards of a split as one stream.

A folder holds SPLIT_00000.bin, SPLIT_00001.bin, .. of uint16 tokens for the splits train and val, each with
a JSON file of the same name, its header: tokenizer, vocabulary, tokens, bytes of text, SHA-256, source,
revision, and how far into the documents it reaches.
"""
import glob
import hashlib
import json
import math
import os

import numpy as np

from engine.files import write_atomically


class ShardWriter:
    """Writes the documents of a split as shards of `shard_tokens`; after a kill it goes on from the last.

    `documents` says how many are on disk whole. Give add() the documents from that number on: the shards come
    out the same, wherever the kill was.
    """

    def __init__(self, folder: str, split: str, header: dict, shard_tokens: int):
        self.folder = folder
        self.split = split
        self.header = header
        self.shard_tokens = shard_tokens

        # what is on disk
        os.makedirs(folder, exist_ok=True)
        headers = read_headers(folder, split)
        for old in headers:
            check_same(old, header, folder)
        self.number = len(headers)
        self.written = sum(old['tokens'] for old in headers)
        self.documents = 0
        self.skip = 0  # tokens of the next document that are on disk
        self.finished = False
        if headers:
            self.documents, self.skip = headers[-1]['done']
            self.finished = headers[-1]['last']
        self.start_shard()

    def start_shard(self):
        """Nothing of the next shard is held yet."""
        self.parts = []
        self.held = 0
        self.bytes = 0

    def add(self, tokens, n_bytes: int):
        """The next document, uint16 (N,), its end-of-text included, and the bytes of its text."""
        offset = self.skip
        self.skip = 0
        if not offset:  # a document's bytes count in the shard where it begins
            self.bytes += n_bytes

        while self.held + len(tokens) - offset >= self.shard_tokens:
            size = self.shard_tokens - self.held
            self.parts.append(tokens[offset:offset + size])
            offset += size
            if offset == len(tokens):
                self.write(self.documents + 1, 0, last=False)
                break
            self.write(self.documents, offset, last=False)

        if offset < len(tokens):
            self.parts.append(tokens[offset:])
            self.held += len(tokens) - offset
        self.documents += 1

    def finish(self):
        """The rest as the last shard."""
        if not self.finished:
            self.write(self.documents, 0, last=True)
            self.finished = True

    def write(self, documents: int, skip: int, last: bool):
        """First the tokens, then the header that makes them count; each whole or absent.

        Up to here `documents` are on disk whole, and `skip` tokens of the next.
        """
        tokens = np.concatenate(self.parts) if self.parts else np.empty(0, np.uint16)
        data = tokens.astype('<u2').tobytes()

        header = self.header | dict(
            tokens=len(tokens),
            bytes=self.bytes,
            done=(documents, skip),
            last=last,
            sha256=hashlib.sha256(data).hexdigest(),
        )

        name = shard_name(self.folder, self.split, self.number)
        write_atomically(f'{name}.bin', lambda file: file.write(data), 'wb')
        write_atomically(f'{name}.json', lambda file: json.dump(header, file, indent=1))
        self.number += 1
        self.written += len(tokens)
        self.start_shard()


def shard_name(folder: str, split: str, number: int) -> str:
    """The path of a shard without its ending."""
    return os.path.join(folder, f'{split}_{number:05d}')


def check_same(header: dict, other: dict, folder: str):
    """ValueError where two shards cannot be one stream."""
    for name in ('tokenizer', 'vocab_size', 'source', 'revision'):
        if header[name] != other[name]:
            raise ValueError(f'{folder}: shards with {name}={header[name]!r} and {other[name]!r} do not go '
                             'together; prepare into another folder')


def read_headers(folder: str, split: str) -> list[dict]:
    """The headers of a split's shards in order. ValueError names what is missing, cut or foreign."""
    headers = []
    pattern = os.path.join(glob.escape(folder), f'{split}_*.json')
    for path in sorted(glob.glob(pattern)):
        name = path.removesuffix('.json')
        header = read_header(name)

        expected_name = shard_name(folder, split, len(headers))
        if name != expected_name:
            missing = os.path.basename(expected_name)
            raise ValueError(f'{folder}: shard {missing} is missing before {name}')
        if headers:
            check_same(headers[0], header, folder)
        headers.append(header)
    return headers


def read_header(name: str) -> dict:
    """The header of the shard `name`, a path without its ending, whose tokens have the size that it says."""
    try:
        with open(f'{name}.json', encoding='utf-8') as file:
            header = json.load(file)
        expected = 2 * header['tokens']
        found = os.path.getsize(f'{name}.bin')
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(f'{name}.bin and its .json are not a shard of this project: '
                         'prepare the data again') from None
    if found != expected:
        raise ValueError(f'{name}.bin has {found:,} bytes, not {expected:,}: it is cut, copy it again')
    return header


class Stream:
    """All shards of a split as one array of tokens, memory-mapped."""

    def __init__(self, folder: str, split: str):
        self.headers = read_headers(folder, split)
        if not self.headers:
            raise ValueError(f'no {split} shards in {folder}: python data/text/prepare.py or '
                             'data/pile/prepare.py makes them')
        self.shards = []
        n_bytes = 0
        for number, header in enumerate(self.headers):
            n_bytes += header['bytes']
            if header['tokens']:  # an empty file cannot be mapped
                path = shard_name(folder, split, number) + '.bin'
                self.shards.append(np.memmap(path, '<u2', 'r'))

        sizes = [len(shard) for shard in self.shards]
        self.ends = np.cumsum(sizes)
        self.length = sum(sizes)
        self.tokens_per_byte = self.length / n_bytes if n_bytes else math.nan

    def window(self, start: int, size: int):
        """Tokens start .. start + size - 1, over the borders of shards."""
        number = int(np.searchsorted(self.ends, start, side='right'))
        parts = []
        while size:
            shard = self.shards[number]
            offset = start - (int(self.ends[number]) - len(shard))
            part = shard[offset:offset + size]
            parts.append(part)
            start += len(part)
            size -= len(part)
            number += 1
        return np.concatenate(parts)
