"""The house: files at top level, directions of imports, what training loads, the size of README."""
import ast
import glob
import os
import re
import subprocess
import sys

import pytest

CORE = ('model', 'stages', 'looped', 'regularizer', 'optimizers')
# What the files of a folder may import besides the core: files of these folders, or these files alone.
ALLOWED = {
    'problems': ('problems', 'engine.files', 'engine.errors'),
    'engine': ('engine', 'problems.task', 'tasks'),
    'downstream': ('downstream', 'engine', 'problems', 'tasks'),
    'plots': ('plots', 'engine', 'problems', 'tasks'),
    'proofs': ('proofs', 'engine', 'problems', 'tasks'),
    'peers': ('peers', 'downstream', 'engine', 'problems', 'tasks', 'settings', 'train', 'sample'),
}
NO_TORCH = ('stages', 'tasks', 'settings', 'problems', 'engine.configurator', 'engine.errors', 'engine.files')


def modules(root) -> dict:
    """{dotted name: path} of all of the project's own modules."""
    found = {}
    for path in glob.glob(os.path.join(root, '*.py')) + glob.glob(os.path.join(root, '[a-z]*', '*.py')):
        name = os.path.relpath(path, root)[:-3].replace(os.sep, '.')
        if name.split('.')[0] not in ('tests', 'config', 'data', 'out'):
            found[name] = path
    return found


def imports(path: str, names, at_load=False) -> set:
    """The project's modules that a file imports, anywhere or (at_load) outside of functions only."""
    with open(path, encoding='utf-8') as file:
        tree = ast.parse(file.read())
    nodes = list(ast.walk(tree))
    if at_load:
        inside = {id(part) for node in nodes if isinstance(node, ast.FunctionDef) for part in ast.walk(node)}
        nodes = [node for node in nodes if id(node) not in inside]
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f'{node.module}.{alias.name}' for alias in node.names)}
    return found & set(names)


def test_at_most_14_python_files_at_top_level(root):
    assert len(glob.glob(os.path.join(root, '*.py'))) <= 14


def test_imports_point_one_way(root):
    paths = modules(root)
    assert len(paths) > 40
    for name, path in paths.items():
        folder = name.rpartition('.')[0]
        for other in imports(path, paths):
            if name == 'model' or name == 'stages':
                raise AssertionError(f'{name} imports {other}')
            if name in CORE:
                assert other in CORE, f'{name} imports {other}'
            elif folder:
                fits = other in CORE or any(other == part or other.startswith(part + '.')
                                            for part in ALLOWED[folder])
                assert fits, f'{name} imports {other}'


def floors(graph: dict) -> dict:
    """How many modules the longest chain of imports below each has, itself counted; a cycle is an error."""
    found, under_way = {}, set()

    def floor(name):
        if name in under_way:
            raise ValueError(f'{name} is imported in a circle')
        if name not in found:
            under_way.add(name)
            found[name] = 1 + max((floor(other) for other in graph[name]), default=0)
            under_way.remove(name)
        return found[name]
    for name in graph:
        floor(name)
    return found


def test_no_circle_and_at_most_7_floors(root):
    paths = modules(root)
    anywhere = {name: imports(path, paths) for name, path in paths.items()}
    floors(anywhere)  # imports inside of functions close no circle either
    at_load = floors({name: imports(path, paths, at_load=True) for name, path in paths.items()})
    highest = max(at_load, key=at_load.get)
    assert at_load[highest] <= 7, f'{highest} stands on floor {at_load[highest]}'
    with pytest.raises(ValueError, match='circle'):
        floors({'a': {'b'}, 'b': {'a'}})


def loaded(root, code: str, **environment) -> set:
    result = subprocess.run([sys.executable, '-c', f'import sys\n{code}\nprint(*sys.modules)'], cwd=root,
                            capture_output=True, text=True, env=os.environ | environment)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_training_loads_no_plots_few_shot_tasks_or_proofs(root):
    names = loaded(root, 'import train', MPLBACKEND='module://matplotlib_inline.backend_inline')
    ours = names & set(modules(root))
    assert {'train', 'looped', 'engine.logs'} <= ours and len(ours) <= 24, sorted(ours)
    for unwanted in ('plot plots downstream proofs peers matplotlib transformers datasets tiktoken wandb '
                     'eval_tasks sample bench theory').split():
        assert not [name for name in names if name.split('.')[0] == unwanted], unwanted
    problems = {name for name in ours if name.startswith('problems.')}
    assert problems <= {'problems.task', 'problems.randomness'}, problems


def test_problems_and_settings_need_no_torch(root):
    names = [name for name in modules(root) if name in NO_TORCH or name.split('.')[0] in NO_TORCH]
    code = 'sys.modules["torch"] = None\n' + '\n'.join(f'import {name}' for name in names)
    assert len(names) > 12
    loaded(root, code)


def test_readme_is_short(root):
    with open(os.path.join(root, 'README.md'), encoding='utf-8') as file:
        text = file.read()
    assert len(text.encode()) <= 14_000 and len(text.split()) <= 2000
    assert len(re.findall(r'^\|[-:| ]+\|$', text, re.M)) <= 4  # tables, by the line under their heads
    assert len(re.findall(r'!\[', text)) <= 2


def test_the_readmes_tree_is_what_ls_prints(root):
    with open(os.path.join(root, 'README.md'), encoding='utf-8') as file:
        text = file.read()
    tracked = subprocess.run(['git', 'ls-files'], cwd=root, capture_output=True, text=True).stdout.split()
    visible = {path.split('/')[0] for path in tracked if not path.startswith('.')}
    tree = re.search(r'```\n(LICENSE\b.*?)```', text, re.S)[1]
    shown = [line.split()[0].rstrip('/') for line in tree.splitlines() if line and not line.startswith(' ')]
    assert set(shown) == visible


def test_core_is_short(root):
    lines = 0
    for name in ('model', 'stages', 'looped'):
        with open(os.path.join(root, f'{name}.py'), encoding='utf-8') as file:
            lines += len(file.readlines())
    assert lines <= 700
