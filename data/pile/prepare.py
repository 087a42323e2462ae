"""The Pile as token shards for config/pile_*.py: streamed, tokenised by several processes, resumable.

    python data/pile/prepare.py --limit_tokens=1000000000

Source: monology/pile-uncopyrighted, which lacks the parts of the Pile under copyright; the original cannot be
downloaded any more. Tokens are tiktoken's gpt2, with end-of-text after every document, in the order of the
source. A run that was killed goes on after the last whole shard: the documents before are streamed past, not
tokenised.
"""
import collections
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from tqdm import tqdm

from engine.configurator import Natural, Path, Positive, configure
from engine.errors import UserError, one_line_errors
from engine.files import check_writable, import_datasets
from problems.shards import ShardWriter, check_sums
from problems.text import END_OF_TEXT, GPT2

SOURCE = 'monology/pile-uncopyrighted'
tokenizer = None  # one in each worker process


@dataclass
class PrepareConfig:
    out: Path = 'data/pile'          # folder of the shards
    revision: str = 'main'           # of the data set: a commit of it makes the shards reproducible
    limit_tokens: Natural = 0        # stop the training split after so many; 0 takes all
    val_tokens: Positive = 20_000_000      # of the validation split
    shard_tokens: Positive = 100_000_000   # tokens of a shard: 200 MB
    processes: Natural = 0           # that tokenise; 0 takes one a core
    data_files: str = ''             # TRAIN,VAL: local .jsonl files of the same shape instead of the hub
    verify: bool = False             # only compare the shards in `out` with their checksums

    def check(self):
        paths = map(os.path.expanduser, self.data_files.split(','))
        if self.data_files and list(map(os.path.isfile, paths)) != [True, True]:
            raise ValueError(f'data_files={self.data_files!r} must be two files, TRAIN,VAL')


def chunks(config, split: str, first: int, size=64):
    """Yields the texts of documents `first`, .. in lists; None where a record has no field 'text'."""
    datasets = import_datasets()
    try:
        if config.data_files:
            train, val = map(os.path.expanduser, config.data_files.split(','))
            files = {'train': train, 'val': val}
            source = datasets.load_dataset('json', data_files=files, split=split, streaming=True)
        else:
            name = 'validation' if split == 'val' else split
            source = datasets.load_dataset(SOURCE, split=name, revision=config.revision, streaming=True)
        records = iter(source.skip(first))
        while texts := [record.get('text') for record in itertools.islice(records, size)]:
            yield texts
    except Exception as error:  # the hub's errors are many
        first_line = str(error).partition('\n')[0]
        raise UserError(f'{config.data_files or SOURCE} could not be read ({type(error).__name__}: '
                        f'{first_line}); whole shards are kept: the same command goes on; .jsonl files that '
                        'were fetched elsewhere are named by --data_files=TRAIN,VAL') from None


def start_worker():
    """Runs once in each worker process."""
    global tokenizer
    tokenizer = GPT2()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    threading.Thread(target=leave_with_parent, daemon=True).start()


def leave_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)


def tokenise(texts: list) -> list[tuple]:
    """(tokens uint16 with end-of-text, bytes) of each document; no tokens of what is no text."""
    out = []
    for text in texts:
        tokens = np.empty(0)
        n_bytes = 0
        if isinstance(text, str):
            tokens = np.append(tokenizer.encode(text), END_OF_TEXT['gpt2'])
            n_bytes = len(text.encode('utf-8', 'surrogatepass'))
        out.append((tokens.astype(np.uint16), n_bytes))
    return out


def in_order(pool, items, ahead: int):
    """Yields tokenise(item) in order, with `ahead` calls under way: the stream is not read further."""
    waiting = collections.deque()
    for item in items:
        waiting.append(pool.submit(tokenise, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    for call in waiting:
        yield call.result()


def prepare(config, split: str, limit: int, pool, processes: int):
    """Writes a split's shards up to the document that reaches `limit` tokens."""
    name = config.data_files or SOURCE
    header = dict(tokenizer='gpt2', vocab_size=END_OF_TEXT['gpt2'] + 1, source=name, revision=config.revision)
    writer = ShardWriter(config.out, split, header, config.shard_tokens)
    if writer.finished:
        print(f'{config.out}: {split} is whole, {writer.written:,} tokens')
        return

    without_text = []  # numbers of documents
    results = in_order(pool, chunks(config, split, writer.documents), 4 * processes)
    with tqdm(total=limit or None, initial=writer.written, unit='token', unit_scale=True, desc=split,
              disable=None) as bar:
        for tokens, n_bytes in itertools.chain.from_iterable(results):
            if not len(tokens):
                without_text.append(writer.documents)
            writer.add(tokens, n_bytes)
            n_tokens = writer.written + writer.held
            bar.update(n_tokens - bar.n)
            if limit and n_tokens >= limit:
                break

    if without_text:
        print(f'left out {len(without_text):,}: no text, the first is {split} document {without_text[0]:,}')
    if not writer.written + writer.held:
        raise UserError(f"{name}: no document of {split} has a field 'text' with text in it")
    writer.finish()
    print(f'{config.out}: {split}, {writer.documents:,} documents, {writer.written:,} tokens')


def main(argv):
    config, words = configure(PrepareConfig, argv, __doc__, positional='words')
    if words:
        raise UserError(f'{words[0]!r} is not an option; see --help')
    if config.verify:
        return check_sums(config.out, anew=True)

    check_writable(config.out)
    GPT2()  # says in one line what is missing, before any worker starts
    processes = config.processes or os.cpu_count()
    try:
        with ProcessPoolExecutor(processes, initializer=start_worker) as pool:
            pool.submit(tokenise, []).result()  # the processes fork before the source has threads
            prepare(config, 'val', config.val_tokens, pool, processes)
            prepare(config, 'train', config.limit_tokens, pool, processes)
    except BrokenProcessPool:
        raise UserError('a process that tokenises was killed (out of memory?); whole shards are kept: the '
                        'same command goes on') from None


if __name__ == '__main__':
    with one_line_errors():
        main(sys.argv[1:])
