"""Token shards: exactly resumed writing, and what is read back."""
import numpy as np
import pytest
from shard_folders import HEADER, documents, files, write

from engine.errors import UserError
from problems.shards import Stream, read_headers


@pytest.mark.parametrize('shard_tokens', [1, 7, 50, 10_000])
def test_a_killed_writer_goes_on_to_the_same_shards(tmp_path, shard_tokens):
    docs = documents()
    write(tmp_path / 'whole', shard_tokens=shard_tokens, docs=docs)
    for stop in (0, 1, 5, 13, 39):
        write(tmp_path / 'cut', shard_tokens=shard_tokens, docs=docs, stop=stop)
    write(tmp_path / 'cut', shard_tokens=shard_tokens, docs=docs)
    assert files(tmp_path / 'cut') == files(tmp_path / 'whole')
    write(tmp_path / 'cut', shard_tokens=shard_tokens, docs=docs)  # finished: nothing more happens
    stream = Stream(str(tmp_path / 'cut'), 'train')
    assert stream.window(0, stream.length).tolist() == np.concatenate(docs).tolist()
    assert sum(header['bytes'] for header in read_headers(str(tmp_path / 'cut'), 'train')) == stream.length - 40


def test_a_window_crosses_shards(shards):
    whole, stream = np.concatenate(documents()), Stream(str(shards), 'train')
    assert len(stream.ends) > 5 and stream.length == len(whole)
    for start, size in ((0, 3), (49, 2), (0, 120), (len(whole) - 7, 7)):
        assert (stream.window(start, size) == whole[start:start + size]).all()


@pytest.mark.parametrize('name', ['tokenizer', 'vocab_size', 'source', 'revision'])
def test_shards_of_another_kind_are_not_added(tmp_path, name):
    docs = documents()
    write(tmp_path, docs=docs, stop=10)
    with pytest.raises(UserError, match=f'shards with {name}=.*do not go together'):
        write(tmp_path, docs=docs, header=HEADER | {name: 'another'})
