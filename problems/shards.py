"""Token shards on disk: the writer, the check of their checksums, and all shards of a split as one stream.
A folder holds SPLIT_00000.bin, SPLIT_00001.bin, .. of uint16 tokens for the splits train and val, each with
a JSON file of the same name, its header: tokenizer, vocabulary, tokens, bytes of text, SHA-256, source,
revision, and how far into the documents it reaches. SPLIT_00000.stamp says that its SHA-256 was compared."""
import glob
import hashlib
import json
import os
from contextlib import suppress
from functools import lru_cache

import numpy as np
from tqdm import tqdm

from engine.errors import UserError
from engine.files import write_atomically

SAME = ('tokenizer', 'vocab_size', 'source', 'revision')  # in all headers of a folder
KINDS = dict(tokenizer=str, vocab_size=int, source=str, revision=str, tokens=int, bytes=int, done=list,
             last=bool, sha256=str)
MAPS_MAX = 64  # shards that are mapped at once; macOS gives a process 256 open files


class ShardWriter:
    """Writes the documents of a split as shards of `shard_tokens`; after a kill it goes on from the last.
    `documents` says how many are on disk whole. Give add() the documents from that number on: the shards come
    out the same, wherever the kill was."""

    def __init__(self, folder: str, split: str, header: dict, shard_tokens: int):
        self.folder = folder
        self.split = split
        self.header = header
        self.shard_tokens = shard_tokens

        # what is on disk
        headers = read_headers(folder, split, may_lack=True)
        self.number = len(headers)
        self.written = sum(old['tokens'] for old in headers)
        self.documents = 0
        self.skip = 0  # tokens of the next document that are on disk
        self.finished = False
        if headers:
            check_same(headers[-1], header, folder)
            self.documents, self.skip = headers[-1]['done']
            self.finished = headers[-1]['last']
        self.start_shard()

    def start_shard(self):
        self.parts = [np.empty(0, np.uint16)]
        self.held = 0
        self.bytes = 0

    def add(self, tokens, n_bytes: int):
        """The next document, uint16 (N,), its end-of-text included, and the bytes of its text."""
        if not self.skip:  # a document's bytes count in the shard where it begins
            self.bytes += n_bytes
        rest = tokens[self.skip:]
        self.skip = 0
        while self.held + len(rest) >= self.shard_tokens:
            size = self.shard_tokens - self.held
            self.parts.append(rest[:size])
            rest = rest[size:]
            if len(rest):
                self.write(self.documents, len(tokens) - len(rest))
            else:
                self.write(self.documents + 1, 0)
        self.parts.append(rest)
        self.held += len(rest)
        self.documents += 1

    def finish(self):
        """The rest as the last shard."""
        if not self.finished:
            self.write(self.documents, 0, last=True)
            self.finished = True

    def write(self, documents: int, skip: int, last=False):
        """First the tokens, then the header that makes them count; each whole or absent.
        Up to here `documents` are on disk whole, and `skip` tokens of the next."""
        tokens = np.concatenate(self.parts)
        data = tokens.astype('<u2').tobytes()
        sha256 = hashlib.sha256(data).hexdigest()
        header = self.header | dict(tokens=len(tokens), bytes=self.bytes, done=(documents, skip), last=last,
                                    sha256=sha256)

        os.makedirs(self.folder, exist_ok=True)
        name = shard_name(self.folder, self.split, self.number)
        write_atomically(f'{name}.bin', lambda file: file.write(data), 'wb')
        write_atomically(f'{name}.json', lambda file: json.dump(header, file, indent=1))
        is_intact(name, sha256)  # which leaves the stamp
        self.number += 1
        self.written += len(tokens)
        self.start_shard()


def shard_name(folder: str, split: str, number: int) -> str:
    """The path of a shard without its ending."""
    return os.path.join(folder, f'{split}_{number:05d}')


def check_same(header: dict, other: dict, folder: str):
    """UserError where two shards cannot be one stream."""
    for name in SAME:
        if header[name] != other[name]:
            raise UserError(f'{folder}: shards with {name}={header[name]!r} and {other[name]!r} do not go '
                            'together; prepare into another folder')


