"""Bad options, configuration files, prompts, environments and disks for every command; see bad_inputs.py."""
import os
import random
import runpy
import string
import typing
from dataclasses import fields

from bad_inputs import GOOD, PHOP, TINY, Case, with_options
from forked_commands import SCRIPTS, path_of

# --- options

def configuration_class(script: str):
    if script == 'train':
        from settings import with_task
        return with_task({})
    namespace = runpy.run_path(path_of(script))
    return next(value for name, value in namespace.items() if name.endswith('Config') and name != 'Config')


def kinds_of(script: str) -> dict:
    """{option: its type without bounds}."""
    found = {}
    hints = typing.get_type_hints(configuration_class(script), include_extras=True)
    for field in fields(configuration_class(script)):
        kind = hints[field.name]
        found[field.name] = typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind
    return found


def wrong_values(kind) -> list[str]:
    """Texts that are no value of a type."""
    if kind is int:
        return ['x', '1.5', '', 'True', '1e3', '0x10', '1,2', '½']
    if kind is float:
        return ['x', '', '1,5', 'True', '1/2']
    if kind is bool:
        return ['yes', '1', '', 'TRUE', 'None']
    if typing.get_origin(kind) is typing.Literal:
        choice = typing.get_args(kind)[0]
        return [choice[:-1], choice.swapcase(), '', choice + ' ']
    if typing.get_origin(kind) is tuple and typing.get_args(kind)[0] is int:
        return ['1;2', 'x', '1,x', '1.5', '1 2']
    return []


def endless_values(kind) -> list[str]:
    """Numbers that are not finite or that 64 bits do not hold."""
    if kind is float:
        return ['nan', 'inf', '-inf', '1e999', 'NaN']
    if kind is int:
        return ['nan', 'inf', '9' * 30, '-' + '9' * 30, '1e999', str(2 ** 64)]
    if typing.get_origin(kind) is tuple and typing.get_args(kind)[0] is int:
        return ['1,nan', '9' * 30, 'inf']
    return []


def option_cases(chance: random.Random):
    for script in SCRIPTS:
        kinds = kinds_of(script)
        name = ''.join(chance.choices(string.ascii_lowercase, k=9))
        yield with_options(script, 'unknown option', f'--{name}=1')
        name = chance.choice([name for name in kinds if len(name) > 4])
        place = chance.randrange(1, len(name) - 1)
        misspelt = name[:place] + name[place + 1:]
        if misspelt not in kinds:
            yield with_options(script, 'misspelt option', f'--{misspelt}=1')
        name = chance.choice(list(kinds))
        form = chance.choice([f'--{name}', f'-{name}=1', '--', '-'])
        yield with_options(script, "option without '='", form)
        for kind, values_of, number in (('wrong type', wrong_values, 3), ('not finite', endless_values, 2)):
            fitting = [name for name in kinds if values_of(kinds[name])]
            for name in chance.sample(fitting, min(number, len(fitting))):
                yield with_options(script, kind, f'--{name}={chance.choice(values_of(kinds[name]))}')


OUT_OF_RANGE = {
    'train': ['--n_embd=0', '--n_head=3', '--n_head=-1', '--stages=1x0', '--stages=x', '--stages=', '--p=0',
              '--p=2,2', '--length=1', '--p=400', '--block_size=3', '--vocab_size=1', '--dropout=1',
              '--learning_rate=0', '--batch_size=0', '--max_steps=0', '--warmup_steps=-1', '--ema=1',
              '--keep_interval=3', '--regularize_weight=1', '--regularize_k=1 --stages=1x1',
              '--seed=2147483648', '--input_injection=True --stages=2x1', '--init_std=0', '--n_letters=1',
              '--n_letters=300', '--difficulty_start=1,2', '--head_size=3', '--dry_run_mfu=2',
              '--device=cuda', '--decay_start=-2'],
    'eval_tasks': ['--loops=-1', '--examples=0', '--loops_max=3 --loops_min=5', '--threshold=0',
                   '--checkpoint=other.pt', '--split=train'],
    'sample': ['--temperature=-1', '--loops=-2', '--batch=0', '--top_k=-1', '--checkpoint=step_9.pt'],
    'eval_downstream': ['--batch_size=0', '--shots=-2', '--limit=-1', '--tasks=', '--tasks=drp', '--loops=-1',
                        '--revision=abc --tasks=all', '--checkpoint=all', '--data_dir=nowhere', '--tasks=,',
                        '--max_new_tokens=1000'],
    'plot': ['--paper=nowhere.csv', '--out='],
    'bench': ['--rows=x', '--length=0', '--batch=0', '--repeats=0', '--task=drop'],
    'theory': ['--inputs=-1', '--steps=-1', '--theorems=6.6', '--theorems=', '--out='],
    'data/text/prepare': ['--val_share=0', '--val_share=1', '--val_share=-0.5', '--shard_tokens=0'],
    'data/pile/prepare': ['--processes=-1', '--val_tokens=0', '--shard_tokens=0', '--data_files=one.jsonl',
                          '--data_files=a,b,c', '--limit_tokens=-1'],
}
OTHER_TASKS = ['--task=addition --p=32', '--task=parity --length=9', '--operands=2', '--task=igsm --digits=2',
               '--task=tokens --max_length=3', '--group=s5', '--task=phop --data=shards', '--task=hop']
