"""Stopping rules against their definitions."""
import pytest
import torch
from training import PARITY, run

from engine.checkpoint import load_model
from engine.runtime import start
from engine.stopping import RULES, all_steps, chosen_steps, confidence, evaluate_rules


def test_confidence_is_the_cross_entropy_against_the_models_answer():
    logits = torch.randn(3, 5, 7)
    scored = torch.tensor([[0, 0, 1, 1, 1], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]]).bool()
    for i in range(3):
        answered = logits[i, scored[i]]
        expected = torch.nn.functional.cross_entropy(answered, answered.argmax(-1))
        assert confidence(logits, scored)[i] == pytest.approx(expected.item(), abs=1e-6)


def test_rules_by_hand():
    confidences = torch.tensor([[.5, .9, .3], [.1, .8, .4], [.2, .05, .9], [.3, .2, .8]])  # (steps, samples)
    needed = torch.tensor([3, 9, 1])
    chosen = {rule: chosen_steps(rule, confidences, needed, threshold=0.25).tolist() for rule in RULES}
    assert chosen == {'oracle': [3, 4, 1], 'confidence': [2, 3, 1], 'threshold': [2, 3, 4],
                      'confidence of the batch': [3, 3, 3], 'threshold of the batch': [4, 4, 4]}
    # the means are .567 .433 .383 .433; the surest step but for the first three is the last
    for rule in RULES[1:]:
        assert chosen_steps(rule, confidences, needed, 0.4, loops_min=4).tolist() == [4, 4, 4]
    assert chosen_steps('threshold of the batch', confidences, needed, 0.4).tolist() == [3, 3, 3]


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
        confidences, right, needed = all_steps(model, start('cpu', 'float32', 'False'), batch, 9)
        assert len(calls) == 9 and needed.tolist() == [6] * 20
        scored = torch.tensor(batch.targets != -100)
        for t in range(1, 10):
            logits = model(torch.tensor(batch.tokens).long(), n_loops=t)
            torch.testing.assert_close(confidence(logits, scored), confidences[t - 1])
            hits = (logits.argmax(-1) == torch.tensor(batch.targets)) | ~scored
            assert hits.all(1).tolist() == right[t - 1].tolist()


def test_rows_are_means_over_all_examples_whatever_the_batch(tmp_path):
    model, task, _, _ = load_model(run(tmp_path / 'run', **PARITY))
    runtime = start('cpu', 'float32', 'False')
    whole, parts = (evaluate_rules(model, task, runtime, 'test', 50, size, 8, 0.5) for size in (50, 16))
    confidences, right, _ = all_steps(model, runtime, task.eval_batch('test', 4, 0, 50), 8)
    steps = [row for row in whole[1] if row['difficulty'] == 4]
    for t, row in enumerate(steps):
        assert (row['step'], row['needed'], row['accuracy']) == (t + 1, 4, right[t].sum().item() / 50)
        assert row['confidence'] == pytest.approx(confidences[t].mean().item())
    for rows, others in zip(whole, parts, strict=True):
        for row, other in zip(rows, others, strict=True):
            assert row == pytest.approx(other)
