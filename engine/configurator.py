"""Typed configuration: the defaults of a dataclass < configuration files in order < --key=value.
A configuration file is plain Python, run in a namespace of its own; what it assigns to public names must be
fields. Names that start with an underscore, modules and functions are the file's own business. A field's type
may carry bounds: `Annotated[int, Bounds(1)]`. Whatever is wrong with the input is a UserError."""
import dataclasses
import difflib
import inspect
import math
import os
import re
import sys
import traceback
import types
import typing
from typing import Annotated, NamedTuple

from engine.errors import UserError

INT_MAX = 2 ** 63 - 1  # what a 64-bit integer holds


class Bounds(NamedTuple):
    """low <= value <= high, and how a message says so."""
    low: float
    high: float
    text: str


PATH = 'a path; ~ is the home folder'
Path = Annotated[str, PATH]
Natural = Annotated[int, Bounds(0, INT_MAX, 'not negative')]
Positive = Annotated[int, Bounds(1, INT_MAX, 'at least 1')]
Amount = Annotated[float, Bounds(0, math.inf, 'not negative')]
Rate = Annotated[float, Bounds(sys.float_info.min, math.inf, 'positive')]
Decay = Annotated[float, Bounds(0, 1 - sys.float_info.epsilon, 'at least 0 and below 1')]


def configure(cls, argv: list[str], usage: str, positional='files', extend=None):
    """(config, words): an instance of the dataclass `cls` from the command line, the arguments without '-'.
    `words` are configuration files, or what `positional` calls them, which are left to the caller.
    `extend(values)` may return a subclass with further fields, given the values as they were written.
    `--help` prints every field and leaves. `cls.check` may raise ValueError where fields do not fit."""
    words = [arg for arg in argv if not arg.startswith('-')]
    wants_help = '--help' in argv or '-h' in argv
    values = {}  # of every key its value, as text or Python object, and where it was given
    if positional == 'files':
        for path in words:
            for key, value in read_file(cls, path).items():
                values[key] = value, f' in {path}'
    for arg in argv:
        if arg.startswith('-') and arg not in ('--help', '-h'):
            key, value = read_argument(cls, arg)
            values[key] = value, ''

    if extend is not None:
        cls = extend({key: value for key, (value, _) in values.items()})
    if wants_help:
        print(help_text(cls, usage))
        sys.exit(0)
    typed = {}
    for key, (value, where) in values.items():
        check_key(cls, key, where or ' on the command line')
        typed[key] = convert(cls, key, value, where)
    return build(cls, typed), words


def build(cls, values: dict):
    """The checked instance; a relation that does not hold is a UserError."""
    try:
        config = cls(**values)
        if hasattr(config, 'check'):
            config.check()
    except ValueError as error:
        raise UserError(error) from None
    return config


def read_argument(cls, arg: str) -> tuple[str, str]:
    """'--key=value' -> (key, value)."""
    key, equals, text = arg.lstrip('-').partition('=')
    if not arg.startswith('--') or not equals:
        raise UserError(f"{arg} has no '=': write --{key}=VALUE")
    return key, text


def read_file(cls, path: str) -> dict:
    """The public names that a configuration file assigns, with their values."""
    try:
        with open(path, encoding='utf-8-sig') as file:  # without the mark that some editors put first
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

    values = {}
    for name, value in namespace.items():
        helper = isinstance(value, (types.ModuleType, types.FunctionType, type))
        if not name.startswith('_') and not helper:
            values[name] = value
    return values


def check_key(cls, key: str, where: str):
    """UserError for a key that is no field, with the nearest that is, or with what the class says of it."""
    names = [field.name for field in dataclasses.fields(cls)]
    if key in names:
        return
    explain = getattr(cls, 'explain_unknown', None)
    reason = explain(key) if explain else None
    if reason:
        raise UserError(f'{reason} ({key} was given{where})')
    near = difflib.get_close_matches(key, names, n=1)
    hint = f', did you mean {near[0]}?' if near else ', see --help'
    raise UserError(f'unknown key {key!r}{where}{hint}')