HUGE = ['--n_embd=1000000000', '--length=1000000000000', '--n_ff=1000000000000', '--batch_size=100000000000',
        '--stages=1x1000000000000', '--vocab_size=100000000000', '--train_examples=1000000000000000']
SCRIPTS_WORDS = [  # what is given that is no option
    ('train', ['nothing.py']), ('train', ['config/nothing.py', '--n_embd=16']), ('eval_tasks', []),
    ('eval_tasks', ['a', 'b']), ('sample', []), ('eval_downstream', []),
    ('eval_downstream', ['gpt2:nowhere']), ('eval_downstream', ['text', 'text']), ('plot', []),
    ('plot', ['dmeo', 'phop']), ('plot', ['demo']),
    ('bench', []), ('bench', ['rws']), ('bench', ['inference']), ('bench', ['inference', 'nothing.py']),
    ('theory', ['5.1']), ('data/text/prepare', ['nowhere']), ('data/pile/prepare', ['pile'])]


def value_cases(chance: random.Random):
    for script, options in OUT_OF_RANGE.items():
        for option in options:
            yield with_options(script, 'out of range', *option.split(' '))
    for options in OTHER_TASKS:
        yield Case('option of another task', 'train', [*TINY, *options.split(' '), '--out_dir=new'])
    for option in HUGE:
        yield with_options('train', 'huge', option, works=True)
    yield with_options('train', 'huge', '--learning_rate=1e30', works=True)
    yield with_options('train', 'huge', '--batch_size=100000000000', '--data_workers=1', works=True)
    yield with_options('sample', 'huge', '--batch=10000000000000')
    yield with_options('sample', 'huge', '--max_new_tokens=100000000000000', '--prompt=abcabcab')
    for script, words in SCRIPTS_WORDS:
        yield Case('words', script, words)


# --- configuration files

CONFIGURATIONS = {
    'syntax': [b'n_embd =', b'n_embd = 16\n  n_head = 2', b'if n_embd', b'n_embd == 16 16', b"task = 'phop",
               b'(', b'n_embd = 16\0', b'\t x = 1'],
    'raising': [b'1 / 0', b'import nothing_of_this_name', b'from config.nothing import *', b'n_embd = n_head',
                b'raise ValueError("one\\ntwo")', b'assert False', b'open("nowhere")', b'{}["key"]',
                b'def f(): f()\nf()'],
    'wrong types': [b'n_embd = "x"', b'n_embd = 16.5', b'n_embd = None', b'n_embd = [16]', b'compile = 1',
                    b'p = ("a",)', b'p = {1}', b'dropout = float("nan")', b'stages = 6', b'task = None',
                    b'learning_rate = True', b'out_dir = 5', b'out_dir = "a\\0"', b'task = ["phop"]',
                    b'max_steps = 10 ** 30', b'learning_rate = 10 ** 400'],
    'unknown names': [b'n_embed = 16', b'layers = 6', b'import numpy\nx = numpy.ones(3)'],
    'encoding': ['# été\nn_embd = 16'.encode('latin-1'), 'n_embd = 16'.encode('utf-16'), b'\xff\xfe\0\0',
                 bytes(range(128, 256))],
}


def configuration_cases(chance: random.Random):
    for kind, texts in CONFIGURATIONS.items():
        for text in texts:
            def spoil(folder, text=text):
                with open(os.path.join(folder, 'run.py'), 'wb') as file:
                    file.write(text)
            spoil.__doc__ = repr(text)
            yield Case(f'configuration, {kind}', 'train', ['run.py'], spoil=spoil)

    def a_folder(folder):
        os.mkdir(os.path.join(folder, 'run.py'))

    def a_link_to_nothing(folder):
        os.symlink('nowhere.py', os.path.join(folder, 'run.py'))

    def a_byte_order_mark(folder):  # is left out; what comes after it counts
        with open(os.path.join(folder, 'run.py'), 'w', encoding='utf-8-sig') as file:
            file.write('n_embd = 15\n')

    for spoil in (a_folder, a_link_to_nothing, a_byte_order_mark):
        yield Case('configuration, file', 'train', ['run.py', '--n_head=2', '--out_dir=new'], spoil=spoil)


# --- prompts and environments

