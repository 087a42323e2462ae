"""Folders of token shards: random documents, written whole or up to a kill."""
import os

import numpy as np

from problems.shards import ShardWriter

HEADER = dict(tokenizer='bytes', vocab_size=257, source='here', revision='1')


def documents(count=40, seed=0):
    rng = np.random.default_rng(seed)
    return [np.append(rng.integers(0, 256, rng.integers(0, 30)), 256).astype(np.uint16) for _ in range(count)]


def write(folder, split='train', shard_tokens=50, docs=None, stop=None, header=HEADER):
    writer = ShardWriter(str(folder), split, header, shard_tokens)
    for number, document in enumerate(docs[writer.documents:], writer.documents):
        if number == stop:
            return writer
        writer.add(document, len(document) - 1)
    writer.finish()
    return writer


def files(folder):
    """All that is in a folder but the stamps, which tell the times of files."""
    return {name: (folder / name).read_bytes() for name in sorted(os.listdir(folder))
            if not name.endswith('.stamp')}
