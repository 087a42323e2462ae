"""Bad inputs for every command: what each must end in, and a run of all of them.

    python tests/bad_inputs.py              # each in a fork of this process; prints what ends badly
    python tests/bad_inputs.py 'full disk'  # those whose description has these words

bad_options.py, bad_files.py and bad_records.py make the cases. What one needs is copied from good runs,
shards, records and texts, which the commands themselves make.
"""
import json
import os
import random
import shutil
import stat
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

from forked_commands import (
    ROOT,
    clean_environment,
    import_everything,
    run_forked,
    run_real,
)

SECONDS_MAX = 10.0
TINY = ['--n_embd=16', '--n_head=2', '--max_steps=4', '--compile=False', '--dtype=float32', '--device=cpu',
        '--data_workers=0', '--batch_size=8', '--eval_examples=16', '--eval_interval=2', '--stages=1x2',
        '--checkpoint_interval=2', '--log_interval=1']
PHOP = [*TINY, '--p=1,2', '--length=8']
TEXT = [*TINY, '--task=tokens', '--tokenizer=bytes', '--block_size=400', '--data=shards', '--batch_size=2',
        '--positions=learned']
PILE = ['--data_files=pile/train.jsonl,pile/val.jsonl', '--processes=1', '--out=new']
GOOD = {  # arguments of each script that would do, and what they need
    'train': ([*PHOP, '--out_dir=new'], ''),
    'eval_tasks': (['phop', '--examples=20', '--device=cpu'], 'phop'),
    'sample': (['phop', '--device=cpu'], 'phop'),
    'eval_downstream': (['text', '--tasks=asdiv', '--data_dir=records', '--device=cpu'], 'text records'),
    'plot': (['demo', 'phop', '--out=new/demo'], 'phop'),
    'bench': (['inference', f'{ROOT}/config/lengths/parity.py', '--length=2', '--batch=1', '--repeats=1',
               '--out=new'], ''),
    'theory': (['--theorems=5.3', '--inputs=2', '--steps=0', '--out=new/theory.csv'], ''),
    'data/text/prepare': (['texts', '--out=new'], 'texts'),
    'data/pile/prepare': (PILE, 'pile'),
}


@dataclass
class Case:
    """A command that must end in one line and one of `codes`, in a folder that holds the good things `needs`.

    `spoil(folder)` makes them bad. `works`: the fault shows in the middle of the work, which may leave whole
    files.
    """
    kind: str
    script: str
    arguments: list
    needs: str = ''
    spoil: Callable | None = None
    environment: dict | None = None
    file_limit: int = 0
    stdout: str = ''
    works: bool = False
    codes: tuple = (2,)
    permissions: bool = False  # means something only where the system refuses this user anything

    def __str__(self):
        changed = ' '.join(f'{name}={value!r}' for name, value in (self.environment or {}).items())
        limit = f', files to {self.file_limit} bytes' * bool(self.file_limit)
        spoiled = f' after {self.spoil.__doc__ or self.spoil.__name__}' if self.spoil else ''
        arguments = ' '.join(argument if len(argument) < 60 else f'{argument[:50]}...'
                             for argument in self.arguments)
        return f'{self.kind}: {changed} {self.script}.py {arguments}{limit}{spoiled}'.replace('\n', '\\n')


def with_options(script: str, kind: str, *options: str, **more) -> Case:
    arguments, needs = GOOD[script]
    return Case(kind, script, [*arguments, *options], needs, **more)


def on_records(task):
    return ['text', f'--tasks={task}', '--data_dir=records', '--device=cpu', '--shots=1']


# --- what all cases start from, and how they end

def make_good(folder: str):
    """Good runs, shards, records, texts in `folder`, by the commands themselves."""
    from records import PASSAGE, write_all
    write_all(os.path.join(folder, 'records'), count=4)
    for number in range(12):
        path = os.path.join(folder, 'texts', f'{number}.txt')
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as file:
            file.writelines(f'Line {line} of text {number}. {PASSAGE}\n' for line in range(4))
    os.mkdir(os.path.join(folder, 'pile'))
    for split in ('train', 'val'):
        with open(os.path.join(folder, 'pile', f'{split}.jsonl'), 'w', encoding='utf-8') as file:
            file.writelines(json.dumps(dict(text=f'{PASSAGE} {i}')) + '\n' for i in range(9))
    lengths = ['--max_length=4', '--test_lengths=3,5', '--positions=none', '--input_injection=True',
               '--adaptive_loops=True', '--interval=0']
    for script, arguments in (
            ('data/text/prepare', ['texts', '--out=shards', '--val_share=0.3']),
            ('train', [*PHOP, '--out_dir=phop']), ('eval_tasks', GOOD['eval_tasks'][0]),
            ('train', [*TINY, '--task=addition', '--operands=2,3', '--test_operands=3',
                       '--out_dir=addition']),
            ('train', [*TINY, '--task=parity', *lengths, '--out_dir=parity']),
            ('train', [*TEXT, '--out_dir=text'])):
        ended = run_forked(script, arguments, folder, clean_environment(folder), timeout=60)
        assert ended.code == 0 and not ended.errors, (script, ended)