def convert(cls, key: str, value, where: str = ''):
    """`value`, text or Python object, as the type that field `key` declares, within its bounds."""
    kind = typing.get_type_hints(cls, include_extras=True)[key]
    try:
        return as_type(kind, value)
    except (ValueError, TypeError, OverflowError):
        raise UserError(f'{key} takes {describe(kind)}, not {value!r}{where}') from None


def as_type(kind, value):
    """Text or an object as a bool, int, float, str, Literal, tuple[kind, ...] or Annotated[kind, Bounds].
    ValueError for what is none of the kind. Numbers are finite, whole ones of 64 bits."""
    origin = typing.get_origin(kind)
    args = typing.get_args(kind)
    if origin is Annotated:
        plain, bounds = args
        typed = as_type(plain, value)
        if bounds == PATH:
            return os.path.expanduser(typed)
        if not bounds.low <= typed <= bounds.high:
            raise ValueError
        return typed
    if origin is typing.Literal:
        if str(value) not in args:
            raise ValueError
        return str(value)
    if origin is tuple:
        return as_tuple(args[0], value)
    if kind is bool and str(value) in ('True', 'true', 'False', 'false'):
        return str(value) in ('True', 'true')
    if kind in (int, float) and not isinstance(value, bool):
        return as_number(kind, value)
    if kind is str and isinstance(value, str) and '\0' not in value:  # no path may hold it
        return value
    raise ValueError


def as_tuple(kind, value) -> tuple:
    """'1,2', '(1, 2)', [1, 2] or a single value -> a tuple of `kind`."""
    parts = value
    if isinstance(value, str):
        parts = value.strip('()[] ').split(',')
    if not isinstance(parts, (list, tuple)):
        parts = [parts]
    return tuple(as_type(kind, part) for part in parts if part != '')


def as_number(kind, value):
    if not isinstance(value, str) and type(value) not in (int, kind):
        raise ValueError
    number = kind(value)
    if not math.isfinite(number) or kind is int and abs(number) > INT_MAX:
        raise ValueError
    return number


def describe(kind) -> str:
    """The type as a person would say it."""
    origin = typing.get_origin(kind)
    args = typing.get_args(kind)
    if origin is Annotated:
        return args[1] if args[1] == PATH else f'{describe(args[0])}, {args[1].text}'
    if origin is typing.Literal:
        return 'one of ' + ', '.join(args)
    if origin is tuple:
        return f'{describe(args[0])} or several joined by commas'
    return {bool: 'True or False', int: 'a whole number', float: 'a number', str: 'text'}[kind]


def help_text(cls, usage: str) -> str:
    """Usage, then every field with its default and the comment on its line; `# --- title` is a heading.
    A class may list as `field_sources` what declares its fields: (title, class) in order."""
    lines = [usage.strip()]
    for title, declared_in in getattr(cls, 'field_sources', [('', cls)]):
        found = field_lines(cls, declared_in)
        if title and found:
            lines += ['', title]
        lines += found
    return '\n'.join(lines)


def field_lines(cls, declared_in) -> list[str]:
    """A line for every field that the source of a class declares, with the headings between."""
    fields = {field.name: field for field in dataclasses.fields(cls)}
    kinds = typing.get_type_hints(cls, include_extras=True)
    lines = []
    for line in inspect.getsource(declared_in).splitlines():
        heading = re.match(r'    # --- (.*?)\s*-*$', line)
        if heading:
            lines += ['', heading[1]]
        match = re.match(r'    (\w+): [^=]+ = (.+?)\s*(?:#\s*(.*))?$', line)
        if match and match[1] in fields:
            name = match[1]
            default = fields[name].default
            if isinstance(default, tuple):
                default = ','.join(map(str, default))
            choices = ''
            if typing.get_origin(kinds[name]) is typing.Literal:
                choices = f' ({describe(kinds[name])})'
            lines.append(f'  --{name}={default}'.ljust(34) + f' {match[3] or ""}{choices}')
    return lines
