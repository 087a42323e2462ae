"""Slow checks: kills, signals, several processes, memory, speed, the whole demo path in small."""
import csv
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from statistics import median

import numpy as np
import pytest
import torch
from training import assert_same_runs, command, rows, start, wait_for_step

import bench
from engine import runtime
from engine.configurator import configure
from looped import LoopedGPT
from model import GPTConfig
from peers.rows import LOSS, STEP, Workers, peak_megabytes, phop_step
from problems.text import ShardWriter, TokenTask
from settings import Config
from tasks import make_task

pytestmark = pytest.mark.slow
def test_killed_at_random_moments_equals_never_killed(tmp_path, root):
    subprocess.run(command(tmp_path / 'whole'), cwd=root, check=True, capture_output=True)
    killed, chance, reached = tmp_path / 'killed', random.Random(), []
    for earliest in (5, 60, 130, 220):
        process = start(root, killed, '--resume=auto')
        wait_for_step(killed, earliest)
        time.sleep(chance.uniform(0, 0.4))
        process.kill()
        process.wait()
        reached.append(len(rows(killed, 'metrics.csv')))
    assert 5 <= reached[0] < reached[-1] < 300, reached
    subprocess.run(command(killed, '--resume=auto'), cwd=root, check=True, capture_output=True)
    assert_same_runs(tmp_path / 'whole', killed)


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
    more = ['--max_steps=20', '--eval_interval=10', '--checkpoint_interval=10', '--train_examples=500',
            '--p=1,2']
    one = command(tmp_path / 'one', *more, '--micro_batch_size=7')
    subprocess.run(one, cwd=root, check=True, capture_output=True)
    launcher = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    two = command(tmp_path / 'two', *more, '--micro_batch_size=5')[1:]
    result = subprocess.run(launcher + two, cwd=root, capture_output=True, text=True,
                            env=os.environ | {'OMP_NUM_THREADS': '1'})
    assert result.returncode == 0, result.stderr
    assert len(losses(tmp_path / 'two')) == 20
    assert losses(tmp_path / 'one') == pytest.approx(losses(tmp_path / 'two'), abs=1e-5)
    for a, b in zip(rows(tmp_path / 'one', 'eval.csv'), rows(tmp_path / 'two', 'eval.csv'), strict=True):
        assert (a['step'], a['difficulty'], a['count']) == (b['step'], b['difficulty'], b['count'])
        assert float(a['accuracy']) == pytest.approx(float(b['accuracy']), abs=0.011)
        assert float(a['loss']) == pytest.approx(float(b['loss']), abs=1e-5)
    assert result.stdout.count('step 20/20') == 1


def test_two_processes_stop_together(tmp_path, root):
    launcher = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    long = command(tmp_path / 'run', '--max_steps=100000')[1:]
    process = subprocess.Popen(launcher + long, cwd=root, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=os.environ | {'OMP_NUM_THREADS': '1'})
    wait_for_step(tmp_path / 'run', 30)
    children = subprocess.run(['ps', '--ppid', str(process.pid), '-o', 'pid='], capture_output=True,
                              text=True)
    os.kill(int(children.stdout.split()[0]), signal.SIGTERM)  # one rank alone: both must leave
    output, errors = process.communicate(timeout=60)
    assert process.returncode != 0 and 'stopped at step' in output, errors


@pytest.mark.skipif(os.cpu_count() < 2, reason='needs two cores')
def test_a_training_step_is_twice_as_fast_as_gpt2_of_transformers():
    """Shape of p-hop (6 layers, 128 wide, 8 heads, 256 tokens); eager fp32 and our defaults, alternating."""
    pytest.importorskip('transformers')
    started = runtime.start()
    if started.dtype != 'bfloat16' or not started.compile:
        pytest.skip('this CPU has no fast bfloat16, or there is no compiler')
    cases = {case.name: case for case in phop_step(started)}
    case = cases['6x1 bfloat16 compiled, GPT-2 float32 eager']
    ours, theirs = bench.clock([case.ours, case.peer], started, 6, warmup=2)
    ratio = min(theirs) / min(ours)  # the least disturbed of each
    print(f'{ratio:.2f} times as fast')
    assert ratio >= 2


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


def on_text(folder, shards, *more):
    return command(folder, '--task=tokens', f'--data={shards}', '--block_size=32', '--vocab_size=257',
                   '--tokenizer=bytes', '--supervise=answer', '--p=16', '--length=256', '--max_steps=20',
                   '--eval_interval=10', '--eval_examples=20', '--checkpoint_interval=5', *more)