def all_cases(seed=0) -> list[Case]:
    import bad_files
    import bad_options
    import bad_records
    chance = random.Random(seed)
    cases = []
    for make in (*bad_options.MAKERS, *bad_files.MAKERS, *bad_records.MAKERS):
        cases += make(chance)
    return cases


def held(folder: str) -> dict:
    """{path: what shows that a file was changed} of all that is in a folder."""
    found = {}
    for path, _, names in os.walk(folder):
        found[path] = 'folder'
        for name in names:
            about = os.lstat(os.path.join(path, name))
            found[os.path.join(path, name)] = about.st_size, about.st_mtime_ns
    return found


def run_case(case: Case, good: str, folder: str, real=False) -> str:
    """'' where a case ended well, else what was wrong; `folder` is made and deleted."""
    os.mkdir(folder)
    try:
        for name in case.needs.split():
            shutil.copytree(os.path.join(good, name), os.path.join(folder, name))
        if case.spoil:
            case.spoil(folder)
        before = held(folder)
        environment = clean_environment(folder) | (case.environment or {})
        run = run_real if real else run_forked
        options = {} if real else dict(timeout=SECONDS_MAX, prelude=bytes_for_gpt2)
        ended = run(case.script, case.arguments, folder, environment, case.file_limit, case.stdout, **options)
        return faults(case, ended, before, held(folder), folder)
    finally:
        for path, _, _ in os.walk(folder):
            os.chmod(path, stat.S_IRWXU)
        shutil.rmtree(folder)


def bytes_for_gpt2():
    """Bytes stand for GPT-2's tokens, whose vocabulary would have to be downloaded."""
    from problems import text
    text.GPT2 = text.Bytes


def faults(case: Case, ended, before: dict, after: dict, folder: str) -> str:
    found = []
    lines = ended.errors.splitlines()
    if ended.code is None:
        return f'not ended after {ended.seconds:.0f} s; {ended.errors[-300:]}'
    if ended.code not in case.codes:
        found.append(f'exit code {ended.code}')
    if len(lines) != 1 or not lines[0].startswith('error'):
        found.append('stderr: ' + ' / '.join(lines[-4:]))
    changed = sorted(os.path.relpath(path, folder) for path in before.keys() | after.keys()
                     if before.get(path) != after.get(path))
    if case.works:
        changed = [path for path in changed if os.path.exists(os.path.join(folder, path))
                   and not is_whole(os.path.join(folder, path))]
    if changed:
        found.append(f'changed: {", ".join(changed)}')
    return '; '.join(found)


def is_whole(path: str) -> bool:
    """Whether a file is not half of one: no temporary one, a checkpoint or JSON that can be read."""
    if path.endswith('.pt'):
        with zipfile.ZipFile(path) as file:
            return not file.testzip()
    if path.endswith('.json'):
        with open(path, encoding='utf-8') as file:
            return bool(json.load(file))
    return not path.endswith('.tmp')


def refused_anything(folder: str) -> bool:
    """Whether permission bits count for this user."""
    path = os.path.join(folder, 'locked')
    with open(path, 'w', encoding='utf-8'):
        os.chmod(path, 0)
    return not os.access(path, os.R_OK)


def try_all(wanted: list[str], work: str) -> dict:
    """Runs the cases whose description holds one of the words; prints those that end badly. The figures."""
    good = os.path.join(work, 'good')
    os.mkdir(good)
    make_good(good)
    cases = [case for case in all_cases() if not wanted or any(word in str(case) for word in wanted)]
    if not refused_anything(work):
        cases = [case for case in cases if not case.permissions]
    if not os.path.exists('/dev/full'):
        cases = [case for case in cases if '/dev/full' not in f'{case}{case.stdout}']

    bad = 0
    for number, case in enumerate([*cases, *chosen(cases)]):
        is_real = number >= len(cases)
        found = run_case(case, good, os.path.join(work, f'case{number}'), is_real)
        if found:
            bad += 1
            print(f'{case}{", as a real process" * is_real}\n    {found}', flush=True)
    return dict(
        inputs=len(cases),
        kinds=len({case.kind for case in cases}),
        with_permissions=sum(case.permissions for case in cases),
        as_real_processes=len(chosen(cases)),
        ended_well=len(cases) + len(chosen(cases)) - bad,
    )


def chosen(cases: list[Case]) -> list[Case]:
    """Ten cases of different kinds that need no vocabulary, to be run by new interpreters as well."""
    chance = random.Random(1)
    by_kind = {}
    for case in cases:
        if case.script != 'data/pile/prepare':
            by_kind.setdefault(case.kind, []).append(case)
    kinds = chance.sample(sorted(by_kind), min(10, len(by_kind)))
    return [chance.choice(by_kind[kind]) for kind in kinds]


def main():
    work = tempfile.mkdtemp(prefix='bad_inputs_')
    os.environ |= dict(HF_HOME=os.path.join(work, 'cache'), MPLCONFIGDIR=os.path.join(work, 'matplotlib'))
    sys.path.insert(0, ROOT)
    try:
        import_everything()
        print(json.dumps(try_all(sys.argv[1:], work)))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == '__main__':
    import bad_inputs  # under the name by which bad_files.py knows it
    bad_inputs.main()
