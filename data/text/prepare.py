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
from dataclasses import dataclass
from typing import Literal

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from engine.configurator import UserError, configure, one_line_errors
from problems.text import END_OF_TEXT, TOKENIZERS, ShardWriter

SKIPPED = {'test', 'tests', 'idle_test', 'site-packages', 'dist-packages', '__pycache__', '.git'}
ALIKE = 0.8  # a document is left out when this share of its lines stands in one that is kept


@dataclass
class PrepareConfig:
    tokenizer: Literal['bytes', 'gpt2'] = 'bytes'  # a token for every byte, or tiktoken's gpt2
    out: str = ''                    # folder of the shards (default: data/stdlib or data/NAME)
    val_share: float = 0.05          # of the documents (or packages) that go to validation
    shard_tokens: int = 50_000_000   # tokens of a shard

    def check(self):
        if not 0 < self.val_share < 1 or self.shard_tokens < 1:
            raise ValueError('val_share must be between 0 and 1, shard_tokens at least 1')


def documents(roots: list[str], whole_packages: bool):
    """(unit, text) of every text file under the roots, in the order of their paths."""
    for root in roots:
        if not os.path.isdir(root):
            raise UserError(f'{root} is not a folder')
        for folder, names, files in os.walk(root):
            names[:] = sorted(name for name in names if name not in SKIPPED)
            for name in sorted(files):
                path = os.path.join(folder, name)
                relative = os.path.relpath(path, root).replace(os.sep, '/')
                if whole_packages and not name.endswith('.py'):
                    continue
                text = read_text(path)
                if text:
                    unit = relative.split('/')[0].removesuffix('.py') if whole_packages else relative
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
    seen = {}  # hash of a line -> the documents that hold it
    for number, (unit, text) in enumerate(items):
        lines = {hash(line.strip()) for line in text.splitlines() if line.strip()}
        shared = {}
        for line in lines:
            for other in seen.get(line, ()):
                shared[other] = shared.get(other, 0) + 1
        if shared and max(shared.values()) >= ALIKE * len(lines):
            continue
        for line in lines:
            seen.setdefault(line, []).append(number)
        yield unit, text


def split_of(unit: str, val_share: float) -> str:
    digest = int.from_bytes(hashlib.sha256(unit.encode('utf-8', 'surrogatepass')).digest()[:8], 'big')
    return 'val' if digest < val_share * 2 ** 64 else 'train'


def main(argv):
    config, roots = configure(PrepareConfig, argv, __doc__, positional='folders')
    names = [os.path.basename(os.path.normpath(root)) for root in roots]
    out = config.out or os.path.join('data', names[0] if names else 'stdlib')
    source, revision = ' '.join(names), ''
    if not roots:
        source, revision = 'standard library', f'Python {platform.python_version()}'
    kept = list(without_near_copies(documents(roots or [sysconfig.get_paths()['stdlib']], not roots)))
    digest = hashlib.sha256()
    for unit, text in kept:
        digest.update(f'{unit}\0{text}\0'.encode('utf-8', 'surrogatepass'))
    tokenizer, end = TOKENIZERS[config.tokenizer](), END_OF_TEXT[config.tokenizer]
    header = dict(tokenizer=config.tokenizer, vocab_size=end + 1, source=source,
                  revision=f'{revision} val_share {config.val_share:g} sha256 {digest.hexdigest()}'.strip())
    for split in ('train', 'val'):
        own = [text for unit, text in kept if split_of(unit, config.val_share) == split]
        if not own:
            raise UserError(f'no document for {split}: there are only {len(kept)}')
        writer = ShardWriter(out, split, header, config.shard_tokens)
        for text in own[writer.documents:] if not writer.finished else ():
            n_bytes = len(text.encode('utf-8', 'surrogatepass'))
            writer.add(np.append(tokenizer.encode(text), end).astype(np.uint16), n_bytes)
        writer.finish()
        print(f'{out}: {split}, {len(own):,} documents, {writer.written:,} tokens')


if __name__ == '__main__':
    with one_line_errors():
        try:
            main(sys.argv[1:])
        except ValueError as error:
            raise UserError(error) from None