PROMPTS = {
    'phop': ['xyz', 'abcabcabcabcabcabcabc', 'ABCABC', 'abc abc', 'é', '😀', 'ab\ncd', '1', '1a',
             '2aaaaaaaaa', ' '],
    'parity': ['102>', '>', '😀', '1011>##', '10\t11>'],
    'addition': ['12+34', '1+2=3', '١٢+٣٤=', '=', '+=', '12+=', '123+123+123+123+123=', '-1+2=', '1.5+2='],
    'text': ['x' * 500, 'é' * 210, '😀' * 101],
}
TORCHRUN = dict(WORLD_SIZE='2', RANK='0', LOCAL_RANK='0', MASTER_ADDR='localhost', MASTER_PORT='29511')
ENVIRONMENTS = [dict(WORLD_SIZE='2'), dict(WORLD_SIZE='two'), dict(WORLD_SIZE='0'), dict(WORLD_SIZE='-1'),
                dict(WORLD_SIZE='2', RANK='0'), dict(WORLD_SIZE='2', RANK='0', LOCAL_RANK='0'),
                *(TORCHRUN | {name: value} for name, value in (
                    ('RANK', ''), ('RANK', '2'), ('RANK', '0.5'), ('LOCAL_RANK', 'x'), ('LOCAL_RANK', '-1'),
                    ('MASTER_PORT', 'port'), ('MASTER_PORT', '99999999'), ('MASTER_ADDR', ''),
                    ('WORLD_SIZE', '1e3'), ('TORCHELASTIC_RESTART_COUNT', 'x'))),
                dict(TORCHELASTIC_RESTART_COUNT='x')]


def prompt_cases(chance: random.Random):
    for run, prompts in PROMPTS.items():
        for prompt in prompts:
            yield Case('prompt', 'sample', [run, f'--prompt={prompt}', '--device=cpu'], run)


def environment_cases(chance: random.Random):
    for environment in ENVIRONMENTS:
        script = chance.choice(['train', 'eval_tasks', 'sample', 'eval_downstream'])
        if environment.keys() == {'TORCHELASTIC_RESTART_COUNT'}:
            script = 'train'
        yield with_options(script, 'environment', environment=environment)


# --- a disk that is full, or that may not be written to

WRITERS = {  # scripts whose work is short, with what they write
    'train': GOOD['train'], 'eval_tasks': GOOD['eval_tasks'], 'plot': GOOD['plot'], 'theory': GOOD['theory'],
    'data/text/prepare': GOOD['data/text/prepare'], 'data/pile/prepare': GOOD['data/pile/prepare'],
    'eval_downstream': GOOD['eval_downstream'],
}
WRITTEN = {  # a file that each writes under another name first
    'eval_tasks': 'phop/test.csv', 'plot': 'new/demo.csv', 'theory': 'new/theory.csv',
    'data/text/prepare': 'new/train_00000.bin', 'data/pile/prepare': 'new/val_00000.json',
    'eval_downstream': 'text/downstream.csv',
}


def disk_cases(chance: random.Random):
    for script, (arguments, needs) in WRITERS.items():
        limits = [1, chance.randrange(20, 200)]
        if script == 'train':
            limits += [chance.randrange(1000, 20_000) for _ in range(4)]
        for limit in limits:
            yield Case('full disk', script, arguments, needs, file_limit=limit, works=True)
    for limit in (chance.randrange(100, 10_000), chance.randrange(100, 10_000)):
        yield Case('full disk', 'train', [*PHOP, '--out_dir=phop', '--resume=auto', '--max_steps=8'], 'phop',
                   file_limit=limit, works=True)
    for script in ('sample', 'plot', 'eval_tasks', 'theory', 'data/text/prepare', 'eval_downstream', 'train'):
        yield with_options(script, 'full disk', stdout='/dev/full', works=True)
    yield Case('full disk', 'train', ['--help'], stdout='/dev/full')

    for script, path in WRITTEN.items():
        arguments, needs = WRITERS[script]

        def spoil(folder, path=path):
            os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
            os.symlink('/dev/full', os.path.join(folder, f'{path}.tmp'))
        spoil.__doc__ = f'a link from {path}.tmp to /dev/full'
        yield Case('full disk', script, arguments, needs, spoil, works=True)

    for script, (arguments, needs) in WRITERS.items():
        yield Case('read-only folder', script, arguments, needs, spoil=read_only, permissions=True)
    arguments = [*PHOP, '--out_dir=phop', '--resume=auto', '--max_steps=8']
    yield Case('read-only folder', 'train', arguments, 'phop', spoil=read_only, permissions=True)


def read_only(folder):
    """taking every right to write away"""
    for path, _, _ in os.walk(folder, topdown=False):
        os.chmod(path, 0o555)


MAKERS = (option_cases, value_cases, configuration_cases, prompt_cases, environment_cases, disk_cases)
