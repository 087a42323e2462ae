"""Text as a task: windows, the order of an epoch, what is refused before training, a whole run."""
import json
import os
import shutil

import numpy as np
import pytest
from shard_folders import documents
from training import assert_same_runs, rows, run

import eval_tasks
import sample
from engine.errors import UserError
from problems.shards import Stream
from problems.text import TOKENIZERS, TokenTask


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


def damage_tokenizer(folder):
    header = json.loads((folder / 'val_00000.json').read_text(encoding='utf-8'))
    (folder / 'val_00000.json').write_text(json.dumps(header | dict(tokenizer='gpt2')), encoding='utf-8')


@pytest.mark.parametrize('damage,changes,says', [
    (damage_cut, {}, 'train_00001.bin has 99 bytes, not 100'), (damage_missing, {}, '00001 is missing'),
    (damage_header, {}, 'not a shard of this project'), (None, dict(tokenizer='gpt2'), 'not gpt2'),
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
