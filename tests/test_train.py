"""Training: schedule, exact resumption, micro-batches, evaluation, stopping, what lands on disk."""
import glob
import json
import math
import os
import re
import signal
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from training import PARITY, PARITY_NTP, assert_same_runs, rows, run, stop_at, tiny

import settings
import train
from engine import checkpoint, files, runtime
from engine.configurator import configure
from engine.errors import UserError
from optimizers import make_optimizer
from problems.phop import PHop
from settings import Config, with_task
from stages import parse_stages


def test_schedule():
    config = Config(warmup_steps=10, max_steps=110, learning_rate=2.0)
    rates = [train.lr_at(step, config) for step in range(110)]
    assert rates[0] == 0.2 and rates[9] == rates[10] == 2.0
    assert rates[60] == pytest.approx(1.0) and rates[35] == pytest.approx(1 + math.cos(math.pi / 4))
    assert 0 < rates[-1] < 1e-3 and rates == rates[:10] + sorted(rates[10:], reverse=True)
    constant = Config(warmup_steps=0, max_steps=5, schedule='constant', learning_rate=2.0)
    assert [train.lr_at(step, constant) for step in range(5)] == [2.0] * 5


@pytest.mark.parametrize('changes', [
    dict(), dict(optimizer='adamw', weight_decay=0.1), dict(optimizer='muon'),
    dict(dropout=0.2, train_examples=33), dict(difficulty_start=(0, 6)), dict(ema=0.9),
    dict(stages='1x1+1x3', input_injection=True, checkpoint_loops=True), PARITY, PARITY_NTP])
def test_stopping_and_going_on_equals_never_stopping(tmp_path, monkeypatch, changes):
    whole = run(tmp_path / 'whole', **changes)
    for step in (4, 7):  # on an evaluation, and between all intervals
        with monkeypatch.context() as patch:
            stop_at(patch, step)
            with pytest.raises(SystemExit, match='75'):
                run(tmp_path / 'parts', resume='auto', **changes)
        assert torch.load(tmp_path / 'parts' / 'ckpt.pt', weights_only=True)['step'] == step
    parts = run(tmp_path / 'parts', resume='must', **changes)
    assert_same_runs(whole, parts)


def test_micro_batches_change_nothing_but_rounding(tmp_path):
    one, two = run(tmp_path / 'one'), run(tmp_path / 'two', micro_batch_size=3)
    losses = [[float(row['loss']) for row in rows(folder, 'metrics.csv')] for folder in (one, two)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5) and len(losses[0]) == 12


def test_evaluation_changes_no_training(tmp_path):
    often = run(tmp_path / 'often', eval_interval=1, dropout=0.2)
    seldom = run(tmp_path / 'seldom', dropout=0.2)
    assert rows(often, 'metrics.csv') == rows(seldom, 'metrics.csv')
    by_step = {(row['step'], row['difficulty']): row for row in rows(often, 'eval.csv')}
    assert all(by_step[row['step'], row['difficulty']] == row for row in rows(seldom, 'eval.csv'))
    assert len(by_step) == 24


def test_loss_falls_and_the_best_is_kept(tmp_path):
    folder = run(tmp_path / 'run', max_steps=60, learning_rate=0.01, optimizer='adamw', eval_interval=20,
                 warmup_steps=0)
    losses = [float(row['loss']) for row in rows(folder, 'metrics.csv')]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    accuracies = {}
    for row in rows(folder, 'eval.csv'):
        accuracies.setdefault(int(row['step']), []).append(float(row['accuracy']))
    best = torch.load(os.path.join(folder, 'best.pt'), weights_only=True)
    assert sum(accuracies[best['step']]) == max(map(sum, accuracies.values()))


def test_what_a_run_leaves(tmp_path):
    folder = run(tmp_path / 'run')
    assert sorted(os.listdir(folder)) == ['best.pt', 'ckpt.pt', 'config.json', 'eval.csv', 'metrics.csv']
    with open(os.path.join(folder, 'config.json'), encoding='utf-8') as file:
        saved = json.load(file)
    assert saved['config']['n_ff'] == 64 and saved['config']['block_size'] == 9
    assert saved['about']['loops'] == 2
    checkpoint_keys = {'model', 'optimizer', 'step', 'rng', 'config'}
    assert checkpoint_keys <= checkpoint.load(os.path.join(folder, 'ckpt.pt')).keys()
    model, task, step, config = checkpoint.load_model(folder, name='ckpt.pt')
    assert (step, config.stages, task.vocab_size) == (12, '1x2', 7) and not model.training


def test_a_run_is_neither_written_over_nor_mixed_with_another(tmp_path):
    folder = run(tmp_path / 'run')
    for changes, says in ((dict(), 'holds a run already'), (dict(resume='auto', stages='2x1'), 'stages=1x2'),
                          (dict(resume='auto', seed=3), 'seed=0')):
        with pytest.raises(UserError, match=says):
            run(folder, **changes)
    with pytest.raises(UserError, match='no checkpoint at'):
        run(tmp_path / 'none', resume='must')
    with open(os.path.join(folder, 'ckpt.pt'), 'r+b') as file:
        file.truncate(1000)
    with pytest.raises(UserError, match='is cut or is no checkpoint'):
        run(folder, resume='auto')
    assert not (tmp_path / 'none').exists()


