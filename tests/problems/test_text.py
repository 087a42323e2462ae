"""Token shards: exactly resumed writing, windows, order of an epoch, and what is refused."""
import importlib.util
import json
import os
import shutil
import sys

import numpy as np
import pytest
from training import assert_same_runs, rows, run

import eval_tasks
import sample
from engine.configurator import UserError
from problems.randomness import key_of, shuffled
from problems.text import TOKENIZERS, ShardWriter, Stream, TokenTask

HEADER = dict(tokenizer='bytes', vocab_size=257, source='here', revision='1')


def documents(count=40, seed=0):
    rng = np.random.default_rng(seed)
    return [np.append(rng.integers(0, 256, rng.integers(0, 30)), 256).astype(np.uint16) for _ in range(count)]


def write(folder, split='train', shard_tokens=50, docs=None, stop=None, header=HEADER):
    writer = ShardWriter(str(folder), split, header, shard_tokens)
    for number, document in enumerate(docs[writer.documents:], writer.documents):
        if number == stop:
            return writer
        writer.add(document, len(document) - 1)
    writer.finish()
    return writer


def files(folder):
    return {name: (folder / name).read_bytes() for name in sorted(os.listdir(folder))}


@pytest.fixture
def shards(tmp_path):
    """A folder with 3 kinds of everything: 600 tokens of train in shards of 50, val in one."""
    write(tmp_path / 'd', docs=documents())
    write(tmp_path / 'd', 'val', 10_000, documents(20, 1))
    return tmp_path / 'd'


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
    assert stream.tokens_per_byte == stream.length / (stream.length - 40)


@pytest.mark.parametrize('n', [1, 2, 3, 5, 64, 1000, 4097])
def test_shuffled_is_a_permutation_that_differs_by_key(n):
    orders = [shuffled(key_of(seed), np.arange(n), n) for seed in range(2)]
    assert all(sorted(order) == list(range(n)) for order in orders)
    assert n < 64 or (orders[0] != orders[1]).mean() > 0.9
    assert n < 1000 or abs(np.corrcoef(orders[0], np.arange(n))[0, 1]) < 0.1


def test_shuffled_serves_billions():
    places = np.array([0, 1, 10 ** 9, 10 ** 12 - 1])
    assert len(set(shuffled(key_of(3), places, 10 ** 12).tolist())) == 4


def test_an_epoch_has_every_window_once_and_windows_are_the_stream(shards):
    task, whole = TokenTask(str(shards), 8, 300, 'bytes'), np.concatenate(documents())
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
    task = TokenTask(str(shards), 8, 300, 'bytes')
    whole = task.train_batch(1, 3, 40)
    parts = [task.train_batch(1, 3, 40, 0, *part) for part in ((0, 11), (11, 40))]
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
    return run(out, **dict(task='tokens', data=str(shards), block_size=8, vocab_size=300, p=(16,),
                           tokenizer='bytes', length=256, supervise='answer', max_steps=12) | changes)


def test_training_on_text_resumes_reports_bits_and_continues_a_prompt(shards, tmp_path, capsys):
    whole = train_on(shards, tmp_path / 'whole')
    assert_same_runs(whole, train_on(shards, tmp_path / 'workers', data_workers=2))
    row = rows(whole, 'eval.csv')[-1]
    ratio = Stream(str(shards), 'val').tokens_per_byte
    assert float(row['bits_per_byte']) == pytest.approx(float(row['loss']) / np.log(2) * ratio)
    assert row['accuracy'] == '' and 5 < float(row['bits_per_byte']) < 9
    capsys.readouterr()
    sample.main([whole, '--prompt=abc', '--max_new_tokens=5'])
    assert '--- loops 2\nabc' in capsys.readouterr().out
    eval_tasks.main([whole, '--loops=1,2', '--device=cpu', '--dtype=float32'])  # more examples than there are
    assert 'loops 2: loss' in capsys.readouterr().out and (tmp_path / 'whole' / 'test.png').exists()
    counts = {row['count'] for name in ('test.csv', 'baselines.csv') for row in rows(whole, name)}
    assert counts == {str(TokenTask(str(shards), 8, 300, 'bytes').windows('val'))}


def test_bytes_round_trip():
    tokenizer = TOKENIZERS['bytes']()
    assert tokenizer.decode(tokenizer.encode('naïve 中文\r\n\t')) == 'naïve 中文\r\n\t'


def prepare(root, name='text'):
    spec = importlib.util.spec_from_file_location('prepare', os.path.join(root, 'data', name, 'prepare.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_folder_of_text(tmp_path, root):
    """Near copies and what is no text are left out, splits are by document, a second run changes nothing."""
    texts = tmp_path / 'texts'
    for i in range(60):
        (texts / f'{i % 7}').mkdir(parents=True, exist_ok=True)
        lines = [f'line {j} of document {i}' for j in range(20)]
        (texts / f'{i % 7}' / f'{i:02d}.txt').write_text('\n'.join(lines), encoding='utf-8')
    (texts / 'z_copy.txt').write_text('\n'.join(lines[:18]) + '\nnew', encoding='utf-8')
    (texts / 'binary.txt').write_bytes(b'\xff\xfe\0')
    out = tmp_path / 'out'
    arguments = [str(texts), f'--out={out}', '--shard_tokens=5000', '--val_share=0.2']
    prepare(root).main(arguments)
    first, held = files(out), {}
    prepare(root).main(arguments)
    assert files(out) == first
    for split in ('train', 'val'):
        stream = Stream(str(out), split)
        text = ''.join(map(chr, stream.window(0, stream.length)))
        held[split] = set(text.removesuffix(chr(256)).split(chr(256)))
    assert len(held['train'] | held['val']) == 60 and not held['train'] & held['val'] and len(held['val']) > 3


def test_the_pile_from_local_files(tmp_path, root, monkeypatch, capsys):
    """Records of the hub's shape in order, cut at a document, the same from any number of processes."""
    monkeypatch.setenv('HF_HOME', str(tmp_path / 'cache'))
    module = prepare(root, 'pile')
    monkeypatch.setattr(module, 'GPT2', TOKENIZERS['bytes'])
    monkeypatch.setitem(sys.modules, 'prepare', module)  # so that worker processes find its functions
    texts = [f'document {i} ' * (i % 9) for i in range(300)]
    for name in ('train', 'val'):
        lines = [json.dumps(dict(text=text, meta=dict(pile_set_name='x'))) for text in texts]
        (tmp_path / f'{name}.jsonl').write_text('\n'.join(lines), encoding='utf-8')
    local = f"--data_files={tmp_path / 'train.jsonl'},{tmp_path / 'val.jsonl'}"
    for processes in (1, 2):
        module.main([local, f'--out={tmp_path / str(processes)}', '--shard_tokens=3000', '--val_tokens=500',
                     '--limit_tokens=9000', f'--processes={processes}'])
    assert files(tmp_path / '1') == files(tmp_path / '2') and len(files(tmp_path / '1')) == 10
    stream, wanted = Stream(str(tmp_path / '1'), 'train'), []
    while len(wanted) < 9000:
        wanted += [*texts[wanted.count(50256)].encode(), 50256]
    assert stream.window(0, stream.length).tolist() == wanted
    module.main([local, f'--out={tmp_path / "1"}', '--shard_tokens=3000', '--processes=1'])
    assert 'train is whole' in capsys.readouterr().out
