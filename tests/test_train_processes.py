"""Training as processes of their own: kills, signals, several processes under torchrun."""
import hashlib
import os
import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from kills import kill_again_and_again, terminate_twice
from training import assert_same_runs, command, rows, start, wait_for_step

from problems.shards import ShardWriter
from problems.text import TokenTask

pytestmark = pytest.mark.slow


def on_processes(n: int, arguments: list, root, *launcher):
    """The command under torchrun on n processes."""
    launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={n}']
    return subprocess.Popen([*launch, *launcher, *arguments[1:]], cwd=root, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=os.environ | {'OMP_NUM_THREADS': '1'})


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_signals_save_and_leave(number, tmp_path, root):
    process = start(root, tmp_path / 'run', '--max_steps=100000', '--checkpoint_interval=90000')
    wait_for_step(tmp_path / 'run', 25)
    os.killpg(process.pid, number)  # as a scheduler or a terminal does: the workers get it too
    output, _ = process.communicate(timeout=60)
    saved = torch.load(tmp_path / 'run' / 'ckpt.pt', weights_only=True)['step']
    assert process.returncode == 128 + number and saved >= 25
    assert f'stopped at step {saved} of 100000; --resume=auto' in output and 'Traceback' not in output


def losses(folder):
    return [float(row['loss']) for row in rows(folder, 'metrics.csv')]


def test_two_processes_equal_one(tmp_path, root):
    """Batch 24 in slices of 12 and micro-batches of 5, 5, 2, against one process with 7, 7, 7, 3."""
    options = ['--max_steps=20', '--eval_interval=10', '--checkpoint_interval=10', '--train_examples=500',
               '--p=1,2']
    one = command(tmp_path / 'one', *options, '--micro_batch_size=7')
    subprocess.run(one, cwd=root, check=True, capture_output=True)
    two = on_processes(2, command(tmp_path / 'two', *options, '--micro_batch_size=5'), root)
    output, errors = two.communicate(timeout=300)
    assert two.returncode == 0, errors
    assert len(losses(tmp_path / 'two')) == 20
    assert losses(tmp_path / 'one') == pytest.approx(losses(tmp_path / 'two'), abs=1e-5)
    for a, b in zip(rows(tmp_path / 'one', 'eval.csv'), rows(tmp_path / 'two', 'eval.csv'), strict=True):
        assert (a['step'], a['difficulty'], a['count']) == (b['step'], b['difficulty'], b['count'])
        assert float(a['accuracy']) == pytest.approx(float(b['accuracy']), abs=0.011)
        assert float(a['loss']) == pytest.approx(float(b['loss']), abs=1e-5)
    assert output.count('step 20/20') == 1


def test_two_processes_stop_together(tmp_path, root):
    process = on_processes(2, command(tmp_path / 'run', '--max_steps=100000'), root)
    wait_for_step(tmp_path / 'run', 30)
    children = subprocess.run(['ps', '--ppid', str(process.pid), '-o', 'pid='], capture_output=True,
                              text=True)
    os.kill(int(children.stdout.split()[0]), signal.SIGTERM)  # one rank alone: both must leave
    output, errors = process.communicate(timeout=60)
    assert process.returncode != 0 and 'stopped at step' in output, errors