def on_processes(n: int, arguments: list, root, *launcher):
    """The command under torchrun on n processes."""
    launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={n}']
    return subprocess.Popen([*launch, *launcher, *arguments[1:]], cwd=root, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=os.environ | {'OMP_NUM_THREADS': '1'})


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
    task = TokenTask(shards, 32, 257, 'bytes')
    for step in range(20):
        hashes = []
        for n in (1, 2, 4):
            cuts = [24 * rank // n for rank in range(n + 1)]
            parts = [task.train_batch(0, step, 24, 0, lo, hi).tokens
                     for lo, hi in zip(cuts, cuts[1:], strict=False)]
            hashes.append(hashlib.sha256(np.concatenate(parts).tobytes()).hexdigest())
        assert len(set(hashes)) == 1


def test_a_worker_killed_under_torchrun_changes_nothing(tmp_path, root, shards):
    """--max-restarts starts all workers again, --resume=auto goes on: the same bits as undisturbed."""
    more = ('--max_steps=300', '--resume=auto', '--eval_interval=100', '--checkpoint_interval=20')
    whole = on_processes(2, on_text(tmp_path / 'whole', shards, *more), root)
    _, errors = whole.communicate(timeout=300)
    assert whole.returncode == 0, errors
    hurt = on_processes(2, on_text(tmp_path / 'hurt', shards, *more), root, '--max-restarts=2')
    wait_for_step(tmp_path / 'hurt', 70)
    workers = subprocess.run(['ps', '--ppid', str(hurt.pid), '-o', 'pid='], capture_output=True, text=True)
    os.kill(int(workers.stdout.split()[-1]), signal.SIGKILL)
    _, errors = hurt.communicate(timeout=300)
    assert hurt.returncode == 0, errors
    assert_same_runs(tmp_path / 'whole', tmp_path / 'hurt')


@pytest.mark.skipif(not os.path.exists('/proc/self/status'), reason='peak memory is read from /proc')
def test_memory_hardly_grows_with_loops_that_are_recomputed():
    base, looped, kept = (peak_megabytes(STEP.format(*case))
                          for case in (('4x1', True), ('4x6', True), ('4x6', False)))
    print(f'{base:.0f} MB, {looped:.0f} MB, kept {kept:.0f} MB')
    assert looped < 1.1 * base and kept > 3 * base


@pytest.mark.skipif(not os.path.exists('/proc/self/status'), reason='peak memory is read from /proc')
def test_memory_of_the_loss_over_a_large_vocabulary():
    """What the loss adds stays below 15% of what it adds with all logits in float32 at once."""
    chunks, whole = (peak_megabytes(LOSS.format(most)) for most in ('cross_entropy.LOGITS_MAX', 10 ** 12))
    print(f'{chunks:.0f} MB of {whole:.0f} MB')
    assert chunks < 0.15 * whole


def test_the_processes_of_the_bench_make_steps_and_end():
    two = Workers(2, 4, 'float32')
    two.step()
    two.stop()
    assert [process.exitcode for process in two.processes] == [0, 0]


def test_a_full_disk_is_one_line_and_the_old_checkpoint_stays(tmp_path, root):
    """A limit on the size of files stands for the disk: what the system answers is alike."""
    first = command(tmp_path / 'run', '--max_steps=20')
    subprocess.run(first, cwd=root, check=True, capture_output=True)
    before = (tmp_path / 'run' / 'ckpt.pt').read_bytes()
    limited = ['bash', '-c', 'ulimit -f 20; exec "$0" "$@"',
               *command(tmp_path / 'run', '--max_steps=40', '--resume=auto')]
    second = subprocess.run(limited, cwd=root, capture_output=True, text=True)
    assert second.returncode == 2 and 'could not be saved' in second.stderr
    assert len(second.stderr.strip().splitlines()) == 1
    assert (tmp_path / 'run' / 'ckpt.pt').read_bytes() == before


def test_a_shrinking_batch_is_the_padded_computation_in_less_time():
    """T uniform in 1 .. 20, parity's shape; padded: all run 20 loops, their states at T are picked."""
    model = LoopedGPT(GPTConfig(5, 24, 0, 4, 128, positions='none', norm='layernorm', bias=True), '1x20',
                      torch.Generator().manual_seed(0), input_injection=True, norm_each_loop=True)
    draw = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, 5, (64, 22), generator=draw)
    counts = torch.randint(1, 21, (64,), generator=draw)

    def shrinking():
        return model(tokens, tokens, counts)

    def padded():
        logits = torch.stack([logits for _, logits in model.logits_by_loop(tokens, 20)])
        own = logits[counts - 1, torch.arange(64)]
        return torch.nn.functional.cross_entropy(own.flatten(0, 1), tokens.flatten(), reduction='sum')

    seconds, losses, gradients = [[], []], [0, 0], [0, 0]
    for _ in range(9):
        for i, loss_of in enumerate((shrinking, padded)):
            began = time.perf_counter()
            loss = loss_of()
            loss.backward()
            seconds[i].append(time.perf_counter() - began)
            losses[i], gradients[i] = loss.item(), [p.grad for p in model.parameters()]
            model.zero_grad()
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
    ratio = median(seconds[0]) / median(seconds[1])
    print(f'{ratio:.2f} of the padded time')
    assert ratio <= 0.65


