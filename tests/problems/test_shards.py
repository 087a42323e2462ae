"""Token shards: exactly resumed writing, what is read back, damage that is found, many shards."""
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from shard_folders import HEADER, documents, files, write

from engine.errors import UserError
from problems import shards as shards_module
from problems.shards import Stream, check_sums, read_headers


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
    headers = read_headers(str(tmp_path / 'cut'), 'train')
    assert sum(header['bytes'] for header in headers) == stream.length - 40


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


def zero(path, start=20, stop=60, keep_time=False):
    """Zero bytes in the middle of a file, of the same size and, where that is asked for, time."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[start:stop] = bytes(stop - start)
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + (0 if keep_time else 10 ** 7)))


def test_damaged_shards_are_named(shards):
    check_sums(str(shards))
    zero(shards / 'train_00003.bin')
    zero(shards / 'val_00000.bin')
    with pytest.raises(UserError, match='train_00003.bin, .*val_00000.bin: not what was written'):
        check_sums(str(shards))


def test_a_shard_is_read_once_until_it_changes(shards, monkeypatch):
    hashed = []
    monkeypatch.setattr(shards_module.hashlib, 'sha256', lambda: hashed.append(1) or hashlib.new('sha256'))
    check_sums(str(shards))
    assert not hashed  # the writer has compared them
    os.utime(shards / 'train_00001.bin')
    check_sums(str(shards))
    check_sums(str(shards))
    assert len(hashed) == 1
    for stamp in shards.glob('*.stamp'):
        os.remove(stamp)
        stamp.mkdir()  # as in a folder that may only be read
    check_sums(str(shards))
    check_sums(str(shards))
    assert len(hashed) == 1 + 2 * len(list(shards.glob('*.bin')))


def test_verifying_believes_no_stamp(shards, capsys):
    check_sums(str(shards), anew=True)
    assert f'{len(list(shards.glob("*.bin")))} shards are what was written' in capsys.readouterr().out
    zero(shards / 'train_00003.bin', keep_time=True)
    check_sums(str(shards))
    for anew in (True, False):  # and what it found, training finds
        with pytest.raises(UserError, match='train_00003.bin: not what'):
            check_sums(str(shards), anew=anew)


@pytest.mark.parametrize('change', [dict(done=[1]), dict(done=['a', 'b']), dict(bytes='x'), dict(last=1),
                                    dict(sha256=None), dict(tokens=True), [], None])
def test_headers_of_other_kinds_are_named(shards, change):
    path = shards / 'train_00002.json'
    header = json.loads(path.read_text(encoding='utf-8'))
    path.write_text(json.dumps(header | change if isinstance(change, dict) else change), encoding='utf-8')
    with pytest.raises(UserError, match='train_00002'):
        read_headers(str(shards), 'train')


MANY = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]),) * 2)
import numpy as np
from problems import shards
from problems.text import TokenTask
task = TokenTask(data=sys.argv[1], block_size=8, tokenizer='bytes')
stream = task.streams['train']
some = np.random.default_rng(0).permutation(stream.length)[:3000].tolist()
for numbers in (range(0, stream.length, 5), some):
    for start in numbers:
        size = min(9, stream.length - start)
        assert (stream.window(start, size) == np.arange(start, start + size) % 251).all()
assert task.train_batch(0, 0, 64).tokens.shape == (64, 8)
assert shards.map_shard.cache_info().currsize == shards.MAPS_MAX == 64
"""


@pytest.mark.parametrize('limit', [256, 1024])
def test_more_shards_than_a_process_may_open(tmp_path, root, limit):
    """1,151 shards, as 1.2e11 tokens have."""
    for split, count in (('train', 1151), ('val', 2)):
        for number in range(count):
            data = (np.arange(11 * number, 11 * (number + 1)) % 251).astype('<u2').tobytes()
            header = HEADER | dict(tokens=11, bytes=11, done=(0, 0), last=False,
                                   sha256=hashlib.sha256(data).hexdigest())
            (tmp_path / f'{split}_{number:05d}.bin').write_bytes(data)
            (tmp_path / f'{split}_{number:05d}.json').write_text(json.dumps(header), encoding='utf-8')
    subprocess.run([sys.executable, '-c', MANY, tmp_path, str(limit)], cwd=root, check=True)


def test_a_folder_that_was_prepared_again_is_read_anew(tmp_path):
    for seed in (0, 1):
        docs = documents(seed=seed)
        write(tmp_path / str(seed), docs=docs)
        for name in os.listdir(tmp_path / str(seed)):
            os.makedirs(tmp_path / 'd', exist_ok=True)
            os.replace(tmp_path / str(seed) / name, tmp_path / 'd' / name)
        window = Stream(str(tmp_path / 'd'), 'train').window(0, 300)
        assert window.tolist() == np.concatenate(docs)[:300].tolist()
