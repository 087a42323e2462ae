"""Text files, or Python's standard library, as token shards for --task=tokens.

    python data/text/prepare.py                              # the standard library's sources -> data/stdlib
    python data/text/prepare.py ~/books --tokenizer=gpt2 --out=data/books
    python data/text/prepare.py input.txt                    # one file, cut in two -> data/input

Every file that is UTF-8 text is a document; of documents that are nearly alike only the first is kept. A
document goes to validation or training by a hash of its path, with the standard library by that of its
package. What is left out is counted. A run that was killed goes on where it was.
"""
import hashlib
import math
import os
import platform
import sys
import sysconfig
from array import array
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from engine.configurator import Path, Positive, configure
from engine.errors import UserError, one_line_errors
from engine.files import check_writable
from problems.shards import ShardWriter, check_sums
from problems.text import END_OF_TEXT, TOKENIZERS

SKIPPED = {'test', 'tests', 'idle_test', 'site-packages', 'dist-packages', '__pycache__', '.git'}
ALIKE = 0.8  # a document is left out when this share of its lines stands in one that is kept


@dataclass
class PrepareConfig:
    tokenizer: Literal['bytes', 'gpt2'] = 'bytes'  # a token for every byte, or tiktoken's gpt2
    out: Path = ''                   # folder of the shards (default: data/stdlib or data/NAME)
    val_share: float = 0.05          # of documents, packages or a single file that goes to validation
    shard_tokens: Positive = 50_000_000  # tokens of a shard
    verify: bool = False             # only compare the shards in `out` with their checksums

    def check(self):
        if not 0 < self.val_share < 1:
            raise ValueError(f'val_share={self.val_share} must be between 0 and 1')


def find_files(root: str, left_out: dict):
    """Yields (path, path below the root) of a single file, or of all in a folder in order.

    left_out gets the paths of what is passed over, by reason; so it does in the functions below.
    """
    if os.path.isfile(root):
        yield root, os.path.basename(root)
    elif not os.path.isdir(root):
        raise UserError(f'{root} is neither a folder nor a file')

    def note(error):
        left_out[error.strerror].append(error.filename)

    for folder, names, files in os.walk(root, onerror=note):
        for name in sorted(names):
            path = os.path.join(folder, name)
            linked = os.path.islink(path)
            if linked or name in SKIPPED:
                left_out['linked folder' if linked else 'folder skipped by its name'].append(path)
                names.remove(name)
        names.sort()  # os.walk goes into these
        for name in sorted(files):
            path = os.path.join(folder, name)
            yield path, os.path.relpath(path, root).replace(os.sep, '/')


def read_text(path: str, left_out: dict) -> str:
    """The text of a file without a byte order mark, '' where it has none."""
    text = ''
    reason = 'empty'
    try:
        if os.path.isfile(path):
            with open(path, encoding='utf-8-sig', newline='') as file:
                text = file.read()
        else:
            reason = 'not a regular file'  # opening a pipe would wait for its writer
    except UnicodeDecodeError:
        reason = 'not UTF-8'
    except OSError as error:
        reason = error.strerror
    if '\0' in text:
        text = ''
        reason = 'binary'
    if not text:
        left_out[reason].append(path)
    return text


def documents(roots: list[str], whole_packages: bool, left_out: dict):
    """Yields (unit, text) of the text files under the roots that are no near copies of one before.

    A unit goes to one split as a whole: a file or, with whole_packages, a package of Python files. ALIKE of a
    near copy's distinct lines, blank ones aside, stand in one document.
    """
    holders = {}  # hash of a line -> numbers of the documents that hold it
    n_kept = 0
    for root in roots:
        for path, unit in find_files(root, left_out):
            if whole_packages:
                if not path.endswith('.py'):
                    continue
                unit = unit.split('/')[0].removesuffix('.py')
            text = read_text(path, left_out)
            lines = {hash(line) for line in map(str.strip, text.splitlines()) if line}
            if is_near_copy(lines, holders, n_kept):
                left_out['nearly a copy'].append(path)
            elif text:
                for line in lines:
                    holders.setdefault(line, array('I')).append(n_kept)
                n_kept += 1
                yield unit, text


