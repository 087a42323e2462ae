"""Bad files for every command that reads some: shards, checkpoints, folders of runs."""
import csv
import io
import json
import os
import pickle
import random

from bad_inputs import GOOD, PHOP, TEXT, Case, on_records, with_options


def case_of_file(kind, script, arguments, needs, path, change, told, **more) -> Case:
    """`change(bytes) -> bytes` of the file at `path`, which is `told`."""
    def spoil(folder):
        with open(os.path.join(folder, path), 'rb') as file:
            data = change(file.read())
        with open(os.path.join(folder, path), 'wb') as file:
            file.write(data)
    spoil.__doc__ = f'{path} {told}'
    return Case(kind, script, arguments, needs, spoil, **more)


def case_of_path(kind, script, arguments, needs, path, act, **more) -> Case:
    """What `act` makes of a path: missing, locked, a folder or a link to nothing in its place."""
    def spoil(folder):
        ACTS[act](os.path.join(folder, path))
    spoil.__doc__ = f'{path}: {act}'
    return Case(kind, script, arguments, needs, spoil, permissions=act == 'locked', **more)


def replace_by_folder(path):
    os.remove(path)
    os.mkdir(path)


def replace_by_link(path):
    os.remove(path)
    os.symlink('nowhere', path)


ACTS = {'missing': os.remove, 'locked': lambda path: os.chmod(path, 0), 'a folder': replace_by_folder,
        'a link to nothing': replace_by_link}


def cut(chance):
    share = chance.random()
    return lambda data: data[:int(share * len(data))], f'cut at {100 * share:.0f}%'


def overwritten(chance):
    """Some bytes in the middle replaced by others."""
    place, size = chance.uniform(0.2, 0.8), chance.randrange(1, 200)

    def change(data):
        start = int(place * len(data))
        end = min(start + size, len(data) - 1)
        return data[:start] + bytes(byte ^ 0x5a for byte in data[start:end]) + data[end:]
    return change, f'overwritten, {size} bytes at {100 * place:.0f}%'


def in_json(change, told):
    """A change of a JSON file's value."""
    def changed(data):
        value = json.loads(data)
        return json.dumps(change(value)).encode()
    return changed, told


def without(key):
    return in_json(lambda value: all_but(value, key), f'without {key}')


def all_but(value: dict, key) -> dict:
    return {name: part for name, part in value.items() if name != key}


def with_value(key, new):
    return in_json(lambda value: value | {key: new}, f'with {key}={new!r}')


# --- shards

ON_SHARDS = [*TEXT, '--out_dir=new']
HEADERS = [
    *(without(key) for key in ('tokens', 'tokenizer', 'vocab_size', 'source', 'revision', 'bytes')),
    *(with_value(key, value) for key, value in (
        ('tokens', '12'), ('tokens', -1), ('tokens', 1.5), ('tokens', None), ('tokens', 10 ** 30),
        ('vocab_size', 'many'), ('vocab_size', 10 ** 6), ('vocab_size', None), ('tokenizer', 'gpt2'),
        ('tokenizer', 7), ('bytes', None), ('bytes', 'x'), ('source', 'elsewhere'))),
    *(in_json(lambda value, whole=whole: whole, f'holding {whole!r}')
      for whole in ([], [1], 'x', 7, None, {}, {'format': 'parquet', 'rows': 3})),
    (lambda data: b'', 'empty'), (lambda data: data[:-20], 'cut'), (lambda data: b'\xff\xfe{}', 'not UTF-8'),
    (lambda data: b'[' * 100_000, 'nested too deep')]
TOKENS = [(lambda data: data[:-1], 'cut by a byte'), (lambda data: b'', 'empty'),
          (lambda data: data + b'\0\0', 'longer'), (lambda data: bytes(len(data)), 'of zeros')]


