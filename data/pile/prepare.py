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
import sys
from dataclasses import dataclass

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from tqdm import tqdm

from engine.configurator import Natural, Positive, configure
from engine.errors import UserError, one_line_errors
from engine.files import import_datasets
from problems.shards import ShardWriter
from problems.text import END_OF_TEXT, GPT2

SOURCE = 'monology/pile-uncopyrighted'
SOURCE_SPLITS = {'train': 'train', 'val': 'validation'}  # by ours
tokenizer = None  # one in each worker process


@dataclass
class PrepareConfig:
    out: str = 'data/pile'           # folder of the shards
    revision: str = 'main'           # of the data set: a commit of it makes the shards reproducible
    limit_tokens: Natural = 0        # stop the training split after so many; 0 takes all
    val_tokens: Positive = 20_000_000      # of the validation split
    shard_tokens: Positive = 100_000_000   # tokens of a shard: 200 MB
    processes: Natural = 0           # that tokenise; 0 takes one a core
    data_files: str = ''             # TRAIN,VAL: local .jsonl files of the same shape instead of the hub


def open_source(config, split: str):
    """The documents of a split as a stream of records with a field 'text'."""
    datasets = import_datasets()

    try:
        if config.data_files:
            paths = dict(zip(SOURCE_SPLITS, config.data_files.split(','), strict=True))
            return datasets.load_dataset('json', data_files=paths[split], split='train', streaming=True)
        name = SOURCE_SPLITS[split]
        return datasets.load_dataset(SOURCE, split=name, revision=config.revision, streaming=True)
    except Exception as error:  # the hub's errors are many
        first_line = str(error).partition('\n')[0]
        reason = f'{type(error).__name__}: {first_line}'
        raise UserError(f'{config.data_files or SOURCE} could not be opened ({reason}); fetch its .jsonl '
                        'files elsewhere and name them by --data_files=TRAIN,VAL') from None


def start_worker():
    """Runs once in each worker process."""
    global tokenizer
    tokenizer = GPT2()


def tokenise(texts: list[str]) -> list[tuple]:
    """(tokens uint16 with end-of-text, bytes) of each document."""
    out = []
    for text in texts:
        tokens = np.append(tokenizer.encode(text), END_OF_TEXT['gpt2'])
        n_bytes = len(text.encode('utf-8', 'surrogatepass'))
        out.append((tokens.astype(np.uint16), n_bytes))
    return out


def chunks(records, size=64):
    """Yields the texts of successive documents, in lists."""
    while texts := [record['text'] for record in itertools.islice(records, size)]:
        yield texts


def in_order(pool, function, items, ahead: int):
    """Yields function(item) in order, with `ahead` calls under way: the stream is not read further."""
    waiting = collections.deque()
    for item in items:
        call = pool.apply_async(function, (item,))
        waiting.append(call)
        if len(waiting) > ahead:
            yield waiting.popleft().get()
    for result in waiting:
        yield result.get()


def prepare(config, split: str, limit: int, pool):
    """Writes a split's shards up to the document that reaches `limit` tokens."""
    header = dict(
        tokenizer='gpt2',
        vocab_size=END_OF_TEXT['gpt2'] + 1,
        source=config.data_files or SOURCE,
        revision=config.revision,
    )
    writer = ShardWriter(config.out, split, header, config.shard_tokens)
    if writer.finished:
        print(f'{config.out}: {split} is whole, {writer.written:,} tokens')
        return

    records = iter(open_source(config, split).skip(writer.documents))
    processes = config.processes or os.cpu_count()
    results = in_order(pool, tokenise, chunks(records), 4 * processes)
    with tqdm(total=limit or None, initial=writer.written, unit='token', unit_scale=True, desc=split) as bar:
        for document in itertools.chain.from_iterable(results):
            writer.add(*document)
            n_tokens = writer.written + writer.held
            bar.update(n_tokens - bar.n)
            if limit and n_tokens >= limit:
                break
    writer.finish()
    print(f'{config.out}: {split}, {writer.documents:,} documents, {writer.written:,} tokens')


def main(argv):
    config, words = configure(PrepareConfig, argv, __doc__, positional='words')
    if words:
        raise UserError(f'{words[0]!r} is not an option; see --help')
    try:
        GPT2()  # says in one line what is missing, before any worker starts
        with multiprocessing.Pool(config.processes or os.cpu_count(), start_worker) as pool:
            prepare(config, 'val', config.val_tokens, pool)
            prepare(config, 'train', config.limit_tokens, pool)
    except ValueError as error:
        raise UserError(error) from None


if __name__ == '__main__':
    with one_line_errors():
        main(sys.argv[1:])
