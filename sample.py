"""Asks a trained model: the answer after every loop, cached decoding, greedy or sampled.

    python sample.py out/ghop_1x6                        # problems of the test split, with the true answers
    python sample.py out/ghop_1x6 --prompt=abcadbca...   # a problem of your own
"""
import sys
from dataclasses import dataclass
from typing import Literal

import torch

from checkpoint import load_model
from configurator import UserError, configure, one_line_errors
from runtime import pick_device
from stages import is_looped, trained_loops


@dataclass
class SampleConfig:
    # --- the problem
    prompt: str = ''                 # text in the task's form (default: problems of the test split)
    batch: int = 3                   # problems drawn, or samples of the prompt when temperature is above 0
    # --- the model
    checkpoint: str = 'best.pt'      # file in the run's folder: best.pt or ckpt.pt
    loops: tuple[int, ...] = ()      # loop counts to ask (default: every one up to twice the trained count)
    max_new_tokens: int = 0          # 0 takes the length of the task's answer
    # --- decoding
    temperature: float = 0.0         # 0 is greedy
    top_k: int = 0                   # sample among the k likeliest tokens; 0 is all
    seed: int = 0                    # of sampling and of the problems drawn
    device: Literal['auto', 'cpu', 'cuda'] = 'auto'                # auto: a GPU if there is one

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
        logits = model(tokens, n_loops=n_loops, cache=cache)[:, -1].float()  # (B, V)
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


def problems(config, task):
    """Prompts (B, T) to ask: the user's own, or problems of the test split."""
    if not config.prompt:
        first = config.seed * config.batch
        return task.eval_batch('test', task.difficulties[-1], first, first + config.batch).tokens
    try:
        tokens = task.encode(config.prompt)
    except ValueError as error:
        raise UserError(error) from None
    return [tokens] * (config.batch if config.temperature else 1)


def main(argv):
    config, folders = configure(SampleConfig, argv, __doc__, positional='folder')
    if len(folders) != 1:
        raise UserError(f'give one folder of a run, such as out/ghop_1x6, not {len(folders)}')
    device = pick_device(config.device)
    model, task, step, trained = load_model(folders[0], device, config.checkpoint)
    looped = is_looped(model.stages)
    if config.loops and not looped:
        raise UserError(f'{trained.stages} holds no loop, so --loops does not apply to it')
    prompts = torch.as_tensor(problems(config, task), device=device)
    n_trained = trained_loops(model.stages)
    counts = config.loops or range(1, 2 * n_trained + 1)
    print(f'{folders[0]}: {trained.stages} on {trained.task}, step {step}')
    answers = {}
    for n_loops in counts if looped else [None]:
        generator = torch.Generator().manual_seed(config.seed)
        answers[n_loops] = generate(model, prompts, config.max_new_tokens or task.answer_length, n_loops,
                                    config.temperature, config.top_k, generator)
    truths = task.solve(prompts.cpu().numpy())
    for row, (prompt, truth) in enumerate(zip(prompts.tolist(), truths, strict=True)):
        print(f'\n{task.decode(prompt)}  true answer: {task.decode(truth)}')
        for n_loops, (tokens, chances) in answers.items():
            name = 'answer' if n_loops is None else f'loops {n_loops}'
            note = '  (as trained)' if n_loops == n_trained else ''
            percent = 100 * chances[row].prod().item()
            print(f'  {name}: {task.decode(tokens[row].tolist())}  {percent:.1f}%{note}')


if __name__ == '__main__':
    with one_line_errors():
        main(sys.argv[1:])