def shard_cases(chance: random.Random):
    for change, told in HEADERS:
        split = chance.choice(['train', 'val'])
        yield case_of_file('shard header', 'train', ON_SHARDS, 'shards', f'shards/{split}_00000.json', change,
                           told)
    for change, told in [*TOKENS, cut(chance), cut(chance), overwritten(chance), overwritten(chance)]:
        split = chance.choice(['train', 'val'])
        yield case_of_file('shard', 'train', ON_SHARDS, 'shards', f'shards/{split}_00000.bin', change, told)
    for act in ACTS:
        for ending in ('bin', 'json'):
            yield case_of_path('shard', 'train', ON_SHARDS, 'shards', f'shards/train_00000.{ending}', act)

    def no_first(folder):
        for ending in ('bin', 'json'):
            os.rename(f'{folder}/shards/train_00000.{ending}', f'{folder}/shards/train_00001.{ending}')
    yield Case('shard', 'train', ON_SHARDS, 'shards', no_first)

    def large_tokens(folder):
        """tokens beyond the vocabulary, with their checksum"""
        write_shards(folder, [300] * 2000)
    for workers in (0, 1):
        yield Case('shard', 'train', [*ON_SHARDS, f'--data_workers={workers}'], 'shards', large_tokens,
                   works=True)

    def short(folder):
        """fewer tokens than a window"""
        write_shards(folder, [3] * 100)
    yield Case('shard', 'train', ON_SHARDS, 'shards', short)
    for options in (['--data=nowhere'], ['--data=shards/train_00000.bin'], ['--tokenizer=gpt2'],
                    ['--vocab_size=100'], ['--block_size=1000000']):
        yield Case('shard', 'train', [*ON_SHARDS, *options], 'shards')
    for change, told in (without('done'), with_value('done', [1]), with_value('source', 'x'), without('last'),
                         with_value('done', ['a', 'b'])):  # by a writer that would go on
        yield case_of_file('shard header', 'data/text/prepare', ['texts', '--out=shards', '--val_share=0.3'],
                           'texts shards', 'shards/train_00000.json', change, told)


def write_shards(folder, tokens):
    import numpy as np

    from problems.shards import ShardWriter
    for name in os.listdir(f'{folder}/shards'):
        os.remove(f'{folder}/shards/{name}')
    for split in ('train', 'val'):
        header = dict(tokenizer='bytes', vocab_size=257, source='s', revision='r')
        writer = ShardWriter(f'{folder}/shards', split, header, 10 ** 6)
        writer.add(np.array(tokens if split == 'train' else [3] * 2000, np.uint16), 2000)
        writer.finish()


# --- checkpoints

RESUMED = [*PHOP, '--out_dir=phop', '--resume=must', '--max_steps=8']
READERS = [('sample', GOOD['sample'][0], 'phop', 'best.pt'),
           ('eval_tasks', GOOD['eval_tasks'][0], 'phop', 'best.pt'),
           ('eval_downstream', GOOD['eval_downstream'][0], 'text records', 'ckpt.pt'),
           ('train', RESUMED, 'phop', 'ckpt.pt')]


class Foreign:
    """An object of a class that no checkpoint may hold."""


def saved_as(change, told):
    """A checkpoint's value changed, and saved as torch does."""
    def changed(data):
        import torch
        value = torch.load(io.BytesIO(data), weights_only=True)
        out = io.BytesIO()
        torch.save(change(value), out)
        return out.getvalue()
    return changed, told


def without_config(key):
    return saved_as(lambda saved: saved | {'config': all_but(saved['config'], key)},
                    f'without the option {key}')


def with_config(key, new):
    return saved_as(lambda saved: saved | {'config': saved['config'] | {key: new}},
                    f'with the option {key}={new!r}')


