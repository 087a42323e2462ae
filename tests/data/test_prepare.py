"""The scripts that make token shards: of a folder of text, and of the Pile."""
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict

import pytest
from shard_folders import files

from engine.errors import UserError
from problems.shards import Stream
from problems.text import TOKENIZERS


def prepare(root, name='text'):
    spec = importlib.util.spec_from_file_location('prepare', os.path.join(root, 'data', name, 'prepare.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def texts_of(out, split):
    stream = Stream(str(out), split)
    text = ''.join(map(chr, stream.window(0, stream.length)))
    end = text[-1]
    return text.removesuffix(end).split(end)


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
        held[split] = set(texts_of(out, split))
    assert len(held['train'] | held['val']) == 60 and not held['train'] & held['val'] and len(held['val']) > 3


def pile_of_bytes(tmp_path, root, monkeypatch):
    monkeypatch.setenv('HF_HOME', str(tmp_path / 'cache'))
    module = prepare(root, 'pile')
    monkeypatch.setattr(module, 'GPT2', TOKENIZERS['bytes'])
    monkeypatch.setitem(sys.modules, 'prepare', module)  # so that worker processes find its functions
    return module


def write_source(folder, records):
    """--data_files of two files with these records, a line each; `records` may be the text of both."""
    text = records if isinstance(records, str) else '\n'.join(map(json.dumps, records))
    for name in ('train', 'val'):
        (folder / f'{name}.jsonl').write_text(text, encoding='utf-8')
    return f"--data_files={folder / 'train.jsonl'},{folder / 'val.jsonl'}"


def test_the_pile_from_local_files(tmp_path, root, monkeypatch, capsys):
    """Records of the hub's shape in order, cut at a document, the same from any number of processes."""
    module = pile_of_bytes(tmp_path, root, monkeypatch)
    texts = [f'document {i} ' * (i % 9) for i in range(300)]
    local = write_source(tmp_path, [dict(text=text, meta=dict(pile_set_name='x')) for text in texts])
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


def test_what_is_left_out_is_counted_and_named(tmp_path, root, capsys):
    texts = tmp_path / 'texts'
    (texts / 'sub' / 'tests').mkdir(parents=True)
    for i in range(30):
        (texts / f'{i:02d}.txt').write_bytes(b'\xef\xbb\xbf' * (i == 3) + b'line of %d\n' % i)
    (texts / 'latin_1.txt').write_bytes('café'.encode('latin-1'))
    (texts / 'latin_2.txt').write_bytes('Žižkov'.encode('iso8859-2'))
    (texts / 'utf_16.txt').write_bytes('text'.encode('utf-16'))
    (texts / 'image.png').write_bytes(b'PNG\0')
    (texts / 'nothing.txt').write_bytes(b'')
    (texts / 'copy.txt').write_bytes(b'line of 7\n')
    (texts / 'sub' / 'link').symlink_to(tmp_path)
    (texts / 'broken').symlink_to('nowhere')
    os.mkfifo(texts / 'pipe')
    prepare(root).main([str(texts), f'--out={tmp_path / "out"}', '--val_share=0.3'])
    printed = capsys.readouterr().out
    for line in ('3: not UTF-8, the first is latin_1.txt', '1: binary, the first is image.png',
                 '1: empty, the first is nothing.txt', '1: nearly a copy, the first is copy.txt',
                 '1: linked folder, the first is sub/link', '2: not a regular file, the first is broken',
                 '1: folder skipped by its name, the first is sub/tests'):
        assert f'left out {line}\n' in printed.replace(f'{texts}/', '')
    assert printed.count('left out') == 7
    held = texts_of(tmp_path / 'out', 'train') + texts_of(tmp_path / 'out', 'val')
    assert set(held) == {f'line of {i}\n' for i in range(30)} and len(held) == 30


def test_every_split_has_a_document_before_anything_is_written(tmp_path, root):
    texts, out = tmp_path / 'texts', tmp_path / 'out'
    texts.mkdir()
    for i in range(5):
        (texts / f'document{i}.txt').write_text(f'line of {i}', encoding='utf-8')
    with pytest.raises(UserError, match='no text for val in 5 documents'):
        prepare(root).main([str(texts), f'--out={out}'])
    assert not out.exists()
    prepare(root).main([str(texts), f'--out={out}', '--val_share=0.5'])
    assert {len(texts_of(out, split)) for split in ('train', 'val')} == {2, 3}


@pytest.mark.parametrize('alone_in_a_folder', [False, True])
def test_a_single_file_is_cut_at_a_line_end(tmp_path, root, monkeypatch, capsys, alone_in_a_folder):
    text = ''.join(f'line {i}\r\n' for i in range(100))
    path = tmp_path / 'input' / 'input.txt'
    path.parent.mkdir()
    path.write_bytes(text.encode())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HOME', str(tmp_path))
    prepare(root).main(['~/input' if alone_in_a_folder else '~/input/input.txt', '--val_share=0.1'])
    assert 'left out' not in capsys.readouterr().out
    (train,), (val,) = (texts_of(tmp_path / 'data' / 'input', split) for split in ('train', 'val'))
    assert train + val == text and train.endswith('\n') and 10 <= val.count('\n') <= 12
    path.write_bytes(b'only one line\n')
    with pytest.raises(UserError, match='no text for val in 1 documents'):
        prepare(root).main([str(path), '--out=other'])
    assert not os.path.exists('other')


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path, root, monkeypatch):
    (tmp_path / 'file').write_text('', encoding='utf-8')
    module = prepare(root)
    monkeypatch.setattr(module, 'documents', lambda *arguments: 1 / 0)
    with pytest.raises(OSError, match='Not a directory'):
        module.main([f'--out={tmp_path}/file/out'])


def test_shards_are_verified_on_demand(tmp_path, root, capsys):
    (tmp_path / 'input.txt').write_text('a line\n' * 100, encoding='utf-8')
    out = f'--out={tmp_path / "out"}'
    prepare(root).main([str(tmp_path / 'input.txt'), out, '--shard_tokens=100'])
    for name in ('text', 'pile'):
        prepare(root, name).main([out, '--verify=True'])
        assert 'shards are what was written' in capsys.readouterr().out
    path = tmp_path / 'out' / 'train_00001.bin'
    status = path.stat()
    path.write_bytes(bytes(200))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    for name in ('text', 'pile'):
        with pytest.raises(UserError, match='train_00001.bin: not what was written'):
            prepare(root, name).main([out, '--verify=True'])


def near_copies_one_by_one(items):
    """The kept of (path, text), by comparing all pairs of documents."""
    kept = []
    for path, text in items:
        lines = {line.strip() for line in text.splitlines()} - {''}
        if not lines or all(len(lines & other) < 0.8 * len(lines) for _, other in kept):
            kept.append((path, lines))
    return [path for path, _ in kept]


def kept_of(module, monkeypatch, items):
    texts = dict(items)
    monkeypatch.setattr(module, 'find_files', lambda root, left_out: ((path, path) for path in texts))
    monkeypatch.setattr(module, 'read_text', lambda path: (texts[path], ''))
    left_out = defaultdict(list)
    kept = [unit for unit, _ in module.documents([''], False, left_out)]
    assert len(kept) + len(left_out['nearly a copy']) == len(items)
    return kept


@pytest.mark.parametrize('pool,size', [(30, 8), (100, 50), (1000, 20), (10 ** 6, 30), (4, 3)])
def test_near_copies_are_those_of_all_pairs(root, monkeypatch, pool, size):
    chance, items = random.Random(pool), []
    for i in range(250):
        lines = [f'line {chance.randrange(pool)}' for _ in range(chance.randrange(1, 2 * size))]
        if items and chance.random() < 0.5:  # a part of an earlier one, changed
            lines = chance.choice(items)[1].split('\n')
            lines = lines[chance.randrange(len(lines)):] + lines[:1]
            for _ in range(chance.randrange(len(lines) // 3 + 1)):
                lines[chance.randrange(len(lines))] = f'line {chance.randrange(pool)}'
        items.append((f'{i}', '\n'.join(lines)))
    kept = kept_of(prepare(root), monkeypatch, items)
    assert kept == near_copies_one_by_one(items) and 1 < len(kept) < 250


def test_near_copies_take_time_in_proportion_to_the_documents(root, monkeypatch):
    """6,000 documents that share 20 of 50 lines took 33 s when all holders of every line were counted."""
    header = ''.join(f'line {j} of a licence\n' for j in range(20))
    items = [(f'{i}', header + ''.join(f'{i} {j}\n' for j in range(30))) for i in range(6000)]
    start = time.perf_counter()
    assert len(kept_of(prepare(root), monkeypatch, items)) == 6000
    assert time.perf_counter() - start < 5


def test_records_without_text_are_counted_and_passed_over(tmp_path, root, monkeypatch, capsys):
    module = pile_of_bytes(tmp_path, root, monkeypatch)
    records = [dict(text=f'document {i}') if i % 5 else dict(text=None) if i % 2 else dict(meta='x')
               for i in range(100)]
    records[0] = dict(text='document 0', meta='y')
    local = write_source(tmp_path, records)
    for out, tokens in (('whole', 10 ** 6), ('shards', 50)):
        module.main([local, f'--out={tmp_path / out}', f'--shard_tokens={tokens}', '--processes=2'])
        assert 'left out 19: no text, the first is train document 5' in capsys.readouterr().out
        assert texts_of(tmp_path / out, 'train') == [f'document {i}' for i in range(100) if i % 5 or not i]
    for name in sorted(os.listdir(tmp_path / 'shards'))[-12:]:  # as if killed after an earlier shard
        if name.startswith('train'):
            os.remove(tmp_path / 'shards' / name)
    module.main([local, f'--out={tmp_path / "shards"}', '--shard_tokens=50', '--processes=1'])
    assert texts_of(tmp_path / 'shards', 'train') == texts_of(tmp_path / 'whole', 'train')


@pytest.mark.parametrize('text,says', [
    ('{"text": 7}', "no document of val has a field 'text'"), ('{"body": "x"}', 'no document'),
    ('', 'no document|could not be read'), ('"a"\n"b"', 'could not be read'), ('{', 'could not be read')])
def test_sources_without_text_are_refused_and_nothing_is_written(tmp_path, root, monkeypatch, text, says):
    module = pile_of_bytes(tmp_path, root, monkeypatch)
    with pytest.raises(UserError, match=says):
        module.main([write_source(tmp_path, text), f'--out={tmp_path / "out"}', '--processes=1'])
    assert not (tmp_path / 'out').exists()


def test_a_list_of_strings_is_a_source(tmp_path, root, monkeypatch):
    module = pile_of_bytes(tmp_path, root, monkeypatch)
    texts = [f'document {i}' for i in range(20)]
    module.main([write_source(tmp_path, json.dumps(texts)), f'--out={tmp_path / "out"}', '--processes=1'])
    assert texts_of(tmp_path / 'out', 'train') == texts


def test_a_missing_file_is_named_before_anything_is_written(tmp_path, root, monkeypatch):
    module = pile_of_bytes(tmp_path, root, monkeypatch)
    local = write_source(tmp_path, [dict(text='x')])
    os.remove(tmp_path / 'train.jsonl')
    for option in (local, '--data_files=' + str(tmp_path / 'val.jsonl')):
        with pytest.raises(UserError, match='must be two files'):
            module.main([option, f'--out={tmp_path / "out"}', '--processes=1'])
    assert not (tmp_path / 'out').exists()


SMALL = ('--shard_tokens=30000', '--val_tokens=100', '--processes=2')
SLOWLY = """
import runpy, sys, time
from problems import text
class Slow(text.Bytes):
    def encode(self, text):
        time.sleep(0.002)
        return super().encode(text)
text.GPT2 = Slow
runpy.run_path('data/pile/prepare.py', run_name='__main__')
"""


def start_slowly(tmp_path, root, local):
    """prepare.py in the middle of its work, and its worker processes."""
    process = subprocess.Popen(
        [sys.executable, '-c', SLOWLY, local, f'--out={tmp_path / "out"}', *SMALL], cwd=root, text=True,
        stderr=subprocess.PIPE, env=os.environ | dict(HF_HOME=str(tmp_path / 'cache')))
    while not (tmp_path / 'out' / 'train_00001.json').exists():
        assert process.poll() is None
        time.sleep(0.02)
    with open(f'/proc/{process.pid}/task/{process.pid}/children', encoding='utf-8') as file:
        return process, [int(number) for number in file.read().split()]


def gone(pid):
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8') as file:
            return file.read().rpartition(')')[2].split()[0] == 'Z'
    except FileNotFoundError:
        return True


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists('/proc/self/task'), reason='finds worker processes in /proc')
def test_killed_processes_end_all_and_keep_the_shards(tmp_path, root, monkeypatch):
    local = write_source(tmp_path, [dict(text=f'document {i} ' * 20) for i in range(4000)])
    process, workers = start_slowly(tmp_path, root, local)
    os.kill(workers[0], signal.SIGKILL)
    start = time.perf_counter()
    errors = process.communicate(timeout=20)[1]
    assert time.perf_counter() - start < 5 and process.returncode == 2
    assert errors == ('error: a process that tokenises was killed (out of memory?); whole shards are kept: '
                      'the same command goes on\n')
    n_kept = len(files(tmp_path / 'out'))
    os.remove(tmp_path / 'out' / 'train_00001.json')

    process, workers = start_slowly(tmp_path, root, local)
    process.kill()
    process.communicate(timeout=20)
    start = time.perf_counter()
    while not all(map(gone, workers)):
        assert time.perf_counter() - start < 5
        time.sleep(0.02)

    module = pile_of_bytes(tmp_path, root, monkeypatch)
    for out in ('out', 'whole'):
        module.main([local, f'--out={tmp_path / out}', *SMALL])
    assert files(tmp_path / 'out') == files(tmp_path / 'whole') and len(files(tmp_path / 'out')) > n_kept > 3