def read_headers(folder: str, split: str, may_lack=False) -> list[dict]:
    """The headers of a split's shards in order. UserError names what is missing, cut or foreign."""
    headers = []
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), f'{split}_*.json'))):
        name = shard_name(folder, split, len(headers))
        if path != f'{name}.json':
            raise UserError(f'{folder}: shard {os.path.basename(name)} is missing before {path}')
        header = read_header(name)
        headers.append(header)
        check_same(headers[0], header, folder)
    if not headers and not may_lack:
        raise UserError(f'no {split} shards in {folder}: python data/text/prepare.py or '
                        'data/pile/prepare.py makes them')
    return headers


def read_header(name: str) -> dict:
    """The header of the shard `name`, a path without its ending, whose tokens have the size that it says."""
    try:
        with open(f'{name}.json', encoding='utf-8') as file:
            header = json.load(file)
        sound = all(isinstance(header[key], kind) for key, kind in KINDS.items())
        sound = sound and list(map(type, header['done'])) == [int, int]
    except (ValueError, KeyError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise UserError(f'{name}.json is damaged, or not a shard of this project')
    expected = 2 * header['tokens']
    found = os.path.getsize(f'{name}.bin')
    if found != expected:
        raise UserError(f'{name}.bin has {found:,} bytes, not {expected:,}: it is cut, copy it again')
    return header


def check_sums(folder: str, anew=False):
    """UserError where shards of train or val are not what was written.
    What was compared with its SHA-256 is read again only where the file has changed, or with `anew`."""
    sums = {}
    for split in ('train', 'val'):
        for number, header in enumerate(read_headers(folder, split)):
            sums[shard_name(folder, split, number)] = header['sha256']
    bar = tqdm(sums, 'comparing shards with their SHA-256', delay=5, leave=False)
    damaged = [f'{name}.bin' for name in bar if not is_intact(name, sums[name], anew)]
    if damaged:
        raise UserError(f'{", ".join(damaged)}: not what was written, the SHA-256 differs; copy again from '
                        'where it was made, or prepare into another folder')
    if anew:
        print(f'{folder}: {len(sums):,} shards are what was written')


def is_intact(name: str, sha256: str, anew=False) -> bool:
    """Whether the tokens of a shard have this SHA-256; the stamp says so of a file that is still the same."""
    with open(f'{name}.bin', 'rb') as file:
        status = os.fstat(file.fileno())
        stamp = f'{status.st_size} {status.st_mtime_ns} {sha256}'
        with suppress(OSError), open(f'{name}.stamp', encoding='utf-8', errors='replace') as stamp_file:
            if stamp_file.read() == stamp and not anew:
                return True
        digest = hashlib.sha256()
        while block := file.read(2 ** 20):
            digest.update(block)
    intact = digest.hexdigest() == sha256
    if intact or anew:  # where the folder may only be read, there is no stamp
        with suppress(OSError), open(f'{name}.stamp', 'w', encoding='utf-8') as stamp_file:
            stamp_file.write(stamp if intact else '')
    return intact


@lru_cache(MAPS_MAX)
def map_shard(path: str):
    """The tokens of a shard, memory-mapped; the map that was used longest ago is closed."""
    return np.memmap(path, '<u2', 'r')


class Stream:
    """All shards of a split as one array of tokens; it holds no map, so that it can be pickled."""

    def __init__(self, folder: str, split: str):
        headers = read_headers(folder, split)
        map_shard.cache_clear()  # other files may have taken the paths
        self.folder = folder
        self.split = split
        self.header = headers[0]
        self.ends = np.cumsum([header['tokens'] for header in headers])
        self.length = int(self.ends[-1])

    def window(self, start: int, size: int):
        """Tokens start .. start + size - 1 as int32, over the borders of shards."""
        number = int(np.searchsorted(self.ends, start, side='right'))
        parts = []
        while size:
            shard = map_shard(shard_name(self.folder, self.split, number) + '.bin')
            offset = start - int(self.ends[number]) + len(shard)
            part = shard[offset:offset + size]
            parts.append(part)
            start += len(part)
            size -= len(part)
            number += 1
        return np.concatenate(parts, dtype=np.int32)