def is_near_copy(lines: set, holders: dict, n_kept: int) -> bool:
    """Whether one of the kept documents holds ALIKE of the lines.

    Lines that few documents hold are counted first; those that many hold only where a document can still have
    enough. So the time is near linear in the number of documents.
    """
    needed = math.ceil(ALIKE * len(lines))
    rarest_first = sorted(lines, key=lambda line: len(holders.get(line, ())))
    middle = len(lines) - needed + max(1, needed // 2)
    shared = np.zeros(n_kept, np.uint32)  # lines in common with each kept document
    for start, stop in ((0, middle), (middle, len(lines))):
        for line in rarest_first[start:stop]:
            if line in holders:
                shared[np.frombuffer(holders[line], np.uint32)] += 1
        uncounted = len(lines) - stop
        if shared.max(initial=0) < max(1, needed - uncounted):
            return False
    return True


def in_splits(kept: list[tuple], val_share: float) -> dict:
    """The texts of train and val; a single document is cut at a line end. UserError where one has none."""
    texts = {'train': [], 'val': []}
    for unit, text in kept:
        texts[split_by_name(unit, val_share)].append(text)
    if len(kept) == 1:
        place = round(len(text) * (1 - val_share))
        cut = text.rfind('\n', 0, place) + 1 or text.find('\n', place) + 1
        texts = {'train': [text[:cut]], 'val': [text[cut:]]}
    for split, parts in texts.items():
        if not any(parts):
            raise UserError(f'no text for {split} in {len(kept)} documents (a single one is cut at a line '
                            'end): give more, or another --val_share')
    return texts


def split_by_name(unit: str, val_share: float) -> str:
    """'val' for a share of all units, by a hash of their names, else 'train'."""
    digest = hashlib.sha256(unit.encode('utf-8', 'surrogatepass')).digest()
    place = int.from_bytes(digest[:8], 'big')  # uniform below 2^64
    return 'val' if place < val_share * 2 ** 64 else 'train'


def hash_of(kept: list[tuple]) -> str:
    """SHA-256 of the documents (unit, text) in their order."""
    digest = hashlib.sha256()
    for unit, text in kept:
        digest.update(f'{unit}\0{text}\0'.encode('utf-8', 'surrogatepass'))
    return digest.hexdigest()


def main(argv):
    config, roots = configure(PrepareConfig, argv, __doc__, positional='files or folders')
    whole_packages = not roots
    if roots:
        roots = [os.path.abspath(os.path.expanduser(root)) for root in roots]
        source = ' '.join(map(os.path.basename, roots))
        name = os.path.basename(roots[0]).removesuffix('.txt')
        revision = ''
    else:
        roots = [sysconfig.get_paths()['stdlib']]
        source = 'standard library'
        name = 'stdlib'
        revision = f'Python {platform.python_version()} '
    out = config.out or os.path.join('data', name)
    if config.verify:
        return check_sums(out, anew=True)

    # all that can fail, before anything is written
    check_writable(out)
    tokenizer = TOKENIZERS[config.tokenizer]()
    left_out = defaultdict(list)
    kept = list(documents(roots, whole_packages, left_out))
    for reason, paths in left_out.items():
        print(f'left out {len(paths):,}: {reason}, the first is {paths[0]}')
    texts = in_splits(kept, config.val_share)

    end = END_OF_TEXT[config.tokenizer]
    header = dict(tokenizer=config.tokenizer, vocab_size=end + 1, source=source,
                  revision=f'{revision}val_share {config.val_share:g} sha256 {hash_of(kept)}')
    for split, parts in texts.items():
        writer = ShardWriter(out, split, header, config.shard_tokens)
        if not writer.finished:
            for text in parts[writer.documents:]:
                tokens = np.append(tokenizer.encode(text), end)
                writer.add(tokens.astype(np.uint16), len(text.encode('utf-8', 'surrogatepass')))
            writer.finish()
        print(f'{out}: {split}, {len(parts):,} documents, {writer.written:,} tokens')


if __name__ == '__main__':
    with one_line_errors():
        main(sys.argv[1:])
