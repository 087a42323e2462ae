"""Shows what a trained model answers after every loop; continues a text.

    python sample.py out/ghop_1x6                        # problems of the test split, with the true answers
    python sample.py out/ghop_1x6 --prompt=abcadbca...   # a problem of your own
"""
import sys
from dataclasses import dataclass
from operator import eq
from typing import Literal

import numpy as np
import torch

from engine.checkpoint import load_model
from engine.configurator import Amount, Natural, Positive, configure
from engine.errors import UserError, one_line_errors
from engine.evaluation import LoopCounts, logits_at, loop_counts_to_try
from engine.runtime import start
from engine.stopping import confidence
from problems.task import IGNORE
from stages import is_looped, sweepable, trained_loops

TEXT_LENGTH = 200  # tokens by which a text is continued


@dataclass
class SampleConfig:
    # --- the problem
    prompt: str = ''                 # text in the task's form (default: problems of the test split)
    batch: Positive = 3              # problems drawn, or samples of the prompt when temperature is above 0
    # --- the model
    checkpoint: str = 'best.pt'      # file in the run's folder: best.pt or ckpt.pt
    loops: LoopCounts = ()           # loop counts to show (default: 1 to twice the trained count, or past T)
    max_new_tokens: Natural = 0      # 0 takes the length of the true answer, or 200 of a text
    # --- decoding
    temperature: Amount = 0.0        # 0 is greedy, else 0.001 to 1000
    top_k: Natural = 0               # sample among the k likeliest tokens; 0 is all
    seed: Natural = 0                # of sampling and of the problems drawn
    # --- where
    device: Literal['auto', 'cpu', 'cuda'] = 'auto'                # auto: a GPU if there is one
    dtype: Literal['auto', 'float32', 'bfloat16'] = 'auto'         # auto: bfloat16 where the hardware has it

    def check(self):
        if self.temperature and not 0.001 <= self.temperature <= 1000:
            raise ValueError(f'temperature={self.temperature} must be 0, which is greedy, or 0.001 to 1000')
        if max(self.seed, self.batch) >= 2 ** 31:
            raise ValueError(f'seed={self.seed} and batch={self.batch} must be below 2^31')


@torch.inference_mode()
def generate(model, tokens, n_new: int, n_loops=None, temperature=0.0, top_k=0, generator=None):
    """Continues tokens (B, T) by n_new, each from the cached keys and values of all before.
    Returns tokens and their probabilities, before temperature and top-k act on them, both (B, n_new)."""
    cache = model.new_cache(len(tokens), tokens.size(1) + n_new, n_loops)
    new_tokens = []
    probabilities = []
    for _ in range(n_new):
        logits = model(tokens, n_loops=n_loops, cache=cache, last_only=True)  # (B, 1, V)
        logits = logits[:, -1].float()  # (B, V)
        tokens = next_token(logits, temperature, top_k, generator)  # (B, 1)
        new_tokens.append(tokens)
        probabilities.append(logits.softmax(-1).gather(1, tokens))  # (B, 1)
    return torch.cat(new_tokens, 1), torch.cat(probabilities, 1)


def next_token(logits, temperature: float, top_k: int, generator):
    """A token (B, 1) of each row of logits (B, V): the likeliest at temperature 0, else drawn."""
    if temperature == 0:
        return logits.argmax(-1, keepdim=True)
    if top_k:
        k = min(top_k, logits.size(-1))
        likeliest = logits.topk(k).values  # (B, k), sorted
        logits = logits.masked_fill(logits < likeliest[:, -1:], -torch.inf)
    probabilities = (logits / temperature).softmax(-1)
    drawn = torch.multinomial(probabilities.cpu(), 1, generator=generator)
    return drawn.to(logits.device)