@pytest.fixture(scope='module')
def shards(tmp_path_factory):
    """Random text of 257 symbols with some structure, as train and val shards."""
    folder = str(tmp_path_factory.mktemp('shards'))
    for split, size in (('train', 40_000), ('val', 4000)):
        header = dict(tokenizer='bytes', vocab_size=257, source='test', revision='1')
        writer = ShardWriter(folder, split, header, 9000)
        rng = np.random.default_rng(size)
        for _ in range(size // 1000):
            writer.add(np.append(rng.integers(97, 105, 999).cumsum() % 256, 256).astype(np.uint16), 999)
        writer.finish()
    return folder


def on_text(folder, shards, *options):
    return command(folder, '--task=tokens', f'--data={shards}', '--block_size=32', '--vocab_size=257',
                   '--tokenizer=bytes', '--max_steps=20', '--eval_interval=10', '--eval_examples=20',
                   '--checkpoint_interval=5', *options)


def test_text_on_one_two_and_four_processes(tmp_path, root, shards):
    """The same tokens in the same order, and losses within 1e-5, over 20 steps; evaluation too."""
    subprocess.run(on_text(tmp_path / '1', shards), cwd=root, check=True, capture_output=True)
    for n in (2, 4):
        process = on_processes(n, on_text(tmp_path / str(n), shards), root)
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
        assert losses(tmp_path / str(n)) == pytest.approx(losses(tmp_path / '1'), abs=1e-5)
        for a, b in zip(*(rows(tmp_path / name, 'eval.csv') for name in ('1', str(n))), strict=True):
            assert float(a['loss']) == pytest.approx(float(b['loss']), abs=1e-5) and a['count'] == b['count']
    task = TokenTask(data=shards, block_size=32, vocab_size=257, tokenizer='bytes')
    for step in range(20):
        hashes = []
        for n in (1, 2, 4):
            cuts = [24 * rank // n for rank in range(n + 1)]
            parts = [task.train_batch(0, step, 24, lo, hi).tokens
                     for lo, hi in zip(cuts, cuts[1:], strict=False)]
            hashes.append(hashlib.sha256(np.concatenate(parts).tobytes()).hexdigest())
        assert len(set(hashes)) == 1


def test_a_worker_killed_under_torchrun_changes_nothing(tmp_path, root, shards):
    """--max-restarts starts all workers again, --resume=auto goes on: the same bits as undisturbed."""
    options = ('--max_steps=300', '--resume=auto', '--eval_interval=100', '--checkpoint_interval=20')
    whole = on_processes(2, on_text(tmp_path / 'whole', shards, *options), root)
    _, errors = whole.communicate(timeout=300)
    assert whole.returncode == 0, errors
    hurt = on_processes(2, on_text(tmp_path / 'hurt', shards, *options), root, '--max-restarts=2')
    wait_for_step(tmp_path / 'hurt', 70)
    workers = subprocess.run(['ps', '--ppid', str(hurt.pid), '-o', 'pid='], capture_output=True, text=True)
    os.kill(int(workers.stdout.split()[-1]), signal.SIGKILL)
    _, errors = hurt.communicate(timeout=300)
    assert hurt.returncode == 0, errors
    assert_same_runs(tmp_path / 'whole', tmp_path / 'hurt')


def test_kills_and_stops_at_random_moments(tmp_path):
    """10 SIGKILLs of one run, and 8 times two SIGTERMs, side by side; kills.py has them by the hundred."""
    with ThreadPoolExecutor() as pool:
        attacks = [pool.submit(attack, tmp_path / attack.__name__, count, random.Random())
                   for attack, count in ((kill_again_and_again, 10), (terminate_twice, 8))]
        killed, stopped = [attack.result() for attack in attacks]
    assert killed['same_bits'] and killed['different_steps'] > 2 and stopped['checkpoints'] == 8


def test_two_processes_compiled_with_recomputation_equal_one(tmp_path, root):
    """Each compiles its blocks, and runs them again in the backward pass, three times in a loop."""
    options = ['--max_steps=20', '--eval_interval=20', '--eval_examples=24', '--compile=True',
               '--checkpoint_loops=True', '--warmup_steps=5', '--learning_rate=1e-2']
    one = subprocess.run(command(tmp_path / 'one', *options), cwd=root, check=True, capture_output=True,
                         text=True)
    two = on_processes(2, command(tmp_path / 'two', *options), root)
    output, errors = two.communicate(timeout=300)
    assert two.returncode == 0, errors
    assert 'compile on' in one.stdout and 'processes 2, dtype float32, compile on' in output
    assert len(losses(tmp_path / 'two')) == 20
    assert losses(tmp_path / 'one') == pytest.approx(losses(tmp_path / 'two'), abs=1e-5)
    assert losses(tmp_path / 'one')[-1] < losses(tmp_path / 'one')[0] - 0.1
