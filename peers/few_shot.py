"""The few-shot evaluator on a small GPT-2 of transformers, beside the same without its short cuts.

Where lm-evaluation-harness is installed, its own backend answers the same prompts. All in float32.
"""
import tempfile
from collections.abc import Callable
from functools import partial

import torch

from downstream.adapters import load_language_model
from downstream.decoding import Prefix, Prompt, answer_batch, batches, common_length
from downstream.fewshot import TASKS, load_task, prompt_of
from peers.cases import median_milliseconds
from peers.models import save_random_gpt2

SIZES = dict(n_embd=256, n_layer=6, n_head=8, n_positions=2048)
BATCH = 32
FEW = 4  # prompts that are answered without any short cut: all of them would take minutes


def few_shot_rates(name: str, count: int, repeats: int, runtime) -> tuple[dict, list[Prompt]]:
    """({method: examples a second}, the prompts) for `count` items of a generated task, with its shots."""
    task = TASKS[name]
    loaded = load_task(name, task.shots, 0, limit=count)
    texts = [prompt_of(item, loaded.shots) for item in loaded.items]
    with tempfile.TemporaryDirectory() as folder:
        save_random_gpt2(folder, **SIZES)
        lm = load_language_model(f'gpt2:{folder}', device=runtime.device)
        prompts = []
        for i, text in enumerate(texts):
            prompts.append(Prompt(i, lm.encode(text)))

        methods = {
            'ours': partial(answer_all, lm, prompts, task.max_new, share=True),
            'nothing shared': partial(answer_all, lm, prompts, task.max_new, share=False),
            'one by one, uncached': partial(answer_one_by_one, lm, prompts[:FEW], task.max_new),
        }
        # The folder has to be there until the harness has loaded its model.
        harness = harness_method(folder, texts, task.max_new, runtime)
        if harness is not None:
            methods['lm-evaluation-harness, HF'] = harness
        times = median_milliseconds(methods, runtime, repeats)

    rates = {}
    for method, milliseconds in times.items():
        answered = len(prompts)
        if method == 'one by one, uncached':
            answered = len(prompts[:FEW])
        rates[method] = 1000 * answered / milliseconds
    return rates, prompts


def answer_all(lm, prompts: list[Prompt], n_new: int, share: bool):
    """All answers as the evaluator gets them; share=False computes all of every prompt."""
    rows = tokens_of(prompts)
    shared = common_length(rows) if share else 0
    prefix = Prefix(lm.model, rows[0][:shared])
    stops = lm.stops(('\n',))
    for batch in batches(prompts, BATCH):
        answer_batch(prefix, tokens_of(batch), n_new, stops, share)


def tokens_of(prompts: list[Prompt]) -> list[list]:
    return [prompt.tokens for prompt in prompts]


def answer_one_by_one(lm, prompts: list[Prompt], n_new: int):
    """The definition: every token from all the tokens before it."""
    for prompt in prompts:
        tokens = list(prompt.tokens)
        for _ in range(n_new):
            logits = lm.model(torch.tensor([tokens]), last_only=True)  # (1, 1, V)
            tokens.append(logits[0, -1].argmax().item())


def harness_method(folder: str, texts: list[str], n_new: int, runtime) -> Callable | None:
    """lm-evaluation-harness's own backend on the same checkpoint and prompts; None where it is missing."""
    try:
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM
    except ImportError:
        return None
    model = HFLM(pretrained=folder, device=str(runtime.device), dtype='float32', batch_size=BATCH)
    options = dict(until=['\n'], max_gen_toks=n_new, do_sample=False)
    requests = []
    for i, text in enumerate(texts):
        requests.append(Instance('generate_until', {}, (text, options), i))
    return partial(model.generate_until, requests, disable_tqdm=True)
