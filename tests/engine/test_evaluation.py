"""Accuracy and loss against greedy decoding, and the same rows from one pass as from many."""
import io

import numpy as np
import pytest
import torch
from training import PARITY_NTP, run

from engine import evaluation
from engine.checkpoint import load_model
from engine.evaluation import evaluate, loop_counts_to_try
from engine.runtime import start
from sample import generate
from stages import parse_stages


@pytest.mark.parametrize('pause_tokens', [0, 4])
def test_next_token_accuracy_is_that_of_greedy_decoding_with_the_cache(tmp_path, pause_tokens):
    """An answer is right under teacher forcing exactly where decoding it token by token gives it."""
    flags = dict(stages='1x3', task='unique_set', pause_tokens=pause_tokens, max_steps=40, max_length=1,
                 test_lengths=(1,), learning_rate=1e-2, optimizer='adamw')
    folder = run(tmp_path / 'run', **PARITY_NTP | flags)
    model, task, _, _ = load_model(folder, name='ckpt.pt')
    batch = task.eval_batch('test', 1, 0, 300)
    start_at = 1 + pause_tokens
    decoded, _ = generate(model, torch.tensor(batch.tokens[:, :start_at + 1]).long(), 2)
    right = (decoded.numpy() == batch.targets[:, start_at:start_at + 2]).all(1)
    row, = evaluate(model, task, start('cpu', 'float32', 'False'), 'test', 300, 300)
    assert row['accuracy'] == right.mean() and 0.02 < right.mean() < 0.98
    assert np.array_equal(batch.targets[:, start_at + 1], np.full(300, task.end))


def test_rows_do_not_depend_on_the_pass_or_the_batch(tmp_path):
    """Several loop counts in one pass, each alone, with 0 among them; batches that do not divide the set."""
    model, task, _, _ = load_model(run(tmp_path / 'run'))
    runtime = start('cpu', 'float32', 'False')

    def rows(loop_counts, batch_size=40):
        found = evaluate(model.train(), task, runtime, 'val', 40, batch_size, loop_counts)
        return {(row['difficulty'], row['loops']): row for row in found}

    together = rows((1, 2, 3))
    assert model.training and list(together) == [(p, loops) for p in (1, 2) for loops in (1, 2, 3)]
    assert together == rows((1,)) | rows((2,)) | rows((3,))
    assert rows((0, 2))[1, 2] == rows((None,))[1, 2] == together[1, 2]
    for key, row in rows((1, 2, 3), batch_size=17).items():
        assert row == pytest.approx(together[key]) and row['accuracy'] == together[key]['accuracy']


def test_loop_counts_go_to_twice_the_trained_one():
    assert loop_counts_to_try(parse_stages('1x1+1x2')) == (1, 2, 3, 4)
    assert loop_counts_to_try(parse_stages('1x2'), (0, 5)) == (0, 5)
    assert loop_counts_to_try(parse_stages('2x1')) == loop_counts_to_try(parse_stages('1x2+1x3')) == (None,)


@pytest.mark.parametrize('batches', [0, 1, 3, 4])
def test_a_stop_is_heeded_between_batches(tmp_path, monkeypatch, batches):
    """Two difficulties of two batches each: stopped before the last there is nothing, after it the rows."""
    model, task, _, _ = load_model(run(tmp_path / 'run'))
    runtime, scored, real = start('cpu', 'float32', 'False'), [], evaluation.score_batch
    monkeypatch.setattr(evaluation, 'score_batch', lambda *args: scored.append(1) or real(*args))
    rows = evaluate(model.train(), task, runtime, 'val', 40, 20, stop=lambda: len(scored) >= batches)
    assert len(scored) == batches and model.training
    assert rows == (evaluate(model, task, runtime, 'val', 40, 20) if batches == 4 else None)


def test_a_stop_in_another_process_is_heeded_after_the_difficulty(tmp_path, monkeypatch):
    model, task, _, _ = load_model(run(tmp_path / 'run'))
    runtime, stops = start('cpu', 'float32', 'False'), []
    monkeypatch.setattr(runtime, 'sum', lambda *numbers: [n + 1 for n in numbers])  # the other one stops
    found = evaluate(model, task, runtime, 'val', 40, 20, stop=lambda: stops.append(1))
    assert found is None and len(stops) == 2  # batches of the first difficulty


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize('shown,delay,stream,rank', [
    (True, 0, Terminal, 0), (False, 5, Terminal, 0), (False, 0, io.StringIO, 0), (False, 0, Terminal, 1)])
def test_long_evaluations_show_progress_on_a_terminal(tmp_path, monkeypatch, shown, delay, stream, rank):
    model, task, _, _ = load_model(run(tmp_path / 'run'))
    runtime, errors = start('cpu', 'float32', 'False'), stream()
    runtime.rank = rank
    monkeypatch.setattr(evaluation, 'BAR_DELAY', delay)
    monkeypatch.setattr('sys.stderr', errors)
    evaluate(model, task, runtime, 'val', 40, 20)
    assert ('/4 [' in errors.getvalue()) == shown and 'Error' not in errors.getvalue()