def test_from_training_to_tables(tmp_path, root):
    """train.py, eval_tasks.py, sample.py and plot.py by their command lines, in a folder of their own."""
    def python(*words):
        return subprocess.run([sys.executable, *words], cwd=root, check=True, capture_output=True, text=True)

    folders = [str(tmp_path / name) for name in ('looped', 'plain')]
    for folder, stages in zip(folders, ('1x2', '2x1'), strict=True):
        python(*command(folder, f'--stages={stages}', '--max_steps=30')[1:])
        assert python('eval_tasks.py', folder, '--examples=300').stderr == ''
        assert os.path.getsize(os.path.join(folder, 'test.png')) > 5000
    assert [row['loops'] for row in rows(folders[0], 'test.csv')] == ['1', '2', '3', '4']
    out = str(tmp_path / 'demo')
    table = python('plot.py', 'demo', *folders, f'--out={out}').stdout
    assert '| 1x2 | 1' in table and '| one hop |' in table and os.path.getsize(out + '.png') > 5000
    with open(out + '.csv', encoding='utf-8', newline='') as file:
        assert [row['model'] for row in csv.DictReader(file)] == ['1x2', '2x1', 'majority letter', 'one hop']
    result = python('sample.py', folders[0], '--prompt=abcadbcadbcabdca')
    assert result.stdout.count('loops') == 4 and 'true answer' in result.stdout and result.stderr == ''


@pytest.mark.parametrize('name', ['laptop/ghop_demo', 'laptop/addition', 'laptop/igsm', 'laptop/group',
                                  'laptop/variables'])
def test_no_test_problem_among_many_training_examples(name):
    """Against all of the test set at laptop size; OVERLAP_EXAMPLES=1000000 looks at a million."""
    config, _ = configure(Config, [f'config/{name}.py'], '')
    task, wanted = make_task(config), int(os.environ.get('OVERLAP_EXAMPLES', 50_000))
    held_out = {row.tobytes() for difficulty in task.evaluated('test')
                for row in task.eval_batch('test', difficulty, 0, 10_000).tokens}
    first = max(task.starts)  # from here on every difficulty is drawn
    for step in range(first, first + -(-wanted // 1000)):
        train = {row.tobytes() for row in task.train_batch(0, step, 1000).tokens}
        assert not train & held_out


def test_few_shot_evaluation_is_four_times_as_fast_as_one_by_one(tmp_path):
    """16 prompts with five shots each, a GPT-2 of 6 layers, float32; nothing shared, no cache, one by one."""
    pytest.importorskip('transformers')
    bench.main(['downstream', '--batch=16', '--repeats=1', f'--out={tmp_path}/b'])
    with open(tmp_path / 'b.csv', encoding='utf-8') as file:
        faster = {row['method']: float(row['ours_is_faster']) for row in csv.DictReader(file)}
    assert faster['one by one, uncached'] > 4 and faster['nothing shared'] > 1.5, faster


def test_two_processes_answer_as_one(tmp_path, root):
    """The same rows and answers; what one of two wrote before a kill is kept by a single process."""
    run = command(tmp_path / 'run', '--task=variables', '--p=16', '--length=256', '--supervise=answer',
                  '--max_steps=20')
    subprocess.run(run, cwd=root, check=True, capture_output=True)
    asked = ['eval_downstream.py', str(tmp_path / 'run'), '--tasks=inline_depth0,inline_depth1', '--shots=0',
             '--limit=100', '--batch_size=8', '--device=cpu', '--dtype=float32']
    one = [sys.executable, *asked, f'--out_dir={tmp_path}/one']
    subprocess.run(one, cwd=root, check=True, capture_output=True)
    launcher = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    result = subprocess.run([*launcher, *asked, f'--out_dir={tmp_path}/two'], cwd=root, capture_output=True,
                            text=True, env=os.environ | {'OMP_NUM_THREADS': '1'})
    assert result.returncode == 0 and result.stdout.count('inline_depth1') == 1, result.stderr
    name = 'downstream_limit100.csv'
    assert rows(tmp_path / 'one', name) == rows(tmp_path / 'two', name)
    path, = (tmp_path / 'one' / 'downstream_limit100').glob('inline_depth1*')
    other = tmp_path / 'two' / path.parent.name / path.name
    assert other.read_text(encoding='utf-8') == path.read_text(encoding='utf-8')
    lines = path.read_text(encoding='utf-8').splitlines(keepends=True)
    path.with_name(path.name + '.part1').write_text(''.join(lines[:30]), encoding='utf-8')
    path.unlink()
    subprocess.run(one, cwd=root, check=True, capture_output=True)
    assert path.read_text(encoding='utf-8') == other.read_text(encoding='utf-8')
