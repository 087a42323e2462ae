"""Commands of this project as processes that start in milliseconds: this one imports them once and forks.

Each child runs a script by runpy with arguments, folder and environment of its own; nothing here computes
with torch before the forks.
"""
import gc
import os
import resource
import runpy
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from importlib.util import find_spec
from typing import NamedTuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCRIPTS = ('train', 'eval_tasks', 'sample', 'eval_downstream', 'plot', 'bench', 'theory', 'data/text/prepare',
           'data/pile/prepare')
MEMORY_MAX = 2 ** 34  # bytes of a process, address space that is only reserved included


class Ended(NamedTuple):
    code: int | None  # None: it was ended since it took too long
    output: str
    errors: str
    seconds: float


def import_everything():
    """What the scripts import, so that no child has to; before the first fork."""
    sys.path[:0] = [ROOT]
    import torch._dynamo  # noqa: F401
    import torch.onnx  # noqa: F401

    import bench  # noqa: F401
    import eval_downstream  # noqa: F401
    import eval_tasks  # noqa: F401
    import plot  # noqa: F401
    import sample  # noqa: F401
    import theory  # noqa: F401
    import train  # noqa: F401
    from engine.files import import_datasets
    import_datasets()
    if find_spec('transformers'):
        from transformers import AutoConfig, AutoTokenizer, GPT2LMHeadModel  # noqa: F401
    gc.collect()
    gc.freeze()


def path_of(script: str) -> str:
    return os.path.join(ROOT, *script.split('/')) + '.py'


def clean_environment(home: str) -> dict:
    """This process's environment without what torchrun sets, offline, without a GPU."""
    left_out = ('WORLD_SIZE', 'RANK', 'LOCAL_RANK', 'MASTER_', 'TORCHELASTIC', 'PYTHONUNBUFFERED',
                'PYTHONMALLOC', 'GLIBC_TUNABLES')
    environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return environment | dict(HOME=home, OMP_NUM_THREADS='1', HF_HUB_OFFLINE='1', CUDA_VISIBLE_DEVICES='')


def limit(file_limit: int):
    """Limits what a process may take: memory, so that too much is refused at once, and perhaps files."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    if file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))


def run_forked(script, arguments, folder, environment, file_limit=0, stdout='', prelude=None, timeout=10.0):
    """Runs SCRIPT in a fork: at most `file_limit` bytes a file, output to the file `stdout` where given."""
    out, out_end = os.pipe()
    err, err_end = os.pipe()
    began = time.perf_counter()
    pid = os.fork()
    if not pid:
        try:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(os.open(stdout, os.O_WRONLY) if stdout else out_end, 1)
            os.dup2(err_end, 2)
            os.closerange(3, max(out, out_end, err, err_end) + 1)
            code = in_child(script, arguments, folder, environment, file_limit, prelude)
        except BaseException:
            traceback.print_exc()
            code = 99
        finally:
            os._exit(code)
    os.close(out_end)
    os.close(err_end)
    try:
        code, output, errors = watch(pid, out, err, began + timeout)
    finally:
        try:
            os.killpg(pid, signal.SIGKILL)  # what it started, and itself where it is late
        except ProcessLookupError:
            pass
        os.close(out)
        os.close(err)
    if code is None:
        os.waitpid(pid, 0)
    return Ended(code, output, errors, time.perf_counter() - began)


def watch(pid: int, out: int, err: int, until: float):
    """(exit code, stdout, stderr) of a child; the code is None where it has not ended in time."""
    texts = {out: b'', err: b''}
    code = None
    while code is None and time.perf_counter() < until:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
        for pipe in select.select([out, err], [], [], 0 if ended else 0.005)[0]:
            texts[pipe] += os.read(pipe, 65536)  # as much as a pipe holds
    return code, *[text.decode('utf-8', 'replace') for text in texts.values()]


def in_child(script, arguments, folder, environment, file_limit, prelude) -> int:
    """The exit code, as the interpreter has it."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, name in ((1, 'stdout'), (2, 'stderr')):
        setattr(sys, name, open(number, 'w', encoding='utf-8', closefd=False))
    sys.argv = [path_of(script), *arguments]
    sys.path[0] = os.path.dirname(path_of(script))
    sys.path[1:1] = [ROOT]
    if prelude:
        prelude()
    limit(file_limit)
    code = 0
    try:
        runpy.run_path(path_of(script), run_name='__main__')
    except SystemExit as left:
        code = left.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    gc.collect()  # files that were left open
    threading._shutdown()
    try:
        sys.stdout.flush()
    except OSError:
        print('stdout cannot be flushed', file=sys.stderr)
        code = 120
    sys.stderr.flush()
    return code


def run_real(script, arguments, folder, environment, file_limit=0, stdout='', timeout=60.0):
    """The same by a new interpreter; nothing is imported yet."""
    began = time.perf_counter()
    target = open(stdout, 'wb') if stdout else subprocess.PIPE
    try:
        process = subprocess.run([sys.executable, path_of(script), *arguments], cwd=folder, env=environment,
                                 stdin=subprocess.DEVNULL, stdout=target, stderr=subprocess.PIPE,
                                 preexec_fn=lambda: limit(file_limit), timeout=timeout)
    except subprocess.TimeoutExpired as late:
        return Ended(None, '', (late.stderr or b'').decode(), timeout)
    finally:
        if stdout:
            target.close()
    output = (process.stdout or b'').decode('utf-8', 'replace')
    return Ended(process.returncode, output, process.stderr.decode('utf-8', 'replace'),
                 time.perf_counter() - began)
