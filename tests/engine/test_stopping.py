"""Stopping rules against their definitions, and B's whole path in small: train, evaluate, ask, draw."""
import csv

import numpy as np
import pytest
import torch
from training import assert_same_runs, run, stop_at

import eval_tasks
import plot
import sample
from engine.checkpoint import load_model
from engine.runtime import start
from engine.stopping import RULES, all_steps, chosen_steps, confidence

PARITY = dict(task='parity', stages='1x6', p=(16,), length=256, supervise='answer', n_embd=32, n_head=4,
              positions='none', adaptive_loops=True, input_injection=True, norm_each_loop=True, max_length=4,
              test_lengths=(2, 4, 6), interval=3, decay_start=-1, batch_size=16)


def test_confidence_is_the_cross_entropy_against_the_own_answer():
    logits = torch.randn(3, 5, 7)
    scored = torch.tensor([[0, 0, 1, 1, 1], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]]).bool()
    for i in range(3):
        own = logits[i, scored[i]]
        expected = torch.nn.functional.cross_entropy(own, own.argmax(-1))
        assert confidence(logits, scored)[i] == pytest.approx(expected.item(), abs=1e-6)


def test_rules_by_hand():
    confidences = torch.tensor([[.5, .9, .3], [.1, .8, .4], [.2, .05, .9], [.3, .2, .8]])  # (steps, samples)
    own = torch.tensor([3, 9, 1])
    chosen = {rule: chosen_steps(rule, confidences, own, threshold=0.25).tolist() for rule in RULES}
    assert chosen == {'oracle': [3, 4, 1], 'confidence': [2, 3, 1], 'threshold': [2, 3, 4],
                      'confidence of the batch': [3, 3, 3], 'threshold of the batch': [4, 4, 4]}
    # the means are .567 .433 .383 .433; the surest step but for the first three is the last
    for rule in RULES[1:]:
        assert chosen_steps(rule, confidences, own, 0.4, loops_min=4).tolist() == [4, 4, 4]
    assert chosen_steps('threshold of the batch', confidences, own, 0.4).tolist() == [3, 3, 3]


def test_the_batch_rule_takes_64_at_a_time():
    confidences = torch.ones(2, 100)
    confidences[0, :64] = 0
    confidences[1, 64:] = 0
    chosen = chosen_steps('confidence of the batch', confidences, torch.ones(100), 0.1)
    assert chosen.tolist() == [1] * 64 + [2] * 36


def test_one_pass_gives_what_a_forward_at_each_loop_count_gives(tmp_path):
    """T_max applications of the block in all, for every rule."""
    model, task, _, _ = load_model(run(tmp_path / 'run', **PARITY))
    batch, calls = task.eval_batch('test', 6, 0, 20), []
    model.blocks[0].register_forward_pre_hook(lambda *_: calls.append(1))
    with torch.inference_mode():
        confidences, right, own = all_steps(model, start('cpu', 'float32', 'False'), batch, 9)
        assert len(calls) == 9 and own.tolist() == [6] * 20
        scored = torch.tensor(batch.targets != -100)
        for t in range(1, 10):
            logits = model(torch.tensor(batch.tokens).long(), n_loops=t)
            torch.testing.assert_close(confidence(logits, scored), confidences[t - 1])
            hits = (logits.argmax(-1) == torch.tensor(batch.targets)) | ~scored
            assert hits.all(1).tolist() == right[t - 1].tolist()


def test_train_evaluate_ask_and_draw(tmp_path, capsys):
    """Every rule at every length, means of steps by hand, an answer after each loop, both figures."""
    folder = run(tmp_path / 'run', **PARITY)
    eval_tasks.main([folder, '--examples=40', '--loops_max=8', '--device=cpu', '--dtype=float32'])
    with open(f'{folder}/test.csv', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    assert [(row['difficulty'], row['rule']) for row in rows] == [(n, rule) for n in '246' for rule in RULES]
    assert [float(row['loops']) for row in rows if row['rule'] == 'oracle'] == [2, 4, 6]
    with open(f'{folder}/steps.csv', encoding='utf-8') as file:
        steps = list(csv.DictReader(file))
    at_oracle = {(row['difficulty'], row['step']): row['accuracy'] for row in steps}
    assert [row['accuracy'] for row in rows if row['rule'] == 'oracle'] == [at_oracle[n, n] for n in '246']
    capsys.readouterr()
    sample.main([folder, '--prompt=10110'])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == '10110>  true answer: 1' and len(lines) == 3 + 7
    assert sum('stops here' in line for line in lines[5:]) == 1  # from loop 3 on
    assert [line for line in lines if '  T' in line] == lines[7:8]  # after loop 5
    plot.main(['lengths', folder, f'--out={tmp_path}/figure'])
    plot.main(['steps', folder, f'--out={tmp_path}/steps'])
    assert '| FAP-Loop-Adaptive | oracle |' in capsys.readouterr().out
    assert (tmp_path / 'figure.png').stat().st_size < 200_000 > (tmp_path / 'steps.png').stat().st_size


@pytest.mark.parametrize('changes', [
    dict(), dict(adaptive_loops=False, answer='ntp', input_injection=False, norm_each_loop=False)])
def test_a_stopped_run_of_lengths_goes_on_exactly(tmp_path, monkeypatch, changes):
    whole = run(tmp_path / 'whole', **PARITY | changes)
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        stop_at(patch, 5)
        run(tmp_path / 'parts', **PARITY | changes)
    run(tmp_path / 'parts', **PARITY | changes | dict(resume='must'))
    assert_same_runs(whole, tmp_path / 'parts')


@pytest.mark.parametrize('pause_tokens', [0, 4])
def test_next_token_accuracy_is_that_of_greedy_decoding_with_the_cache(tmp_path, pause_tokens):
    """An answer is right under teacher forcing exactly where decoding it token by token gives it."""
    flags = dict(answer='ntp', adaptive_loops=False, input_injection=False, norm_each_loop=False,
                 stages='1x3', task='unique_set', pause_tokens=pause_tokens, max_steps=40, max_length=1,
                 test_lengths=(1,), learning_rate=1e-2, optimizer='adamw')
    folder = run(tmp_path / 'run', **PARITY | flags)
    model, task, _, _ = load_model(folder, name='ckpt.pt')
    batch = task.eval_batch('test', 1, 0, 300)
    start_at = 1 + pause_tokens
    decoded, _ = sample.generate(model, torch.tensor(batch.tokens[:, :start_at + 1]).long(), 2)
    right = (decoded.numpy() == batch.targets[:, start_at:start_at + 2]).all(1)
    row, = eval_tasks.evaluate(model, task, start('cpu', 'float32', 'False'), 'test', 300, 300)
    assert row['accuracy'] == right.mean() and 0.02 < right.mean() < 0.98
    assert np.array_equal(batch.targets[:, start_at + 1], np.full(300, task.end))