def test_a_finished_run_stays_as_it_is(tmp_path):
    folder = run(tmp_path / 'run')
    before = rows(folder, 'metrics.csv'), rows(folder, 'eval.csv')
    run(folder, resume='auto')
    assert (rows(folder, 'metrics.csv'), rows(folder, 'eval.csv')) == before


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(tmp_path, monkeypatch):
    real, calls = train.backward, []

    def broken(model, run, batch, n_targets):
        loss = real(model, run, batch, n_targets)
        calls.append(1)
        if len(calls) >= 6:  # after the checkpoint of step 5
            next(model.parameters()).grad[0] = math.nan
        return loss
    monkeypatch.setattr(train, 'backward', broken)
    with pytest.raises(UserError, match='not finite at step 6'):
        run(tmp_path / 'run', log_interval=4)
    assert torch.load(tmp_path / 'run' / 'ckpt.pt', weights_only=True)['step'] == 5


def test_a_block_size_above_what_the_task_needs(tmp_path):
    folder = run(tmp_path / 'run', block_size=30, positions='learned')
    assert checkpoint.load_model(folder)[0].position_embedding.num_embeddings == 30
    assert [row['tokens'] for row in rows(folder, 'metrics.csv')][-1] == str(12 * 10 * 9)


def test_what_cannot_be_written_or_split_is_said_in_a_line(tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='cannot be written'):
        run(tmp_path / 'file')
    with pytest.raises(UserError, match='too few distinct problems'):
        run(tmp_path / 'small', task='group', group='c2', elements=2)
    real = runtime.start
    monkeypatch.setattr(runtime, 'start', lambda *choices: replace(real(*choices), world=11))
    with pytest.raises(UserError, match='without work'):
        run(tmp_path / 'wide')


def test_stage_strings_of_all_configuration_files(root):
    paths = glob.glob(os.path.join(root, 'config', '**', '*.py'), recursive=True)
    paths.remove(os.path.join(root, 'config', '__init__.py'))
    assert len(paths) > 60
    for path in paths:
        # What several tasks share names none; it is read after a task that has its options.
        with open(path, encoding='utf-8') as file:
            shared = 'lengths' in path and not re.search("^task = ", file.read(), re.M)
        task = [os.path.join(root, 'config', 'lengths', 'parity.py')] if shared else []
        config, _ = configure(Config, [*task, path], '', extend=with_task)
        row = os.path.basename(path)[:-3].split('_')[-1]
        assert config.stages == row if re.fullmatch(r'\d+x\d+', row) else parse_stages(config.stages)


def test_averaged_weights_by_hand(tmp_path, monkeypatch):
    """best.pt of a run with ema holds a <- decay * a + (1 - decay) * w, from the first w on."""
    history, step = [], torch.optim.Optimizer.zero_grad

    def remember(self, *args, **options):
        history.append([p.detach().clone() for group in self.param_groups for p in group['params']])
        step(self, *args, **options)
    monkeypatch.setattr(torch.optim.Optimizer, 'zero_grad', remember)
    folder = run(tmp_path / 'run', ema=0.8, max_steps=5, eval_interval=5, optimizer='adamw',
                 learning_rate=0.1)
    expected = history[0]
    for weights in history[1:]:
        expected = [0.8 * a + 0.2 * w for a, w in zip(expected, weights, strict=True)]
    model = checkpoint.load_model(folder)[0]
    groups = make_optimizer(model, Config(optimizer='adamw')).param_groups
    held = [p for group in groups for p in group['params']]
    assert len(history) == 5 and (history[0][0] != history[4][0]).any()
    for a, b in zip(held, expected, strict=True):
        torch.testing.assert_close(a.data, b)


def test_checkpoints_that_stay(tmp_path):
    """One at every keep_interval, each as the latest was then; only multiples of eval_interval go."""
    folder = run(tmp_path / 'run', keep_interval=4)
    assert sorted(map(os.path.basename, glob.glob(f'{folder}/step_*.pt'))) == [
        'step_0000004.pt', 'step_0000008.pt', 'step_0000012.pt']
    last, latest = (torch.load(f'{folder}/{name}', weights_only=True)
                    for name in ('step_0000012.pt', 'ckpt.pt'))
    assert last['step'] == latest['step'] and all(
        torch.equal(last['model'][name], latest['model'][name]) for name in last['model'])
    first = torch.load(f'{folder}/step_0000004.pt', weights_only=True)
    assert first['step'] == 4 and not torch.equal(first['model']['head.weight'], last['model']['head.weight'])
    with pytest.raises(UserError, match='multiple of eval_interval'):
        tiny(keep_interval=6)


def test_two_runs_do_not_share_a_folder(tmp_path):
    folder = tmp_path / 'run'
    folder.mkdir()
    taken = files.lock_folder(str(folder))
    with pytest.raises(UserError, match='another run is writing'):
        run(folder)
    assert os.listdir(folder) == []
    os.close(taken)
    run(folder)


