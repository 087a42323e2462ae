"""A folder of text, or Python's standard library, as token shards for --task=tokens.

    python data/text/prepare.py                              # the standard library's sources -> data/stdlib
    python data/text/prepare.py ~/books --tokenizer=gpt2 --out=data/books

Every file that is UTF-8 text is a document; of documents that are nearly alike only the first is kept. A
document goes to validation or training by a hash of its path, with the standard library by that of its
package. A run that was killed goes on where it was.
"""
import hashlib
import os
import platform
import sys
import sysconfig
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from engine.configurator import Positive, configure
from engine.errors import UserError, one_line_errors
from problems.shards import ShardWriter
from problems.text import END_OF_TEXT, TOKENIZERS

SKIPPED = {'test', 'tests', 'idle_test', 'site-packages', 'dist-packages', '__pycache__', '.git'}
ALIKE = 0.8  # a document is left out when this share of its lines stands in one that is kept


@dataclass
class PrepareConfig:
    tokenizer: Literal['bytes', 'gpt2'] = 'bytes'  # a token for every byte, or tiktoken's gpt2
    out: str = ''                    # folder of the shards (default: data/stdlib or data/NAME)
    val_share: float = 0.05          # of the documents (or packages) that go to validation
    shard_tokens: Positive = 50_000_000  # tokens of a shard

    def check(self):
        if not 0 < self.val_share < 1:
            raise ValueError(f'val_share={self.val_share} must be between 0 and 1')


def documents(roots: list[str], whole_packages: bool):
    """Yields (unit, text) of every text file under the roots, in the order of their paths.

    A unit is what goes to one split as a whole: a package of Python files or, without whole_packages, a file.
    """
    for root in roots:
        if not os.path.isdir(root):
            raise UserError(f'{root} is not a folder')
        for folder, names, files in os.walk(root):
            names[:] = sorted(set(names) - SKIPPED)  # os.walk goes into these
            for name in sorted(files):
                if whole_packages and not name.endswith('.py'):
                    continue

                path = os.path.join(folder, name)
                unit = os.path.relpath(path, root).replace(os.sep, '/')
                if whole_packages:
                    unit = unit.split('/')[0].removesuffix('.py')
                text = read_text(path)
                if text:
                    yield unit, text


def read_text(path: str) -> str | None:
    """The text of a file, None where it is not UTF-8 text."""
    try:
        with open(path, encoding='utf-8', newline='') as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):
        return None
    return None if '\0' in text else text


def without_near_copies(items):
    """Leaves out a document of whose distinct lines, blank ones aside, ALIKE stand in one earlier."""
    holders = {}  # hash of a line -> the documents that hold it
    for number, (unit, text) in enumerate(items):
        stripped = map(str.strip, text.splitlines())
        lines = {hash(line) for line in stripped if line}

        shared = Counter()  # lines, by the earlier document that holds them
        for line in lines:
            shared.update(holders.get(line, ()))
        if shared and max(shared.values()) >= ALIKE * len(lines):
            continue

        for line in lines:
            holders.setdefault(line, []).append(number)
        yield unit, text


def split_by_name(unit: str, val_share: float) -> str:
    """'val' for a share of all units, by a hash of their names, else 'train'."""
    name = unit.encode('utf-8', 'surrogatepass')
    digest = hashlib.sha256(name).digest()
    place = int.from_bytes(digest[:8], 'big')  # uniform below 2^64
    return 'val' if place < val_share * 2 ** 64 else 'train'


def hash_of(items: list[tuple]) -> str:
    """SHA-256 of the documents (unit, text) in their order."""
    digest = hashlib.sha256()
    for unit, text in items:
        digest.update(f'{unit}\0{text}\0'.encode('utf-8', 'surrogatepass'))
    return digest.hexdigest()


def write_documents(writer: ShardWriter, texts: list[str], tokenizer, end: int):
    """Adds the texts that are not on disk yet to the shards of a split, the token `end` behind each."""
    if writer.finished:
        return
    for text in texts[writer.documents:]:
        n_bytes = len(text.encode('utf-8', 'surrogatepass'))
        tokens = np.append(tokenizer.encode(text), end)
        writer.add(tokens.astype(np.uint16), n_bytes)
    writer.finish()


def main(argv):
    config, roots = configure(PrepareConfig, argv, __doc__, positional='folders')
    if roots:
        names = [os.path.basename(os.path.normpath(root)) for root in roots]
        name = names[0]
        source = ' '.join(names)
        revision = ''
        found = documents(roots, whole_packages=False)
    else:
        name = 'stdlib'
        source = 'standard library'
        revision = f'Python {platform.python_version()}'
        found = documents([sysconfig.get_paths()['stdlib']], whole_packages=True)

    out = config.out or os.path.join('data', name)
    kept = list(without_near_copies(found))
    texts = {'train': [], 'val': []}
    for unit, text in kept:
        split = split_by_name(unit, config.val_share)
        texts[split].append(text)

    tokenizer = TOKENIZERS[config.tokenizer]()
    end = END_OF_TEXT[config.tokenizer]
    revision = f'{revision} val_share {config.val_share:g} sha256 {hash_of(kept)}'.strip()
    header = dict(tokenizer=config.tokenizer, vocab_size=end + 1, source=source, revision=revision)
    for split in ('train', 'val'):
        n = len(texts[split])
        if not n:
            raise UserError(f'no document for {split}: there are only {len(kept)}')
        writer = ShardWriter(out, split, header, config.shard_tokens)
        write_documents(writer, texts[split], tokenizer, end)
        print(f'{out}: {split}, {n:,} documents, {writer.written:,} tokens')


if __name__ == '__main__':
    with one_line_errors():
        try:
            main(sys.argv[1:])
        except ValueError as error:
            raise UserError(error) from None
