"""Training that is killed and stopped at random moments: the bits of an undisturbed run, no step lost.

    python tests/kills.py                                        # 100, 50 and 20 times: about half an hour
    python tests/kills.py --sigkill=10 --sigterm=8 --restarts=2

sigkill: SIGKILL of one run that is started again each time. sigterm: SIGTERM and, 10 to 300 ms later,
another. restarts: SIGKILL of one of two processes under torchrun, which starts both again.
"""
import glob
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT, os.path.join(ROOT, 'tests')]

import torch  # noqa: E402
from training import assert_same_runs, command, start  # noqa: E402

from engine.configurator import Natural, configure  # noqa: E402

IN_START_UP = 0.2  # share of the kills that come before the first step
WAIT_MAX = 120.0   # seconds for a start-up, an end, a step


def step_of(folder) -> int:
    """The step of the checkpoint, which is whole if there is one; 0 if there is none."""
    path = os.path.join(folder, 'ckpt.pt')
    return torch.load(path, weights_only=True)['step'] if os.path.exists(path) else 0


def wait_for_steps(process, number: int):
    """Until the process has trained for so many steps."""
    for line in process.stdout:
        number -= line.startswith('step ')
        if number <= 0:
            return
    raise AssertionError('the run has ended before')


@contextmanager
def started(*arguments):
    """A run as a process, which ends with the block whatever happens."""
    process = start(ROOT, *arguments)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.wait()


def kill_again_and_again(folder: Path, count: int, chance: random.Random) -> dict:
    """SIGKILL at random moments of a run that goes on after each; then compares it with one left alone."""
    folder.mkdir(exist_ok=True)
    options = [f'--max_steps={60 * count + 200}', '--checkpoint_interval=3']
    began = time.perf_counter()
    with started(folder / 'whole', *options) as process:
        wait_for_steps(process, 1)
        start_up = time.perf_counter() - began
        output, _ = process.communicate()
        assert process.returncode == 0, output

    killed = folder / 'killed'
    steps = []
    for _ in range(count):
        with started(killed, '--resume=auto', *options) as process:
            if chance.random() < IN_START_UP:
                time.sleep(chance.uniform(0, start_up))
            else:
                wait_for_steps(process, chance.randrange(1, 60))
                time.sleep(chance.uniform(0, 0.05))
            os.killpg(process.pid, signal.SIGKILL)
        steps.append(step_of(killed))
    assert steps == sorted(steps) and 0 < steps[-1] < 60 * count + 200, steps

    with started(killed, '--resume=auto', *options) as process:
        output, _ = process.communicate()
        assert process.returncode == 0, output
    assert_same_runs(folder / 'whole', killed)
    assert not glob.glob(f'{killed}/*.tmp'), os.listdir(killed)
    return dict(sigkills=count, different_steps=len(set(steps)), same_bits=True)


def terminate_twice(folder: Path, count: int, chance: random.Random) -> dict:
    """Two SIGTERMs to all processes of a run, 10 to 300 ms apart: each time it has saved where it stopped."""
    steps = [0]
    for _ in range(count):
        with started(folder, '--resume=auto', '--max_steps=100000', '--checkpoint_interval=90000') as process:
            wait_for_steps(process, chance.randrange(1, 30))
            time.sleep(chance.uniform(0, 0.05))
            os.killpg(process.pid, signal.SIGTERM)
            time.sleep(chance.uniform(0.01, 0.3))
            os.killpg(process.pid, signal.SIGTERM)  # it may have left by now, but nobody has waited for it
            output, _ = process.communicate(timeout=WAIT_MAX)
        steps.append(step_of(folder))
        assert process.returncode == 128 + signal.SIGTERM, output
        assert steps[-1] > steps[-2] and f'stopped at step {steps[-1]} of 100000' in output, output
    return dict(double_sigterms=count, checkpoints=len(steps) - 1, last_step=steps[-1])


def torchrun(folder: Path, log, *options):
    """A run on two processes, both printing into `log`."""
    launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    wanted = [option for option in options if option.startswith('--max-restarts')]
    rest = [option for option in options if option not in wanted]
    return subprocess.Popen([*launch, *wanted, *command(folder, *rest)[1:]], cwd=ROOT, stdout=log, stderr=log,
                            env=os.environ | {'OMP_NUM_THREADS': '1'})


def workers_of(process) -> list[int]:
    listed = subprocess.run(['ps', '--ppid', str(process.pid), '-o', 'pid='], capture_output=True, text=True)
    return list(map(int, listed.stdout.split()))


def wait_until(holds, process):
    """Until holds() is true, while the process lives."""
    until = time.perf_counter() + WAIT_MAX
    while not holds():
        assert process.poll() is None, f'torchrun has left with {process.returncode}'
        assert time.perf_counter() < until, 'nothing happens any more'
        time.sleep(0.05)


def restart_again_and_again(folder: Path, count: int, chance: random.Random) -> dict:
    """SIGKILL of one of two processes under torchrun, which starts them again up to `count` times."""
    folder.mkdir(exist_ok=True)
    options = [f'--max_steps={100 * count + 200}', '--checkpoint_interval=10', '--resume=auto']
    with open(folder / 'whole.txt', 'wb') as log:
        assert torchrun(folder / 'whole', log, *options).wait() == 0, (folder / 'whole.txt').read_text()

    printed = folder / 'hurt.txt'
    with open(printed, 'wb') as log:
        process = torchrun(folder / 'hurt', log, *options, f'--max-restarts={count}')
        killed = set()
        for _ in range(count):
            wait_until(lambda before=frozenset(killed): len(set(workers_of(process)) - before) == 2, process)
            workers = sorted(set(workers_of(process)) - killed)
            if chance.random() < IN_START_UP:
                time.sleep(chance.uniform(0, 3))
            else:
                seen = printed.stat().st_size
                wait_until(lambda seen=seen: b'\nstep ' in printed.read_bytes()[seen:], process)
                time.sleep(chance.uniform(0, 0.5))
            os.kill(chance.choice(workers), signal.SIGKILL)
            killed |= set(workers)  # torchrun ends the other
        assert process.wait(timeout=600) == 0, printed.read_text()[-3000:]
    assert_same_runs(folder / 'whole', folder / 'hurt')
    return dict(restarts=count, same_bits=True)


@dataclass
class KillsConfig:
    sigkill: Natural = 100   # SIGKILLs of one run
    sigterm: Natural = 50    # pairs of SIGTERM
    restarts: Natural = 20   # SIGKILLs of a process under torchrun
    seed: Natural = 0        # of the moments


def main(argv):
    config, _ = configure(KillsConfig, argv, __doc__)
    chance = random.Random(config.seed)
    with tempfile.TemporaryDirectory() as folder:
        for name, count, attack in (('sigkill', config.sigkill, kill_again_and_again),
                                    ('sigterm', config.sigterm, terminate_twice),
                                    ('restarts', config.restarts, restart_again_and_again)):
            if count:
                began = time.perf_counter()
                found = attack(Path(folder) / name, count, chance)
                print(found | dict(seconds=round(time.perf_counter() - began)), flush=True)


if __name__ == '__main__':
    main(sys.argv[1:])
