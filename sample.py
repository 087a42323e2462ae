"""Asks a trained model: the answer after every loop, cached decoding, greedy or sampled.

    python sample.py out/ghop_1x6                        # problems of the test split, with the true answers
    python sample.py out/ghop_1x6 --prompt=abcadbca...   # a problem of your own
"""
import sys
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from engine.checkpoint import load_model
from engine.configurator import UserError, configure, one_line_errors
from engine.runtime import start
from engine.stopping import LOOPS_MIN, confidence
from problems.lengths import N_EOS
from problems.task import IGNORE
from stages import is_looped, sweepable, trained_loops

TEXT_LENGTH = 200  # tokens by which a text is continued


@dataclass
class SampleConfig:
    # --- the problem
    prompt: str = ''                 # text in the task's form (default: problems of the test split)
    batch: int = 3                   # problems drawn, or samples of the prompt when temperature is above 0
    # --- the model
    checkpoint: str = 'best.pt'      # file in the run's folder: best.pt or ckpt.pt
    loops: tuple[int, ...] = ()      # loop counts to ask (default: every one up to twice the trained count)
    max_new_tokens: int = 0          # 0 takes the length of the true answer, or 200 of a text
    # --- decoding
    temperature: float = 0.0         # 0 is greedy
    top_k: int = 0                   # sample among the k likeliest tokens; 0 is all
    seed: int = 0                    # of sampling and of the problems drawn
    # --- where
    device: Literal['auto', 'cpu', 'cuda'] = 'auto'                # auto: a GPU if there is one
    dtype: Literal['auto', 'float32', 'bfloat16'] = 'auto'         # auto: bfloat16 where the hardware has it

    def check(self):
        if self.batch < 1 or min(self.max_new_tokens, self.top_k, self.temperature, self.seed) < 0:
            raise ValueError('batch must be at least 1; '
                             'max_new_tokens, top_k, temperature and seed not negative')
        if self.loops and min(self.loops) < 0:
            raise ValueError(f'loops={self.loops}: a loop count cannot be negative')


@torch.inference_mode()
def generate(model, tokens, n_new: int, n_loops=None, temperature=0.0, top_k=0, generator=None):
    """Continues tokens (B, T) by n_new, each from the cached keys and values of all before.

    Returns tokens and their probabilities, the model's own before temperature and top-k, both (B, n_new).
    """
    cache = model.new_cache(len(tokens), tokens.size(1) + n_new, n_loops)
    new, chances = [], []
    for _ in range(n_new):
        logits = model(tokens, n_loops=n_loops, cache=cache, last_only=True)[:, -1].float()  # (B, V)
        tokens = pick(logits, temperature, top_k, generator)
        new.append(tokens)
        chances.append(logits.softmax(-1).gather(1, tokens))
    return torch.cat(new, 1), torch.cat(chances, 1)


def pick(logits, temperature: float, top_k: int, generator):
    """A token (B, 1) of each row of logits (B, V): the likeliest at temperature 0, else drawn."""
    if temperature == 0:
        return logits.argmax(-1, keepdim=True)
    if top_k:
        least = logits.topk(min(top_k, logits.size(-1))).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    chances = (logits / temperature).softmax(-1)
    return torch.multinomial(chances.cpu(), 1, generator=generator).to(logits.device)


