"""A model's answers to the items of a task: prompts that fit its context, batches, files that survive a kill.

A file of answers holds the settings and then a line for each answer, all JSON. Each process writes its own
part; when all are done the main process makes one file of them.
"""
import glob
import hashlib
import json
import os
import sys
from typing import NamedTuple

import torch
from tqdm import tqdm

from downstream.adapters import LanguageModel
from downstream.decoding import Prefix, Prompt, answer_batch, batches, common_length
from downstream.fewshot import TASKS, LoadedTask, prompt_of
from engine.errors import UserError
from engine.files import write_atomically


class FittedPrompt(NamedTuple):
    prompt: Prompt
    dropped: int  # shots left out for length
    cut: bool     # whether it lost its beginning, where that was not enough


def fit_prompt(lm: LanguageModel, loaded: LoadedTask, number: int, n_new: int) -> FittedPrompt:
    """The prompt of an item, with room for n_new tokens in the model's context.

    One that is too long loses its first shots, then its beginning.
    """
    item = loaded.items[number]
    size = lm.model.config.block_size
    room = size - n_new + 1  # the last new token is never read
    if room < 1:
        raise UserError(f'an answer of {n_new} tokens leaves no room for a prompt in a context of {size}; '
                        'lower --max_new_tokens')

    for dropped in range(len(loaded.shots) + 1):
        tokens = lm.encode(prompt_of(item, loaded.shots[dropped:]))
        if len(tokens) <= room:
            return FittedPrompt(Prompt(number, tokens, item.context), dropped, False)
    return FittedPrompt(Prompt(number, tokens[-room:], item.context), dropped, True)


def answer_task(lm: LanguageModel, name: str, loaded: LoadedTask, n_loops, config, runtime,
                path: str) -> list[dict]:
    """The scored answers to all items, in order (for the main process): the lines of the file at `path`.

    Answers that are in the file already are not computed again. `config` is eval_downstream's.
    """
    n_new = config.max_new_tokens or TASKS[name].max_new * lm.scale
    settings = answer_settings(lm, name, loaded, n_loops, n_new, runtime)
    answers = read_answers([path, *parts_of(path)], settings)
    runtime.sum(0.0)  # all processes have read before any writes

    # Compute what no file holds.
    if len(answers) < len(loaded.items):
        prompts = []
        for number in range(len(loaded.items)):
            if number not in answers:
                prompts.append(fit_prompt(lm, loaded, number, n_new))
        new_answers = generate_answers(lm, name, prompts, n_loops, n_new, config, runtime)
        append_answers(f'{path}.part{runtime.rank}', settings, new_answers)
        runtime.sum(0.0)  # all have written
    if not runtime.main:
        return []

    # Make one file of the parts of all processes.
    parts = parts_of(path)
    answers = read_answers([path, *parts], settings)
    lines = score_answers(name, loaded, answers)
    if parts:
        write_lines(path, [settings, *lines])
        for part in parts:
            os.remove(part)
    return lines


def answer_settings(lm: LanguageModel, name: str, loaded: LoadedTask, n_loops, n_new: int, runtime) -> dict:
    """All that the answers depend on; items and shots stand as a hash."""
    items_and_shots = json.dumps(loaded).encode('utf-8')
    return {
        'model': lm.name,
        'step': lm.step,
        'loops': n_loops,
        'task': name,
        'shots': len(loaded.shots),
        'asked': hashlib.sha256(items_and_shots).hexdigest(),
        'max_new': n_new,
        'dtype': runtime.dtype,
    }


def generate_answers(lm: LanguageModel, name: str, prompts: list[FittedPrompt], n_loops, n_new: int, config,
                     runtime):
    """Yields this process's share of the answers, a batch at a time."""
    by_number = {fitted.prompt.number: fitted for fitted in prompts}
    all_batches = batches([fitted.prompt for fitted in prompts], config.batch_size)
    share = all_batches[runtime.rank::runtime.world]  # every process gets long and short prompts
    stops = lm.stops(('\n',))  # an answer is one line

    with torch.inference_mode(), runtime.autocast():
        beginning = common_beginning(prompts) if config.share_prefix else []
        prefix = Prefix(lm.model, beginning, n_loops)
        with tqdm(
            desc=f'{name}, loops {n_loops}',
            total=sum(map(len, share)),
            unit='item',
            leave=False,
            disable=not (runtime.main and sys.stderr.isatty()),
        ) as bar:
            for batch in share:
                rows = [prompt.tokens for prompt in batch]
                answers = answer_batch(prefix, rows, n_new, stops, config.share_prefix)
                bar.update(len(batch))
                for prompt, answer in zip(batch, answers, strict=True):
                    fitted = by_number[prompt.number]
                    first_line = lm.decode(answer).split('\n')[0]
                    yield {
                        'number': prompt.number,
                        'answer': first_line.strip(),
                        'prompt_tokens': len(prompt.tokens),
                        'dropped': fitted.dropped,
                        'cut': fitted.cut,
                    }


def common_beginning(prompts: list[FittedPrompt]) -> list[int]:
    """The tokens that all prompts with all of their shots begin with."""
    rows = [fitted.prompt.tokens for fitted in prompts if not fitted.dropped]
    if len(rows) < 2:  # nothing to share
        return []
    return rows[0][:common_length(rows)]


def score_answers(name: str, loaded: LoadedTask, answers: dict) -> list[dict]:
    """The answers in order, with golds and scores."""
    lines = []
    for number in sorted(answers):
        answer = answers[number]
        golds = loaded.items[number].golds
        scores = TASKS[name].score(answer['answer'], golds)
        lines.append(answer | {'golds': golds} | scores)
    return lines


# --- files of answers

def parts_of(path: str) -> list[str]:
    return glob.glob(f'{glob.escape(path)}.part*')


def json_line(value: dict) -> str:
    return json.dumps(value, ensure_ascii=False) + '\n'


def write_lines(path: str, lines: list[dict]):
    text = ''.join(map(json_line, lines))
    write_atomically(path, lambda file: file.write(text))


def append_answers(path: str, settings: dict, answers):
    """Writes answers as they come, behind those of these settings that the file holds."""
    known = read_answers([path], settings)
    write_lines(path, [settings, *known.values()])  # without a line that a kill cut
    with open(path, 'a', encoding='utf-8') as file:
        for answer in answers:
            file.write(json_line(answer))
            file.flush()  # a kill cuts one line at most


def read_answers(paths: list[str], settings: dict) -> dict:
    """{number: answer} of those files that were made under these settings."""
    answers = {}
    for path in filter(os.path.exists, paths):
        with open(path, encoding='utf-8') as file:
            lines = file.read().split('\n')

        if lines[0] + '\n' != json_line(settings):  # other answers
            continue
        for line in lines[1:]:
            try:
                answer = json.loads(line)
            except ValueError:  # not written to its end before a kill
                continue
            answers[answer['number']] = answer
    return answers
