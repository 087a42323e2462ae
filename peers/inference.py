"""What is measured of trained models: decoding, the methods of Fan et al. 2025, the few-shot evaluator."""
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from downstream.adapters import load_language_model
from downstream.decoding import Prefix, Prompt, answer_batch, batches, common_length
from downstream.fewshot import TASKS, load_task, prompt_of
from engine.configurator import configure
from engine.errors import UserError
from engine.stopping import all_steps
from looped import LoopedGPT
from peers.cases import LM_SHAPE, Case, make_gpt2, make_looped, median_milliseconds
from sample import generate
from settings import Config, with_task
from stages import parse_stages
from tasks import make_task
from train import resolve

N_NEW = 256  # tokens decoded after a prompt of 16
DECODING_SHAPE = LM_SHAPE | dict(vocab_size=1024)

# Fan et al. 2025, App. D, Table 1: seconds at parity of length 50, batch 64.
PAPER_SECONDS = {
    'oracle': 0.1967, 'confidence': 0.2190, 'FAP': 0.1117, 'FAP-Pause': 0.1262,
    'NTP': 0.1229, 'NTP-Pause': 0.1315, 'NTP-Loop': 0.1527}

FEW_SHOT_BATCH = 32
FEW = 4  # prompts that are answered without any short cut: all of them would take minutes


# --- decoding

def decoding(runtime) -> Iterator[Case]:
    """In float32 and as sample.py does it, which takes bfloat16 where that is fast; the peer in float32."""
    gpt2 = make_gpt2(DECODING_SHAPE).to(runtime.device).eval()
    single = torch.randint(0, 1024, (1, 16), device=runtime.device)  # (B, T)
    batch = torch.randint(0, 1024, (16, 16), device=runtime.device)
    for dtype in dict.fromkeys(['float32', runtime.dtype]):
        case_runtime = replace(runtime, dtype=dtype)
        model = case_runtime.for_inference(make_looped('6x1', DECODING_SHAPE).to(runtime.device).eval())
        cached = partial(decode_gpt2, gpt2, cached=True)
        peers = [('transformers float32 with its cache', single, cached),
                 ('transformers float32 with its cache', batch, cached),
                 ('transformers float32 without a cache', single, partial(decode_gpt2, gpt2, cached=False))]
        if dtype == 'float32':
            peers.append(('ours without a cache', single, partial(decode_uncached, model)))

        for name, prompt, peer in peers:
            ours = partial(decode, model, prompt, case_runtime)
            yield Case('decoding 256 tokens', f'{dtype} batch {len(prompt)}, {name}', ours,
                       partial(peer, prompt), N_NEW * len(prompt), 'tokens/s')


def decode(model, prompt, runtime):
    with runtime.autocast():
        generate(model, prompt, N_NEW)


@torch.inference_mode()
def decode_uncached(model, prompt, n_new=N_NEW):
    """The definition: every token from all the tokens before it, prompt (B, T)."""
    for _ in range(n_new):
        logits = model(prompt, last_only=True)[:, -1]  # (B, V)
        prompt = torch.cat([prompt, logits.argmax(-1, keepdim=True)], 1)


@torch.inference_mode()
def decode_gpt2(gpt2, prompt, cached: bool):
    gpt2.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=N_NEW, do_sample=False,
                  pad_token_id=0, use_cache=cached)


# --- the methods of Fan et al. 2025

def inference_methods(path: str, options, runtime) -> dict[str, Callable]:
    """{method: a function that answers the batch once} for a task's configuration file.
    `options` has the length and the number of the problems, and T_max."""
    if not read_config(path)[1].adaptive_loops:
        raise UserError(f'{path} is no configuration of one of the tasks of Fan et al. 2025')
    test_length = f'--test_lengths={options.length}'
    config, task = read_config(path, test_length)
    layers = parse_stages(config.stages)[0].layers  # of the loop
    # Answers after the true T of each problem, and after the surest of T_max loops.
    model = random_model(config, runtime)
    batch = task.eval_batch('test', options.length, 0, options.batch)
    tokens, _, loops = runtime.put(batch)  # (B, T) and (B,)
    methods = {'oracle': partial(model, tokens, n_loops=loops),
               'confidence': partial(all_steps, model, runtime, batch, options.loops_max)}
    for method in ('FAP', 'FAP-Pause', 'NTP', 'NTP-Pause', 'NTP-Loop'):
        argv = [path, f'config/lengths/as_{method.lower().replace("-", "_")}.py', test_length]
        if method != 'NTP-Loop':  # all others have 20 times the layers of the task
            argv.append(f'--stages={20 * layers}x1')
        methods[method] = baseline_answer(*read_config(*argv), options, runtime)
    return methods


