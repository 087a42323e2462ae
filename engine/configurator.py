"""Typed configuration: the defaults of a dataclass < configuration files in order < --key=value.

    python train.py config/ghop_1x6.py --max_steps=100

A configuration file is plain Python, run in a namespace of its own; what it assigns to public names must be
fields. Names that start with an underscore, modules and functions are the file's own business.
Whatever is wrong with the input ends in one line on stderr and exit code 2.
"""
import dataclasses
import difflib
import inspect
import os
import re
import sys
import traceback
import types
import typing
from contextlib import contextmanager


class UserError(Exception):
    """Something that the user can put right; the message is one line that says what and how."""


@contextmanager
def one_line_errors():
    """Turns a UserError into its one line on stderr, of one process only, and exit code 2."""
    try:
        yield
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except UserError as error:
        if os.environ.get('RANK', '0') == '0':
            print(f'error: {error}', file=sys.stderr)
        sys.exit(2)


def configure(cls, argv: list[str], usage: str, positional='files'):
    """An instance of the dataclass `cls` from the command line; returns (config, words).

    `words` are the arguments without '-', in order: configuration files, or what `positional` calls them,
    which are left to the caller. `--help` prints every field and leaves. A method `check` of the dataclass
    may raise ValueError for relations between fields that do not hold. Every bad input is a UserError.
    """
    if '--help' in argv or '-h' in argv:
        print(help_text(cls, usage))
        sys.exit(0)
    words = [arg for arg in argv if not arg.startswith('-')]
    values = {}
    for path in words if positional == 'files' else ():
        values.update(read_file(cls, path))
    for arg in argv:
        if arg.startswith('-'):
            values.update([read_argument(cls, arg)])
    return build(cls, values), words


def build(cls, values: dict):
    """The checked instance; a relation that does not hold is a UserError."""
    try:
        config = cls(**values)
        if hasattr(config, 'check'):
            config.check()
    except ValueError as error:
        raise UserError(error) from None
    return config


def read_argument(cls, arg: str):
    """'--key=value' -> (key, typed value)."""
    key, equals, text = arg.lstrip('-').partition('=')
    check_key(cls, key, 'on the command line')
    if not arg.startswith('--') or not equals:
        raise UserError(f"{arg} has no '=': write --{key}=VALUE")
    return key, convert(cls, key, text)


def read_file(cls, path: str) -> dict:
    """The fields that a configuration file assigns, typed."""
    try:
        with open(path, encoding='utf-8') as file:
            source = file.read()
    except OSError as error:
        raise UserError(f'configuration file {path}: {error.strerror} (in {os.getcwd()})') from None
    except UnicodeDecodeError:
        raise UserError(f'configuration file {path} is not text in UTF-8') from None
    root = os.path.dirname(os.path.abspath(inspect.getfile(cls)))
    if root not in sys.path:  # `from config.ghop import *` works from any folder
        sys.path.insert(0, root)
    namespace = {'__name__': '__config__', '__file__': path}
    try:
        exec(compile(source, path, 'exec'), namespace)
    except SyntaxError as error:
        raise UserError(f'{error.filename}, line {error.lineno}: {error.msg}') from None
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1]
        raise UserError(f'{line.filename}, line {line.lineno}: {type(error).__name__}: {error}') from None
    own = (types.ModuleType, types.FunctionType, type)
    names = [name for name in namespace if not name.startswith('_') and not isinstance(namespace[name], own)]
    for name in names:
        check_key(cls, name, f'in {path}')
    return {name: convert(cls, name, namespace[name], f' in {path}') for name in names}


def check_key(cls, key: str, where: str):
    names = [field.name for field in dataclasses.fields(cls)]
    if key in names:
        return
    near = difflib.get_close_matches(key, names, n=1)
    hint = f', did you mean {near[0]}?' if near else ', see --help'
    raise UserError(f'unknown key {key!r} {where}{hint}')


def convert(cls, key: str, value, where: str = ''):
    """`value`, text or Python object, as the type that field `key` declares."""
    kind = typing.get_type_hints(cls)[key]
    try:
        return as_type(kind, value)
    except (ValueError, TypeError):
        raise UserError(f'{key} takes {describe(kind)}, not {value!r}{where}') from None


def as_type(kind, value):
    """bool, int, float, str, Literal of strings and tuple[kind, ...], from text or from the object itself."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        if str(value) not in args:
            raise ValueError
        return str(value)
    if origin is tuple:
        parts = value.strip('()[] ').split(',') if isinstance(value, str) else value
        parts = parts if isinstance(parts, (list, tuple)) else [parts]
        return tuple(as_type(args[0], part) for part in parts if part != '')
    if kind is bool and str(value) in ('True', 'true', 'False', 'false'):
        return str(value) in ('True', 'true')
    if kind in (int, float) and not isinstance(value, bool):
        if isinstance(value, str) or type(value) in (int, kind):
            return kind(value)
    if kind is str and isinstance(value, str):
        return value
    raise ValueError


def describe(kind) -> str:
    """The type as a person would say it."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return 'one of ' + ', '.join(args)
    if origin is tuple:
        return f'{describe(args[0])} or several joined by commas'
    return {bool: 'True or False', int: 'a whole number', float: 'a number', str: 'text'}[kind]


def help_text(cls, usage: str) -> str:
    """Usage, then every field with its default and the comment on its line; `# --- title` is a heading."""
    lines, kinds = [usage.strip()], typing.get_type_hints(cls)
    for line in inspect.getsource(cls).splitlines():
        field = re.match(r'    (\w+): [^=]+ = (.+?)\s*(?:#\s*(.*))?$', line)
        if heading := re.match(r'    # --- (.*?)\s*-*$', line):
            lines += ['', heading[1]]
        elif field:
            value, kind = getattr(cls, field[1]), kinds[field[1]]
            default = ','.join(map(str, value)) if isinstance(value, tuple) else value
            choices = f' ({describe(kind)})' if typing.get_origin(kind) is typing.Literal else ''
            lines.append(f'  --{field[1]}={default}'.ljust(34) + f' {field[3] or ""}{choices}')
    return '\n'.join(lines)