def damaged_checkpoints(chance):
    import torch
    return [
        *(cut(chance) for _ in range(4)), *(overwritten(chance) for _ in range(4)),
        (lambda data: b'', 'empty'), (lambda data: b'PK\3\4' * 40, 'a zip'), (lambda data: b'hello', 'text'),
        (lambda data: random.Random(0).randbytes(5000), 'of random bytes'),
        (lambda data: pickle.dumps(dict(model=1)), 'a pickle'),
        saved_as(lambda saved: [1, 2], 'a list'), saved_as(lambda saved: {}, 'an empty dict'),
        saved_as(lambda saved: saved['model'], 'the model alone'),
        saved_as(lambda saved: Foreign(), 'an object'), saved_as(lambda saved: torch.ones(3), 'a tensor'),
        *(saved_as(lambda saved, key=key: all_but(saved, key), f'without {key}')
          for key in ('model', 'config', 'step', 'optimizer')),
        saved_as(lambda saved: saved | dict(model={}), 'with an empty model'),
        saved_as(lambda saved: saved | dict(model=None), 'with no model'),
        saved_as(lambda saved: saved | dict(config=None), 'with no config'),
        saved_as(lambda saved: saved | dict(config=[1]), 'with a list as config'),
        saved_as(lambda saved: saved | dict(step='x'), 'with a step that is no number'),
        saved_as(lambda saved: saved | dict(model={name: value[..., :1] for name, value
                                                   in saved['model'].items()}), 'with other shapes'),
    ]


OF_TRAINING = [saved_as(lambda saved, key=key, value=value: saved | {key: value}, f'with {key}={value!r}')
               for key, value in (('optimizer', {}), ('optimizer', None), ('rng', None), ('rng', [1]),
                                  ('best', None), ('tokens', 'x'))]
OF_A_MODEL = [*(without_config(key) for key in ('task', 'stages', 'n_embd')),
              *(with_config(key, value) for key, value in (
                  ('task', 'chess'), ('stages', 6), ('stages', 'x'), ('n_embd', 'wide'), ('n_head', 0),
                  ('positions', 'alibi'), ('n_embd', 18), ('task', ['phop'])))]


GPT2_FOLDERS = [
    {}, {'config.json': ''}, {'config.json': '{"model_type": "gpt2"}'},
    {'config.json': '{"model_type": "llama"}'},
    {'config.json': '{"model_type": "gpt2", "n_embd": "wide"}'},
    {'config.json': '{"model_type": "gpt2", "n_layer": 1}', 'model.safetensors': 'no tensors'}]


def checkpoint_cases(chance: random.Random):
    for number, (change, told) in enumerate(damaged_checkpoints(chance)):
        script, arguments, needs, name = READERS[number % len(READERS)]
        path = f'{needs.split()[0]}/{name}'
        yield case_of_file('checkpoint', script, arguments, needs, path, change, told)
    for number, (change, told) in enumerate(OF_A_MODEL):
        script, arguments, needs, name = READERS[number % 3]
        path = f'{needs.split()[0]}/{name}'
        yield case_of_file('checkpoint', script, arguments, needs, path, change, told)
    for change, told in OF_TRAINING:
        yield case_of_file('checkpoint', 'train', RESUMED, 'phop', 'phop/ckpt.pt', change, told)
    for script, arguments, needs, name in READERS:
        for act in ACTS:
            yield case_of_path('checkpoint', script, arguments, needs, f'{needs.split()[0]}/{name}', act)
    for made in GPT2_FOLDERS:
        def spoil(folder, made=made):
            os.mkdir(f'{folder}/gpt2')
            for name, text in made.items():
                with open(f'{folder}/gpt2/{name}', 'w', encoding='utf-8') as file:
                    file.write(text)
        spoil.__doc__ = f'a folder of {made}'
        arguments = ['gpt2:gpt2', *on_records('asdiv')[1:], '--out_dir=new']
        yield Case('checkpoint of GPT-2', 'eval_downstream', arguments, 'records', spoil)
    for options in (['--seed=3'], ['--stages=2x1'], ['--n_embd=32'], ['--task=phop', '--p=2'],
                    ['--resume=never'], ['--batch_size=9'], ['--optimizer=adamw'], ['--ema=0.9']):
        yield Case('checkpoint of another run', 'train', [*RESUMED, *options], 'phop')


# --- folders of runs, and the tables in them