def test_another_number_of_steps_is_said(tmp_path, capsys):
    folder = run(tmp_path / 'run', checkpoint_interval=4)
    run(folder, resume='auto', max_steps=16)
    assert 'max_steps was 12: from here on the schedule is that of 16 steps' in capsys.readouterr().out


def test_wandb_goes_on_with_the_same_run(tmp_path, monkeypatch):
    calls = []
    logged = SimpleNamespace(log=lambda *_, **__: None)
    fake = SimpleNamespace(init=lambda **options: calls.append(options) or logged)
    monkeypatch.setitem(sys.modules, 'wandb', fake)
    monkeypatch.setattr(settings, 'find_spec', lambda name: True)
    folder = run(tmp_path / 'run', wandb=True)
    run(folder, wandb=True, resume='auto', max_steps=16)
    run(tmp_path / 'other', wandb=True)
    assert calls[0]['id'] == calls[1]['id'] != calls[2]['id'] and calls[1]['resume'] == 'allow'


def test_a_killed_worker_ends_in_a_line_and_a_checkpoint(tmp_path, monkeypatch):
    real = PHop.train_batch

    def train_batch(task, seed, step, *more):
        if step == 9:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(task, seed, step, *more)
    monkeypatch.setattr(PHop, 'train_batch', train_batch)
    with pytest.raises(UserError, match='was killed'):
        run(tmp_path / 'run', data_workers=1, checkpoint_interval=100, eval_interval=100)
    saved = checkpoint.load(str(tmp_path / 'run' / 'ckpt.pt'))
    assert saved['step'] > 0
    monkeypatch.undo()
    run(tmp_path / 'run', resume='must', eval_interval=100, checkpoint_interval=100)
    assert_same_runs(tmp_path / 'run', run(tmp_path / 'whole', eval_interval=100, checkpoint_interval=100))


def test_a_checkpoint_of_other_keys_is_one_line(tmp_path):
    folder = run(tmp_path / 'run')
    path = os.path.join(folder, 'ckpt.pt')
    for spoil in (lambda saved: saved['model'].popitem(), lambda saved: saved['optimizer'].pop('state'),
                  lambda saved: saved['optimizer']['param_groups'].pop()):
        saved = checkpoint.load(path)
        whole = open(path, 'rb').read()
        spoil(saved)
        checkpoint.save(path, saved)
        with pytest.raises(UserError, match='another version'):
            run(folder, resume='auto', max_steps=16)
        with open(path, 'wb') as file:
            file.write(whole)


def test_the_limit_of_minutes_holds_on_after_a_restart(monkeypatch):
    stop = runtime.Stop(max_minutes=10)
    first = stop.deadline
    stop.keep_deadline(first - 300)
    assert stop.deadline == first and not stop.wanted()
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', '2')
    stop.keep_deadline(first - 700)
    assert stop.deadline == first - 700 and stop.wanted() and stop.exit_code() == 75


def test_a_second_sigterm_does_not_end_the_process_and_a_second_ctrl_c_does():
    with runtime.Stop() as stop:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert stop.wanted() and stop.exit_code() == 143
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    signal.raise_signal(signal.SIGTERM)  # nor while it leaves
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_a_signal_that_ends_the_compiler_too_saves_and_leaves(tmp_path, monkeypatch):
    """The step under way has changed nothing: the resumed run equals one that never stopped."""
    real = train.backward

    def backward(model, a_run, *more):
        if a_run.step == 7:
            signal.raise_signal(signal.SIGTERM)
            raise RuntimeError('C++ compile error')
        return real(model, a_run, *more)
    monkeypatch.setattr(train, 'backward', backward)
    with pytest.raises(SystemExit) as leaving:
        run(tmp_path / 'run', checkpoint_interval=5)
    assert leaving.value.code == 143
    monkeypatch.undo()
    run(tmp_path / 'run', checkpoint_interval=5, resume='must')
    assert_same_runs(tmp_path / 'run', run(tmp_path / 'whole', checkpoint_interval=5))


@pytest.mark.parametrize('at', [4, 12])
def test_a_stop_during_an_evaluation_is_heeded_and_the_evaluation_made_up(tmp_path, monkeypatch, at):
    """In the middle of the run and at its last step; what is left equals a run that never stopped."""
    real = PHop.eval_batch

    def eval_batch(task, split, *more):
        if split == 'val' and train_step[0] == at:
            signal.raise_signal(signal.SIGTERM)
        return real(task, split, *more)
    train_step, rate = [0], train.lr_at
    monkeypatch.setattr(train, 'lr_at', lambda step, config: train_step.__setitem__(0, step + 1)
                        or rate(step, config))
    monkeypatch.setattr(PHop, 'eval_batch', eval_batch)
    with pytest.raises(SystemExit) as leaving:
        run(tmp_path / 'run')
    assert leaving.value.code == 143
    saved = checkpoint.load(str(tmp_path / 'run' / 'ckpt.pt'))
    assert saved['step'] == at and saved['owes_evaluation']
    monkeypatch.undo()
    run(tmp_path / 'run', resume='must')
    assert_same_runs(tmp_path / 'run', run(tmp_path / 'whole'))
