"""Shared by the tests of few-shot evaluation: records of every data set, a tiny trained model of bytes."""
import numpy as np
import pytest
from records import LM, PASSAGE, write_all
from training import run

from problems.text import Bytes, ShardWriter


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_all(tmp_path_factory.mktemp('data'))


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A looped model of bytes after six steps on sentences of the invented passage."""
    folder = tmp_path_factory.mktemp('lm')
    header = dict(tokenizer='bytes', vocab_size=257, source='s', revision='r')
    text = f'{PASSAGE}\n\nQuestion: who?\nAnswer: Ada Grey\n\n' * 30
    for split in ('train', 'val'):
        writer = ShardWriter(str(folder / 'shards'), split, header, 10 ** 6)
        writer.add(Bytes().encode(text).astype(np.uint16), len(text))
        writer.finish()
    return run(folder / 'run', **LM, data=str(folder / 'shards'))
