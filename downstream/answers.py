"""A model's answers to the items of a task: prompts that fit its context, batches, files that survive a kill.
A file of answers holds the settings and then a line for each answer, all JSON. Each process writes its own
part; when all are done the main process makes one file of them."""
import glob
import hashlib
import json
import os
import sys

import torch
from tqdm import tqdm

from downstream.decoding import Prefix, Prompt, answer_batch, batches, common_length
from downstream.fewshot import TASKS, prompt_of
from engine.errors import UserError
from engine.files import write_atomically


def fit_prompt(lm, loaded, number, n_new) -> Prompt:
    """The prompt of an item, with room for n_new tokens: a long one loses its first shots, then its start."""
    item = loaded.items[number]
    size = lm.model.config.block_size
    room = size - n_new + 1  # the last new token is never read
    if room < 1:
        raise UserError(f'an answer of {n_new} tokens leaves no room for a prompt in a context of {size}; '
                        'lower --max_new_tokens')

    for dropped in range(len(loaded.shots) + 1):
        tokens = lm.encode(prompt_of(item, loaded.shots[dropped:]))
        if len(tokens) <= room:
            return Prompt(number, tokens, item.context, dropped)
    return Prompt(number, tokens[-room:], item.context, dropped, cut=True)


def answer_task(lm, name, loaded, n_loops, n_new, config, runtime, path) -> list:
    """The scored answers to all items, in order (for the main process): the lines of the file at `path`.
    lm is a LanguageModel, loaded a LoadedTask, config that of eval_downstream. What the file holds already
    is not computed again."""
    asked = hashlib.sha256(json.dumps(loaded).encode('utf-8')).hexdigest()
    settings = {  # all that the answers depend on
        'model': lm.name, 'weights': lm.weights, 'step': lm.step, 'loops': n_loops, 'task': name,
        'shots': len(loaded.shots), 'asked': asked, 'max_new': n_new, 'dtype': runtime.dtype}
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

    # Make one file of the parts of all processes, with golds and scores.
    parts = parts_of(path)
    answers = read_answers([path, *parts], settings)
    lines = []
    for number, item in enumerate(loaded.items):
        scores = TASKS[name].score(answers[number]['answer'], item.golds)
        lines.append(answers[number] | {'golds': item.golds} | scores)
    if parts:
        write_lines(path, [settings, *lines])
        for part in parts:
            os.remove(part)
    return lines


def generate_answers(lm, name, prompts, n_loops, n_new, config, runtime):
    """Yields this process's share of the answers, a batch at a time."""
    share = batches(prompts, config.batch_size)[runtime.rank::runtime.world]  # of long and short prompts
    stops = lm.stops(('\n',))  # an answer is one line
    whole = [prompt.tokens for prompt in prompts if not prompt.dropped]
    beginning = []  # of all prompts that have all of their shots
    if config.share_prefix and len(whole) > 1:
        beginning = whole[0][:common_length(whole)]

    bar = tqdm(desc=f'{name}, loops {n_loops}', total=sum(map(len, share)), unit='item', leave=False,
               disable=not (runtime.main and sys.stderr.isatty()))
    with torch.inference_mode(), runtime.autocast(), bar:
        prefix = Prefix(lm.model, beginning, n_loops)
        for batch in share:
            rows = [prompt.tokens for prompt in batch]
            answers = answer_batch(prefix, rows, n_new, stops, config.share_prefix)
            bar.update(len(batch))
            for prompt, answer in zip(batch, answers, strict=True):
                text = lm.decode(answer).split('\n')[0].strip()
                yield {'number': prompt.number, 'answer': text, 'prompt_tokens': len(prompt.tokens),
                       'dropped': prompt.dropped, 'cut': prompt.cut}


# --- files of answers

def parts_of(path: str) -> list:
    return glob.glob(f'{glob.escape(path)}.part*')


def json_line(value: dict):
    return json.dumps(value, ensure_ascii=False) + '\n'


def write_lines(path: str, lines: list):
    write_atomically(path, lambda file: file.writelines(map(json_line, lines)))


def append_answers(path: str, settings: dict, answers):
    """Writes answers as they come, behind those of these settings that the file holds."""
    known = read_answers([path], settings)
    write_lines(path, [settings, *known.values()])  # without a line that a kill cut
    with open(path, 'a', encoding='utf-8') as file:
        for answer in answers:
            file.write(json_line(answer))
            file.flush()  # a kill cuts one line at most


def read_answers(paths: list, settings: dict) -> dict:
    """{number: answer} of files made under these settings, without lines that are not whole."""
    answers = {}
    for path in filter(os.path.exists, paths):
        with open(path, 'rb') as file:
            first, *lines = file.read().split(b'\n')
        if first + b'\n' != json_line(settings).encode('utf-8'):  # other answers
            continue
        for line in lines:
            try:
                answer = json.loads(line.decode('utf-8'))
                answers[answer['number']] = answer
            except (ValueError, TypeError, KeyError):  # a kill cut it
                continue
    return answers
