"""Stopping rules against their definitions."""
import pytest
import torch
from training import PARITY, run

from engine.checkpoint import load_model
from engine.evaluation import progress_bar
from engine.runtime import start
from engine.stopping import RULES, all_examples, all_steps, chosen_steps, confidence, evaluate_rules
from eval_tasks import EvalConfig


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


def test_a_group_takes_one_step_and_no_group_is_all():
    confidences = torch.ones(2, 100)
    confidences[0, :64] = 0
    confidences[1, 64:] = 0
    chosen = {group: chosen_steps('confidence of the batch', confidences, torch.ones(100), 0.1, group=group)
              for group in (0, 1, 64)}
    assert chosen[0].tolist() == [1] * 100
    assert chosen[1].tolist() == chosen[64].tolist() == [1] * 64 + [2] * 36


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
            torch.testing.assert_close(confidence(logits[:, 6:], scored[:, 6:] | True), confidences[t - 1])
            hits = (logits.argmax(-1) == torch.tensor(batch.targets)) | ~scored
            assert hits.all(1).tolist() == right[t - 1].tolist()


def test_no_rule_knows_where_the_answer_ends(tmp_path):
    """Averaged from '>' to the end of the row, which is as long as the longest answer of the length."""
    flags = PARITY | dict(task='unique_set', max_length=8, test_lengths=(8,), interval=0)
    model, task, _, _ = load_model(run(tmp_path / 'run', **flags))
    batch = task.eval_batch('test', 8, 0, 40)
    answer_sizes = (batch.targets != -100).sum(1)
    assert len(set(answer_sizes)) > 1 and batch.tokens.shape == (40, 8 + 8 + 2)
    found, _, _ = all_steps(model, start('cpu', 'float32', 'False'), batch, 3)
    with torch.inference_mode():
        logits = model(torch.tensor(batch.tokens).long(), n_loops=3)
    by_hand = -logits.log_softmax(-1).amax(-1)[:, 8:].mean(1)
    torch.testing.assert_close(found[2], by_hand)


def rules(model, task, runtime, **options):
    return evaluate_rules(model, task, runtime, EvalConfig(**dict(examples=50, batch_size=50) | options))


def test_every_process_has_the_steps_of_all_examples(tmp_path, monkeypatch):
    """A process leaves zeros where the others have their examples; groups are then made of all of them."""
    model, task, _, _ = load_model(run(tmp_path / 'run', **PARITY))
    runtime = start('cpu', 'float32', 'False')
    config = EvalConfig(examples=50, batch_size=8)
    monkeypatch.setattr(torch.distributed, 'all_reduce', lambda *_, **__: None)

    def samples(rank=0, world=1):
        runtime.rank, runtime.world = rank, world
        with torch.inference_mode():
            return all_examples(model, task, runtime, config, 4, 9, progress_bar(runtime, [4], 50, 8))

    for one, two, all_of_them in zip(samples(0, 2), samples(1, 2), samples(), strict=True):
        assert one[..., 25:].count_nonzero() == two[..., :25].count_nonzero() == 0
        torch.testing.assert_close(one + two, all_of_them)


@pytest.mark.parametrize('name,longest_needed,margin', [('parity', 3, 20), ('multiplication', 6, 30)])
def test_each_length_is_searched_to_its_own_end(tmp_path, name, longest_needed, margin):
    """1 to T + 20, or + 30, by default; an option sets the margin, another one end for all lengths."""
    flags = PARITY | dict(task=name, max_length=3, test_lengths=(1, 3), interval=0)
    model, task, _, _ = load_model(run(tmp_path / 'run', **flags))
    runtime = start('cpu', 'float32', 'False')

    def ends(**options):
        steps = rules(model, task, runtime, **options)[1]
        return [max(row['step'] for row in steps if row['difficulty'] == n) for n in (1, 3)]

    assert ends() == [longest_needed // 3 + margin, longest_needed + margin]
    assert ends(loops_margin=2) == [longest_needed // 3 + 2, longest_needed + 2]
    assert ends(loops_margin=2, loops_min=7) == [7, max(7, longest_needed + 2)]
    assert ends(loops_max=9) == [9, 9]


def test_rows_are_means_over_all_examples_whatever_the_batch(tmp_path):
    model, task, _, _ = load_model(run(tmp_path / 'run', **PARITY))
    runtime = start('cpu', 'float32', 'False')
    whole, parts = (rules(model, task, runtime, batch_size=size, loops_max=8, threshold=0.5)
                    for size in (50, 16))
    confidences, right, _ = all_steps(model, runtime, task.eval_batch('test', 4, 0, 50), 8)
    steps = [row for row in whole[1] if row['difficulty'] == 4]
    for t, row in enumerate(steps):
        assert (row['step'], row['needed'], row['accuracy']) == (t + 1, 4, right[t].sum().item() / 50)
        assert row['confidence'] == pytest.approx(confidences[t].mean().item())
    for rows, others in zip(whole, parts, strict=True):
        for row, other in zip(rows, others, strict=True):
            assert row == pytest.approx(other)
