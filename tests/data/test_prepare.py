"""The scripts that make token shards: of a folder of text, and of the Pile."""
import importlib.util
import json
import os
import sys

from shard_folders import files

from problems.shards import Stream
from problems.text import TOKENIZERS


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
