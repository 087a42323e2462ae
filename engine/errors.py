"""Errors that a user can put right: one line on stderr and exit code 2, never a traceback.
The line has the system's own words: what failed, and why. Every process of torchrun prints its own."""
import os
import sys
from contextlib import contextmanager
from typing import NamedTuple

OUT_OF_MEMORY = ('out of memory', "can't allocate memory", 'Cannot allocate memory', 'calculation overflowed')
PORT_MAX = 2 ** 16 - 1


class UserError(Exception):
    """Something that the user can put right; the message is one line that says what and how."""


class Ranks(NamedTuple):
    """This process among those that torchrun started: rank of world, and its number on this machine."""
    rank: int = 0
    world: int = 1
    local_rank: int = 0


def ranks(environment=os.environ) -> Ranks:
    """What torchrun says of this process, believed whole or not at all: UserError where a part is missing."""
    if environment.get('WORLD_SIZE', '') in ('', '1'):
        return Ranks()
    for name in ('WORLD_SIZE', 'RANK', 'LOCAL_RANK', 'MASTER_PORT', 'MASTER_ADDR'):
        value = environment.get(name, '')
        if not value or name != 'MASTER_ADDR' and not value.isdecimal():
            raise UserError(f'WORLD_SIZE={environment["WORLD_SIZE"]!r} says that torchrun started this '
                            f'process, but {name}={value!r}: start it with torchrun, or unset WORLD_SIZE')
    found = Ranks(int(environment['RANK']), int(environment['WORLD_SIZE']), int(environment['LOCAL_RANK']))
    if found.rank >= found.world or found.local_rank >= found.world:
        raise UserError(f'RANK={found.rank} and LOCAL_RANK={found.local_rank} must be below '
                        f'WORLD_SIZE={found.world}')
    if int(environment['MASTER_PORT']) > PORT_MAX:
        raise UserError(f'MASTER_PORT={environment["MASTER_PORT"]} must be at most {PORT_MAX}')
    return found


@contextmanager
def one_line_errors():
    """Ends the process with one line on stderr, and exit code 2, where the cause is not in the program."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='replace')  # a terminal that cannot show a letter gets '?'
    try:
        try:
            yield
        except SystemExit:  # --help has printed, too
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has read enough
        discard_output()
        sys.exit(141)
    except KeyboardInterrupt:
        leave('stopped by Ctrl-C', 130)
    except Exception as error:
        line = in_one_line(error)
        if line is None:
            raise  # a fault of the program: all of it is needed
        leave(line, 2)


def leave(line: str, code: int):
    """Prints an error with the number of its process, where there are several, and exits."""
    try:
        where = ranks()
        number = f' (process {where.rank} of {where.world})' if where.world > 1 else ''
    except UserError:
        number = ''
    one_line = ' '.join(line.splitlines())
    print(f'error{number}: {one_line}', file=sys.stderr, flush=True)
    try:
        sys.stdout.flush()
    except OSError:  # it is on a full disk, and Python would complain once more at its end
        discard_output()
    sys.exit(code)


def discard_output():
    """Sends what is left in the buffer of stdout, and all after it, nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def in_one_line(error: BaseException) -> str | None:
    """What the user reads of an error, None where it is none of his."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        return of_the_system(error)
    if isinstance(error, UnicodeError):
        return f'text that is not UTF-8: {error}'
    if isinstance(error, MemoryError):
        return f'out of memory: {error}' if str(error) else 'out of memory'
    text = str(error).strip()
    if isinstance(error, RuntimeError) and any(words in text for words in OUT_OF_MEMORY):
        return text.splitlines()[0]
    cause = error.__cause__ or error.__context__
    if isinstance(error, RuntimeError) and isinstance(cause, OSError):  # torch wraps those of files it writes
        return of_the_system(cause)
    return None


def of_the_system(error: OSError) -> str:
    """'path: No space left on device'."""
    reason = error.strerror or str(error) or type(error).__name__
    return f'{error.filename}: {reason}' if error.filename else reason


def first_line(error: BaseException) -> str:
    """The first line of what an error of another library says, its name where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