def read_config(*argv: str):
    """(configuration, task) of a training run, with the sizes of the model that the task needs."""
    config = configure(Config, argv, '', extend=with_task)[0]
    task = make_task(config)
    resolve(config, [], task)
    return config, task


def baseline_answer(config, task, options, runtime) -> Callable:
    """Full-answer prediction is one forward pass, next-token prediction decodes with the cache."""
    model = random_model(config, runtime)
    tokens, targets, _ = runtime.put(task.eval_batch('test', options.length, 0, options.batch))  # (B, T)
    if task.full_answer:
        return partial(model, tokens)

    # The prompt ends where the first target is scored; all answers get the length of the longest.
    scored = targets >= 0
    n_prompt = int(scored[0].int().argmax()) + 1
    return partial(generate, model, tokens[:, :n_prompt], int(scored.sum(1).max()))


def random_model(config, runtime) -> LoopedGPT:
    return LoopedGPT(config, torch.Generator().manual_seed(0)).to(runtime.device).eval()


# --- the few-shot evaluator

def few_shot_rates(name: str, count: int, repeats: int, runtime) -> tuple[dict, list[Prompt]]:
    """({method: examples a second}, the prompts) for `count` items of a generated task. All in float32."""
    n_new = TASKS[name].max_new
    loaded = load_task(name, TASKS[name].shots, 0, limit=count)
    texts = [prompt_of(item, loaded.shots) for item in loaded.items]
    with tempfile.TemporaryDirectory() as folder:
        save_random_gpt2(folder, n_embd=256, n_layer=6, n_head=8, n_positions=2048)
        lm = load_language_model(f'gpt2:{folder}', device=runtime.device)
        prompts = [Prompt(i, lm.encode(text)) for i, text in enumerate(texts)]
        methods = {'ours': partial(answer_all, lm, prompts, n_new, share=True),
                   'nothing shared': partial(answer_all, lm, prompts, n_new, share=False),
                   'one by one, uncached': partial(answer_one_by_one, lm.model, prompts[:FEW], n_new)}
        # The folder has to be there until the harness has loaded its model.
        methods |= harness_method(folder, texts, n_new, runtime)
        times = median_milliseconds(methods, runtime, repeats)

    rates = {method: 1000 * len(prompts) / milliseconds for method, milliseconds in times.items()}
    rates['one by one, uncached'] *= len(prompts[:FEW]) / len(prompts)
    return rates, prompts


def answer_all(lm, prompts: list[Prompt], n_new: int, share: bool):
    """All answers as the evaluator gets them; share=False computes all of every prompt."""
    rows = [prompt.tokens for prompt in prompts]
    shared = common_length(rows) if share else 0
    prefix = Prefix(lm.model, rows[0][:shared])
    stops = lm.stops(('\n',))
    for batch in batches(prompts, FEW_SHOT_BATCH):
        answer_batch(prefix, [prompt.tokens for prompt in batch], n_new, stops, share)


def answer_one_by_one(model, prompts: list[Prompt], n_new: int):
    for prompt in prompts:
        decode_uncached(model, torch.tensor([prompt.tokens], device=model.head.weight.device), n_new)


def harness_method(folder: str, texts: list[str], n_new: int, runtime) -> dict[str, Callable]:
    """lm-evaluation-harness's own backend on the same checkpoint and prompts; {} where it is missing."""
    try:
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM
    except ImportError:
        return {}
    model = HFLM(pretrained=folder, device=str(runtime.device), dtype='float32', batch_size=FEW_SHOT_BATCH)
    options = dict(until=['\n'], max_gen_toks=n_new, do_sample=False)
    requests = [Instance('generate_until', {}, (text, options), i) for i, text in enumerate(texts)]
    return {'lm-evaluation-harness, HF': partial(model.generate_until, requests, disable_tqdm=True)}


def save_random_gpt2(folder: str, **sizes):
    """Saves a GPT-2 of these sizes, with a tokenizer whose tokens are bytes, as transformers does."""
    import transformers
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=257, bos_token_id=256, eos_token_id=256, **sizes)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)

    letters = transformers.models.gpt2.tokenization_gpt2.bytes_to_unicode().values()
    vocabulary = {letter: number for number, letter in enumerate([*letters, '<|endoftext|>'])}
    Path(folder, 'vocab.json').write_text(json.dumps(vocabulary), encoding='utf-8')
    Path(folder, 'merges.txt').write_text('#version: 0.2\n', encoding='utf-8')
    transformers.GPT2Tokenizer(f'{folder}/vocab.json', f'{folder}/merges.txt').save_pretrained(folder)
