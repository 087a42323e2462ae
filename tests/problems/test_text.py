"""Text as a task: windows, the order of an epoch, what is refused before training, a whole run."""
import json
import multiprocessing
import os
import pickle
import shutil

import numpy as np
import pytest
from shard_folders import HEADER, documents
from training import assert_same_runs, rows, run

import eval_tasks
import sample
from engine.errors import UserError
from problems import text
from problems.shards import ShardWriter, Stream
from problems.text import END_OF_TEXT, TOKENIZERS, TokenTask


def token_task(shards, **options):
    return TokenTask(**dict(data=str(shards), block_size=8, vocab_size=300, tokenizer='bytes') | options)


def test_an_epoch_has_every_window_once_and_windows_are_the_stream(shards):
    task, whole = token_task(shards), np.concatenate(documents())
    n = task.windows('train')
    assert n == (len(whole) - 1) // 8 and task.windows('val') > 10
    batches = [task.train_batch(5, step, 1) for step in range(2 * n)]
    starts = []
    for batch in batches:
        row = [*batch.tokens[0], batch.targets[0, -1]]
        assert (batch.targets[0, :-1] == batch.tokens[0, 1:]).all()
        start, = (i for i in range(0, 8 * n, 8) if whole[i:i + 9].tolist() == row)
        starts.append(start // 8)
    assert sorted(starts[:n]) == sorted(starts[n:]) == list(range(n)) and starts[:n] != starts[n:]


def test_batches_join_from_parts_and_over_the_end_of_an_epoch(shards):
    task = token_task(shards)
    whole = task.train_batch(1, 3, 40)
    parts = [task.train_batch(1, 3, 40, *part) for part in ((0, 11), (11, 40))]
    assert (np.concatenate([part.tokens for part in parts]) == whole.tokens).all()


def damage_cut(folder):
    (folder / 'train_00001.bin').write_bytes((folder / 'train_00001.bin').read_bytes()[:-1])


def damage_missing(folder):
    os.remove(folder / 'train_00001.bin')
    os.remove(folder / 'train_00001.json')


def damage_header(folder):
    (folder / 'train_00000.json').write_text('{}', encoding='utf-8')


def damage_bytes(folder):
    data = bytearray((folder / 'train_00001.bin').read_bytes())
    data[10:50] = bytes(40)
    (folder / 'train_00001.bin').write_bytes(data)
    os.utime(folder / 'train_00001.bin')


def damage_tokens(folder):
    """A token that the tokenizer lacks, in a shard with its checksum."""
    shutil.rmtree(folder)
    for split in ('train', 'val'):
        writer = ShardWriter(str(folder), split, HEADER, 1000)
        writer.add(np.full(100, 299, np.uint16), 100)
        writer.finish()


def damage_tokenizer(folder):
    header = json.loads((folder / 'val_00000.json').read_text(encoding='utf-8'))
    (folder / 'val_00000.json').write_text(json.dumps(header | dict(tokenizer='gpt2')), encoding='utf-8')


@pytest.mark.parametrize('damage,changes,says', [
    (damage_cut, {}, 'train_00001.bin has 99 bytes, not 100'), (damage_missing, {}, '00001 is missing'),
    (damage_header, {}, 'not a shard of this project'), (damage_bytes, {}, 'train_00001.bin: not what was'),
    (damage_tokens, {}, 'token 299 is beyond'), (None, dict(tokenizer='gpt2'), 'not gpt2'),
    (damage_tokenizer, {}, "'bytes' and 'gpt2'"),
    (shutil.rmtree, {}, 'no train shards'), (None, dict(vocab_size=256), 'must be at least 257'),
    (None, dict(block_size=100_000), 'fewer than'), (None, dict(block_size=0), 'block_size')])
def test_bad_shards_are_named_before_training(shards, tmp_path, damage, changes, says):
    if damage:
        damage(shards)
    with pytest.raises(UserError, match=says):
        train_on(shards, tmp_path / 'run', **changes)
    assert not (tmp_path / 'run').exists()


def train_on(shards, out, **changes):
    return run(out, **dict(task='tokens', data=str(shards), block_size=8, vocab_size=300,
                           tokenizer='bytes', max_steps=12) | changes)


def test_training_on_text_resumes_reports_bits_and_continues_a_prompt(shards, tmp_path, capsys):
    whole = train_on(shards, tmp_path / 'whole')
    assert_same_runs(whole, train_on(shards, tmp_path / 'workers', data_workers=2))
    row = rows(whole, 'eval.csv')[-1]
    targets = Stream(str(shards), 'val').window(1, 8 * int(row['count']))  # those that were evaluated
    ratio = len(targets) / (targets != 256).sum()
    assert float(row['bits_per_byte']) == pytest.approx(float(row['loss']) / np.log(2) * ratio)
    assert row['accuracy'] == '' and 5 < float(row['bits_per_byte']) < 9
    capsys.readouterr()
    sample.main([whole, '--prompt=abc', '--max_new_tokens=5'])
    assert '--- loops 2\nabc' in capsys.readouterr().out
    eval_tasks.main([whole, '--loops=1,2', '--device=cpu', '--dtype=float32'])  # more examples than there are
    assert 'loops 2: loss' in capsys.readouterr().out and (tmp_path / 'whole' / 'test.png').exists()
    counts = {row['count'] for name in ('test.csv', 'baselines.csv') for row in rows(whole, name)}
    assert counts == {str(token_task(shards).windows('val'))}


def test_bytes_round_trip():
    tokenizer = TOKENIZERS['bytes']()
    assert tokenizer.decode(tokenizer.encode('naïve 中文\r\n\t')) == 'naïve 中文\r\n\t'


def test_a_vocabulary_of_0_is_that_of_the_tokenizer():
    assert token_task('', vocab_size=0).vocab_size == 257
    assert token_task('', vocab_size=0, tokenizer='gpt2').vocab_size == 50304


@pytest.mark.parametrize('options,says', [
    (dict(block_size=0), 'block_size=0: task=tokens needs a context'),
    (dict(vocab_size=-1), 'vocab_size=-1 must not be negative')])
def test_bad_options_are_named(options, says):
    with pytest.raises(ValueError, match=says):
        token_task('', **options)


def test_a_pickled_task_leaves_its_corpus_behind(tmp_path):
    """As data workers start where processes do not fork: a map would be pickled as all of its tokens."""
    for split in ('train', 'val'):
        writer = ShardWriter(str(tmp_path), split, HEADER, 400_000)
        writer.add(np.arange(1_000_000).astype(np.uint16) % 256, 1_000_000)
        writer.finish()
    task = token_task(tmp_path)
    batch = task.train_batch(0, 3, 16)
    assert len(pickle.dumps(task)) < 3000
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        from_worker = pool.apply(TokenTask.train_batch, (task, 0, 3, 16))
    assert (from_worker.tokens == batch.tokens).all() and (from_worker.targets == batch.targets).all()


def test_bits_per_byte_are_those_of_the_windows(tmp_path):
    """The first 10 windows hold 5 ends of text, the others none."""
    tokens = np.full(400, 7, np.uint16)
    tokens[1:81:16] = 256
    for split in ('train', 'val'):
        writer = ShardWriter(str(tmp_path), split, HEADER, 1000)
        writer.add(tokens, 395)
        writer.finish()
    task = token_task(tmp_path)
    assert task.bits_per_byte(np.log(2), 10) == pytest.approx(80 / 75)
    assert task.bits_per_byte(np.log(2), 49) == pytest.approx(392 / 387)


def test_bits_per_byte_of_gpt2_count_the_bytes_of_its_tokens(tmp_path, monkeypatch, capsys):
    tiktoken = pytest.importorskip('tiktoken')
    pairs = [bytes([i, j]) for i in range(256) for j in range(256)][:50000]
    ranks = {word: rank for rank, word in enumerate([*(bytes([i]) for i in range(256)), *pairs])}
    encoding = tiktoken.Encoding('fake', pat_str=r'\S+|\s+', mergeable_ranks=ranks,
                                 special_tokens={'<|endoftext|>': 50256})
    monkeypatch.setattr(tiktoken, 'get_encoding', lambda name: encoding)
    words = 'naïve words — of 中文 and more' * 9
    tokens = np.append(text.GPT2().encode(words), END_OF_TEXT['gpt2']).astype(np.uint16)
    assert len(tokens) < len(words)
    for split in ('train', 'val'):
        writer = ShardWriter(str(tmp_path), split, HEADER | dict(tokenizer='gpt2', vocab_size=50257), 10 ** 6)
        for _ in range(3):
            writer.add(tokens, len(words.encode()))
        writer.finish()
    task = token_task(tmp_path, tokenizer='gpt2', vocab_size=0)
    targets = np.tile(tokens, 3)[1:8 * 20 + 1]
    n_bytes = len(encoding.decode_bytes(targets[targets < 50256].tolist()))
    assert task.bits_per_byte(1.5, 20) == pytest.approx(1.5 / np.log(2) * 160 / n_bytes)

    def offline(name):
        raise ConnectionError('no network')
    monkeypatch.setattr(tiktoken, 'get_encoding', offline)
    task = token_task(tmp_path, tokenizer='gpt2', vocab_size=0)
    assert np.isnan([task.bits_per_byte(1.5, 20), task.bits_per_byte(1.5, 9)]).all()
    assert capsys.readouterr().err.count('could not be downloaded (ConnectionError)') == 1


def test_the_home_folder_is_expanded(monkeypatch):
    monkeypatch.setenv('HOME', '/home/someone')
    assert token_task('~/shards').data == '/home/someone/shards'