def choose_problems(config, task) -> list[tuple[list, list]]:
    """(prompt, true answer) tokens: of the user's prompt, or of problems of the test split."""
    if config.prompt or task.per_token:
        try:
            prompt = task.encode(config.prompt)
            truth = [] if task.per_token else task.solve(prompt)
        except ValueError as error:
            raise UserError(error) from None
        if task.full_answer:
            truth += [task.end] * (task.n_eos - 1)
        return [(prompt, truth)]

    difficulties = task.evaluated('test')
    difficulty = difficulties[len(difficulties) // 2]
    first = config.seed * config.batch
    batch = task.eval_batch('test', difficulty, first, first + config.batch)
    problems = []
    for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
        is_scored = targets != IGNORE  # (T,)
        prompt = tokens[:is_scored.argmax() + 1]  # it ends where the first target is scored
        problems.append((prompt.tolist(), targets[is_scored].tolist()))
    return problems


def decoded_answers(model, config, prompt: list, n_new: int, loop_counts, copies: int):
    """Yields (loop count, new tokens, their probability), `copies` decodings for each loop count."""
    tokens = torch.tensor([prompt] * copies, device=model.head.weight.device)  # (copies, T)
    for n_loops in loop_counts:
        generator = torch.Generator().manual_seed(config.seed)
        new_tokens, probabilities = generate(model, tokens, n_new, n_loops, config.temperature, config.top_k,
                                             generator)
        products = probabilities.prod(1)  # (copies,)
        for row, product in zip(new_tokens, products, strict=True):
            yield n_loops, row.tolist(), product.item()


@torch.inference_mode()
def full_answers(model, task, prompt: list, loop_counts):
    """Yields (loop count, tokens, cross entropy) of answers read in one go; see stopping.confidence."""
    n_read = task.room(prompt) - 1
    tokens = torch.tensor([prompt + n_read * [task.end]])  # (1, T)
    tokens = tokens.to(model.head.weight.device)
    answered = torch.ones_like(tokens, dtype=torch.bool)
    answered[:, :len(prompt) - 1] = False
    for n_loops, logits in logits_at(model, tokens, loop_counts):
        answer = logits.argmax(-1)[answered]
        yield n_loops, answer.tolist(), confidence(logits, answered).item()


def adaptive_answers(model, task, prompt: list, loop_counts):
    """(full answers, notes) by loop count; where no counts are given, up to a little more than T.
    The notes say which count is T and at which one the rule of the highest confidence stops."""
    needed = int(task.steps(np.array([prompt]))[0])  # T
    searched = range(1, needed + task.loops_margin + 1)
    tried = sorted({*loop_counts, *searched})
    answers = list(full_answers(model, task, prompt, tried))
    can_stop = [answer for answer in answers if answer[0] in searched]
    surest = min(can_stop, key=lambda answer: answer[2])[0]
    shown = loop_counts or (*range(1, needed * 5 // 4 + 2), surest)

    notes = {needed: 'as needed', surest: 'stops here'}
    if surest == needed:
        notes[needed] = 'as needed, stops here'
    return [answer for answer in answers if answer[0] in shown], notes


def show(task, prompt: list, truth: list, answers, measure: str, notes: dict):
    """Prints a problem and the answers (loop count, tokens, value of the measure), aligned.
    It is right where it agrees with the true answer as far as both go. notes: what to say of a loop count."""
    print(f'\n{task.decode(prompt)}  true answer: {task.decode(truth)}')
    lines = []  # label, answer, how sure the model is, right or wrong
    for n_loops, tokens, value in answers:
        label = 'answer' if n_loops is None else f'loops {n_loops}'
        if n_loops in notes:
            label += f' ({notes[n_loops]})'
        is_right = all(map(eq, tokens, truth))
        verdict = 'right' if is_right else 'wrong'
        lines.append([f'{label}:', task.decode(tokens), measure.format(value), verdict])

    # as wide as the widest of their column
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print(' ', '  '.join(map(str.ljust, line, widths)))


def main(argv):
    config, folders = configure(SampleConfig, argv, __doc__, positional='folder')
    if len(folders) != 1:
        raise UserError(f'give one folder of a run, such as out/ghop_1x6, not {len(folders)}')
    folder = folders[0]
    runtime = start(config.device, config.dtype, 'False')
    model, task, step, train_config = load_model(folder, runtime.device, config.checkpoint)
    runtime.for_inference(model)
    if config.loops and not is_looped(model.stages):
        raise UserError(f'{train_config.stages} holds no loop, so --loops does not apply to it')

    problems = choose_problems(config, task)
    loops_text = ''
    if task.adaptive_loops:
        loops_text = ' with as many loops as a problem needs'
    elif sweepable(model.stages):
        loops_text = f' with {trained_loops(model.stages)} loops'
    print(f'{folder}: {train_config.stages} on {train_config.task}, trained for {step} steps{loops_text}')
    with runtime.autocast():
        for prompt, truth in problems:
            answer_problem(model, task, config, prompt, truth)


def answer_problem(model, task, config, prompt: list, truth: list):
    n_new = config.max_new_tokens or len(truth) or TEXT_LENGTH
    if task.full_answer:
        n_new = task.room(prompt)
    check_context(model.config, len(prompt), n_new)

    copies = 1
    if config.temperature and (config.prompt or task.per_token):
        copies = config.batch
    trained = trained_loops(model.stages)
    if task.per_token:
        loop_counts = config.loops or [None]
        for n_loops, tokens, _ in decoded_answers(model, config, prompt, n_new, loop_counts, copies):
            text = task.decode(prompt + tokens)
            print(f'\n--- loops {trained if n_loops is None else n_loops}\n{text}')
        return

    loop_counts = loop_counts_to_try(model.stages, config.loops)
    notes = {trained: 'as trained'}
    measure = 'cross entropy {:.1e}'
    if task.adaptive_loops:
        answers, notes = adaptive_answers(model, task, prompt, config.loops)
    elif task.full_answer:
        answers = full_answers(model, task, prompt, loop_counts)
    else:
        answers = decoded_answers(model, config, prompt, n_new, loop_counts, copies)
        measure = 'probability {:6.1%}'
    show(task, prompt, truth, answers, measure, notes)


def check_context(config, n_prompt: int, n_new: int):
    """UserError where a model has no positions for so many tokens, a note where it was trained on fewer."""
    most = config.block_size
    n_read = n_prompt + n_new - 1
    if n_read > most and config.positions == 'learned':
        raise UserError(f'learned positions end at {most}: a prompt of {n_prompt} tokens leaves no room '
                        f'for {n_new}')
    if n_read > most and config.positions == 'rope':
        print(f'note: the model was trained on {most} tokens at a time, and these are {n_read}')


if __name__ == '__main__':
    with one_line_errors():
        main(sys.argv[1:])
