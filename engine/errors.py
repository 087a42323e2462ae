"""Errors that a user can put right: one line on stderr and exit code 2, never a traceback."""
import os
import sys
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