CONFIGS = [(lambda data: b'', 'empty'), (lambda data: b'[]', 'a list'), (lambda data: b'{}', 'an empty dict'),
           (lambda data: data[:len(data) // 2], 'cut'), (lambda data: b'\xff\xfe', 'not UTF-8'),
           in_json(lambda value: dict(config=value['config']), 'without about'),
           in_json(lambda value: dict(about=value['about']), 'without config'),
           in_json(lambda value: value | dict(config={}), 'with an empty config'),
           in_json(lambda value: value | dict(about=None), 'with about null'),
           in_json(lambda value: value | dict(config=value['config'] | dict(stages=7)), 'with stages=7')]
TABLES = [(lambda data: b'', 'empty'), (lambda data: data.split(b'\n')[0] + b'\n', 'a header alone'),
          (lambda data: data[:-7], 'cut in its last row'), (lambda data: b'\xff' + data[3:], 'not UTF-8'),
          (lambda data: data.replace(b',', b';'), 'with semicolons'), (lambda data: b'a,b\n1,2\n', 'foreign'),
          (lambda data: data + b'\0\0\0', 'with NUL'),
          (lambda data: b'"' + data, 'with a quote that is left open')]
NEEDED = {'metrics': 'step ms_per_step', 'eval': 'step accuracy', 'test': 'difficulty loops accuracy count',
          'baselines': 'baseline difficulty accuracy'}  # columns, by table
FIGURES = 'demo table lengths text similarity steps downstream tasks isoplot scaling'.split()


def without_column(name):
    return lambda data: data.replace(name.encode(), name[::-1].encode(), 1), f'without column {name}'


def with_cell(name, value):
    """Another value in the last row."""
    def changed(data):
        rows = list(csv.DictReader(io.StringIO(data.decode())))
        rows[-1][name] = value
        out = io.StringIO()
        writer = csv.DictWriter(out, rows[0], lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue().encode()
    return changed, f'with {name}={value}'


def table_cases(chance: random.Random):
    for change, told in TABLES:
        for name in chance.sample(sorted(NEEDED), 2):
            yield case_of_file(f'{name}.csv', 'plot', *GOOD['plot'], f'phop/{name}.csv', change, told)
    for table, names in NEEDED.items():
        for name in names.split():
            value = chance.choice(['x', 'nan', 'inf', '-inf', '1,5'])
            changes = [without_column(name), with_cell(name, value)]
            for change, told in changes[:1] if name == 'baseline' else changes:
                yield case_of_file(f'{table}.csv', 'plot', *GOOD['plot'], f'phop/{table}.csv', change, told)


def folder_cases(chance: random.Random):
    for script in ('eval_tasks', 'sample', 'eval_downstream'):
        words = GOOD[script][0][1:]
        yield Case('folder of a run', script, ['nowhere', *words], 'records')
        yield Case('folder of a run', script, ['records', *words], 'records')
        yield Case('folder of a run', script, ['phop/best.pt', *words], 'phop records')
        yield Case('folder of a run', script, ['', *words], 'records')
    yield Case('folder of a run', 'eval_downstream', ['phop', *on_records('asdiv')[1:]], 'phop records')
    yield Case('folder of a run', 'train', [*PHOP, '--out_dir=phop'], 'phop')
    yield Case('folder of a run', 'train', [*PHOP, '--out_dir=phop/best.pt'], 'phop')
    yield Case('folder of a run', 'train', [*PHOP, '--out_dir=new', '--resume=must'])
    yield Case('folder of a run', 'train', [*PHOP, f'--out_dir={"x" * 300}'])
    for figure in FIGURES:
        yield Case('folder of a run', 'plot', [figure, chance.choice(['nowhere', 'records', 'phop/best.pt']),
                                               '--out=new/x'], 'phop records')
    for change, told in CONFIGS:
        yield case_of_file('config.json', 'plot', *GOOD['plot'], 'phop/config.json', change, told)
    for name in ('config.json', 'metrics.csv', 'test.csv'):
        for act in ACTS:
            yield case_of_path('folder of a run', 'plot', *GOOD['plot'], f'phop/{name}', act)
    yield with_options('plot', 'folder of a run', '--paper=phop/ckpt.pt')
    yield with_options('plot', 'folder of a run', '--paper=phop/metrics.csv')


MAKERS = (shard_cases, checkpoint_cases, folder_cases, table_cases)
