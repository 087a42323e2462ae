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
    """Yields (path, path below the root) of a single file, or of all in a folder in order."""
    if os.path.isfile(root):
        yield root, os.path.basename(root)
        return
    if not os.path.isdir(root):
        raise UserError(f'{root} is neither a folder nor a file')

    walk = os.walk(root, onerror=lambda error: left_out[error.strerror].append(error.filename))
    for folder, names, files in walk:
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


def read_text(path: str) -> tuple[str, str]:
    """The text of a file without a byte order mark; '' and the reason where it has none."""
    if not os.path.isfile(path):  # opening a pipe would wait for its writer
        return '', 'not a regular file'
    try:
        with open(path, encoding='utf-8-sig', newline='') as file:
            text = file.read()
    except UnicodeDecodeError:
        return '', 'not UTF-8'
    except OSError as error:
        return '', error.strerror
    if '\0' in text:
        return '', 'binary'
    return text, 'empty'


def documents(roots: list[str], whole_packages: bool, left_out: dict):
    """Yields (unit, text) of the text files under the roots; left_out gets the paths of others, by reason.
    A unit goes to one split as a whole: a file or, with whole_packages, a package of Python files. ALIKE of a
    near copy's distinct lines, blank ones aside, stand in one document."""
    holders = {}  # hash of a line -> numbers of the documents that hold it
    n_kept = 0
    for root in roots:
        for path, unit in find_files(root, left_out):
            if whole_packages:
                if not path.endswith('.py'):
                    continue
                unit = unit.split('/')[0].removesuffix('.py')

            text, reason = read_text(path)
            lines = {hash(line) for line in map(str.strip, text.splitlines()) if line}
            if not text:
                left_out[reason].append(path)
            elif is_near_copy(lines, holders, n_kept):
                left_out['nearly a copy'].append(path)
            else:
                for line in lines:
                    holders.setdefault(line, array('I')).append(n_kept)
                n_kept += 1
                yield unit, text


def is_near_copy(lines: set, holders: dict, n_kept: int) -> bool:
    """Whether one of the kept documents holds ALIKE of the lines.
    Lines that few documents hold are counted first; those that many hold only where a document can still have
    enough. So the time is near linear in the number of documents."""
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
    """The texts of train and val, by a hash of the unit; a single text is cut at a line end."""
    texts = {'train': [], 'val': []}
    for unit, text in kept:
        digest = hashlib.sha256(unit.encode('utf-8', 'surrogatepass')).digest()
        place = int.from_bytes(digest[:8], 'big')  # uniform below 2^64
        texts['val' if place < val_share * 2 ** 64 else 'train'].append(text)
    if len(kept) == 1:
        place = round(len(text) * (1 - val_share))
        cut = text.rfind('\n', 0, place) + 1 or text.find('\n', place) + 1
        texts = {'train': [text[:cut]], 'val': [text[cut:]]}

    for split, parts in texts.items():
        if not any(parts):
            raise UserError(f'no text for {split} in {len(kept)} documents (a single one is cut at a line '
                            'end): give more, or another --val_share')
    return texts


def hash_of(kept: list[tuple]) -> str:
    """SHA-256 of the documents (unit, text) in their order."""
    digest = hashlib.sha256()
    for unit, text in kept:
        digest.update(f'{unit}\0{text}\0'.encode('utf-8', 'surrogatepass'))
    return digest.hexdigest()


def main(argv):
    config, roots = configure(PrepareConfig, argv, __doc__, positional='files or folders')
    whole_packages = not roots
    roots = [os.path.abspath(os.path.expanduser(root)) for root in roots]
    names = [os.path.basename(root) for root in roots] or ['stdlib']
    source = ' '.join(names)
    revision = ''
    if whole_packages:
        roots = [sysconfig.get_paths()['stdlib']]
        source = 'standard library'
        revision = f'Python {platform.python_version()} '
    out = config.out or os.path.join('data', names[0].removesuffix('.txt'))
    if config.verify:
        return check_sums(out, anew=True)

    # whatever can be wrong is found before anything is written
    check_writable(out)
    tokenizer = TOKENIZERS[config.tokenizer]()
    left_out = defaultdict(list)
    kept = list(documents(roots, whole_packages, left_out))
    for reason, paths in left_out.items():
        print(f'left out {len(paths):,}: {reason}, the first is {paths[0]}')
    texts = in_splits(kept, config.val_share)

    end = END_OF_TEXT[config.tokenizer]
    revision += f'val_share {config.val_share:g} sha256 {hash_of(kept)}'
    header = dict(tokenizer=config.tokenizer, vocab_size=end + 1, source=source, revision=revision)
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