def problems(config, task) -> list[tuple[list, list]]:
    """(prompt, true answer) tokens of what is asked: the user's own prompt, or problems of the test split."""
    if config.prompt or task.per_token:
        try:
            prompt = task.encode(config.prompt)
            return [(prompt, [] if task.per_token else task.solve(prompt))]
        except ValueError as error:
            raise UserError(error) from None
    difficulties, first = task.evaluated('test'), config.seed * config.batch
    batch = task.eval_batch('test', difficulties[len(difficulties) // 2], first, first + config.batch)
    ends = (batch.targets != IGNORE).argmax(1)  # the prompt ends where the first target is scored
    return [(tokens[:end + 1].tolist(), targets[targets != IGNORE].tolist())
            for tokens, targets, end in zip(batch.tokens, batch.targets, ends, strict=True)]


def check_room(model, n_prompt: int, n_new: int):
    """UserError where learned positions end before the last of the new tokens is asked for."""
    most = model.config.block_size
    if model.config.positions == 'learned' and n_prompt + n_new - 1 > most:
        raise UserError(f'learned positions end at {most}: a prompt of {n_prompt} tokens leaves no room '
                        f'for {n_new}')


@torch.inference_mode()
def show_full(model, task, config, prompt: list, truth: list):
    """Prints a problem, its true answer and the model's full answer after every loop, with its confidence."""
    needed, n_new = int(task.steps(np.array([prompt]))[0]), len(truth) + N_EOS - 1
    check_room(model, len(prompt), n_new)
    counts = config.loops or range(1, int(1.25 * needed) + 2)
    print(f'\n{task.decode(prompt)}  true answer: {task.decode(truth)}')
    tokens = torch.tensor([prompt + [task.end] * (n_new - 1)], device=model.head.weight.device)
    scored = torch.arange(tokens.size(1), device=tokens.device)[None] >= len(prompt) - 1
    steps = [(t, logits.argmax(-1)[0, len(prompt) - 1:].tolist(), confidence(logits, scored).item())
             for t, logits in model.logits_by_loop(tokens, max(counts))]
    surest = min(steps[LOOPS_MIN - 1:] or steps, key=lambda step: step[2])[0]
    for t, answer, surprise in steps:
        if t in counts or len(steps) == 1:
            note = ('  T' * (t == needed) + '  stops here' * (t == surest)) * task.adaptive_loops
            print(f'  loops {t}: {task.decode(answer)}  cross entropy {surprise:.1e}{note}')


def continuations(model, config, prompt: list, n_new: int, counts, copies: int):
    """Yields (loop count, new tokens, their probabilities) for each loop count."""
    check_room(model, len(prompt), n_new)
    tokens = torch.tensor([prompt] * copies, device=model.head.weight.device)
    for n_loops in counts:
        generator = torch.Generator().manual_seed(config.seed)
        new, chances = generate(model, tokens, n_new, n_loops, config.temperature, config.top_k, generator)
        yield n_loops, new.tolist(), chances.prod(1).tolist()


def show(model, task, config, prompt: list, truth: list, counts):
    """Prints a problem, its true answer and the model's after every loop count."""
    copies = config.batch if config.prompt and config.temperature else 1
    found = list(continuations(model, config, prompt, config.max_new_tokens or len(truth), counts, copies))
    print(f'\n{task.decode(prompt)}  true answer: {task.decode(truth)}')
    for n_loops, answers, chances in found:
        name = 'answer' if n_loops is None else f'loops {n_loops}'
        note = '  (as trained)' if n_loops == trained_loops(model.stages) else ''
        for answer, chance in zip(answers, chances, strict=True):
            print(f'  {name}: {task.decode(answer)}  {100 * chance:.1f}%{note}')


def show_text(model, task, config, prompt: list, counts):
    """Prints a prompt and the model's continuations of it, `batch` of them where they are sampled."""
    copies, n_new = config.batch if config.temperature else 1, config.max_new_tokens or TEXT_LENGTH
    for n_loops, texts, _ in continuations(model, config, prompt, n_new, counts, copies):
        for text in texts:
            print(f'\n--- loops {n_loops or trained_loops(model.stages)}\n{task.decode(prompt + text)}')


def main(argv):
    config, folders = configure(SampleConfig, argv, __doc__, positional='folder')
    if len(folders) != 1:
        raise UserError(f'give one folder of a run, such as out/ghop_1x6, not {len(folders)}')
    runtime = start(config.device, config.dtype, 'False')
    model, task, step, trained = load_model(folders[0], runtime.device, config.checkpoint)
    runtime.for_inference(model)
    if config.loops and not is_looped(model.stages):
        raise UserError(f'{trained.stages} holds no loop, so --loops does not apply to it')
    counts = config.loops or [None]
    if not config.loops and sweepable(model.stages):
        counts = range(1, 2 * trained_loops(model.stages) + 1)
    asked = problems(config, task)
    print(f'{folders[0]}: {trained.stages} on {trained.task}, step {step}')
    with runtime.autocast():
        for prompt, truth in asked:
            if task.per_token:
                show_text(model, task, config, prompt, config.loops or [None])
            elif task.full_answer:
                show_full(model, task, config, prompt, truth)
            else:
                show(model, task, config, prompt, truth, counts)


if __name__ == '__main__':
    with one_line_errors():
        main(sys.argv[1:])
