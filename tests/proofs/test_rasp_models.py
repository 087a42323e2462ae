"""The programs of Fan et al. 2025 as weights, against the programs."""
import pytest
import torch

from problems import rasp
from problems.lengths import LENGTH_TASKS
from proofs.rasp_models import RASP_MODELS, WORDS


@pytest.mark.parametrize('name', RASP_MODELS)
def test_programs_agree_with_rasp_after_every_iteration(name):
    task, model = LENGTH_TASKS[name](max_length=9), RASP_MODELS[name](9)
    words = rasp.Tokens(task.words)
    assert list(WORDS) == task.words[:len(WORDS)]
    for n in range(1, 10):
        batch = task.eval_batch('test', n, 0, 30)
        last = n + 3 if name == 'parity' else n  # parity stays as it is from n on
        for t, logits in model.logits_by_loop(torch.as_tensor(batch.tokens).long(), last):
            ours = logits.argmax(-1).numpy()[:, n:]
            theirs = [rasp.PROGRAMS[name](row, t, words)[n:] for row in batch.tokens]
            assert (ours == theirs).all()
        scored = batch.targets[:, n:] >= 0
        assert (ours == batch.targets[:, n:])[scored].all()
