"""The 19 few-shot tasks of A (Tables 5 to 8): where their data is, how they are asked and scored.

A states the groups and 5 shots for math and primitives; prompts, splits and the metric of question answering
are not stated (README.md, D15). A record becomes one item, or one for each turn of a dialogue, whose
gold history stands in the prompt. A task takes as its shots the last items of some records of the train
split, drawn by a fixed seed: they are the same for all of its prompts.
"""
import json
import os
import re
from collections.abc import Callable
from functools import partial
from random import Random
from typing import NamedTuple

from downstream import metrics
from engine.configurator import UserError
from engine.files import import_datasets
from problems.variables import generate, to_text

EXAMPLES = 1000  # of each reasoning primitive


class Item(NamedTuple):
    """One question: `prompt` asks it, `answer` is what a shot says, `golds` what its metric takes.

    Items of one passage share `context`, and so the first part of their prompts; '' shares nothing.
    """
    prompt: str
    answer: str
    golds: list
    context: str = ''


class FewShotTask(NamedTuple):
    """`items(record)` makes the items of a record; `metric`, em, f1 or accuracy, is what group means take."""
    group: str
    items: Callable
    score: Callable
    metric: str
    shots: int
    max_new: int            # tokens of an answer at most, counted in GPT-2's
    path: str = ''          # on the hub; '' is generated here
    config: str | None = None
    split: str = 'validation'
    train: str = ''         # the split that shots come from; '': from the scored one, which they leave
    files: str = ''         # where the hub's files have to be named; {} stands for the split
    revision: str = ''      # where that is not the hub's main one
    keep: Callable = None   # which records count; None: all


# --- records -> items, fields as the data sets have them

def closed_book(question: str, golds: list, shown: str = '') -> list[Item]:
    return [Item(f'Question: {question}\nAnswer:', f' {shown or golds[0]}', golds)]


def trivia_qa(record):
    return closed_book(record['question'], record['answer']['aliases'], record['answer']['value'])


def natural_questions(record):
    return closed_book(record['question'] + '?', record['answer'])


def web_questions(record):
    return closed_book(record['question'], record['answers'])


def tydi_no_context(record):
    return closed_book(record['question'], record['answers']['text'])


def english(record) -> bool:
    return record['id'].startswith('english-')


def open_book(title: str, context: str, questions: list, golds: list, shown: list) -> list[Item]:
    """A passage and its questions in turn, each asked after the gold answers `shown` to those before."""
    text, items = (f'Title: {title}\n\n' if title else '') + f'Background: {context}\n\n', []
    for question, own, answer in zip(questions, golds, shown, strict=True):
        prompt = f'{text}Question: {question}\n\nAnswer:'
        items.append(Item(prompt, f' {answer}', own, context))
        text = f'{prompt} {answer}\n\n'
    return items


def tydi_gold_passage(record):
    golds = record['answers']['text']
    return open_book(record['title'], record['context'], [record['question']], [golds], golds[:1])


def squad_v2(record):
    golds = record['answers']['text'] or ['']
    title = record['title'].replace('_', ' ')
    shown = [golds[0] or 'unanswerable']
    return open_book(title, record['context'], [record['question']], [golds], shown)


def or_unanswerable(prediction: str, golds: list) -> dict:
    """What the shots print where there is no answer counts as none."""
    none = prediction.rstrip('.').lower() == 'unanswerable'
    return metrics.squad('' if none else prediction, golds)


def drop(record):
    golds = metrics.drop_golds(record['answer'], record['validated_answers'])
    prompt = f"Passage: {record['passage']}\nQuestion: {record['question']}\nAnswer:"
    return [Item(prompt, f" {', '.join(golds[0])}", golds, record['passage'])]


def quac(record):
    """A dialogue of the hub's parquet files or, as it is, of the official val_v0.2.json."""
    if 'paragraphs' in record:
        record = from_official_quac(record)
    context = record['context'].removesuffix('CANNOTANSWER').rstrip()
    title = f"{record['wikipedia_page_title']}, {record['section_title']}"
    return open_book(title, context, record['questions'], record['answers']['texts'],
                     record['orig_answers']['texts'])


def from_official_quac(article) -> dict:
    """The record of one article of the official file."""
    passage, = article['paragraphs']
    turns = passage['qas']
    return dict(context=passage['context'], wikipedia_page_title=article['title'],
                section_title=article['section_title'], questions=[turn['question'] for turn in turns],
                answers=dict(texts=[[gold['text'] for gold in turn['answers']] for turn in turns]),
                orig_answers=dict(texts=[turn['orig_answer']['text'] for turn in turns]))


def coqa(record):
    """Golds of a turn are the first answer and the additional ones, which train does not have."""
    first = record['answers']['input_text']
    others = [more['input_text'] for more in (record.get('additional_answers') or {}).values() if more]
    others = [more for more in others if len(more) == len(first)]
    golds = [list(own) for own in zip(first, *others, strict=True)]
    return open_book('', record['story'], record['questions']['input_text'], golds, first)


def problem(text: str, answer: str) -> list[Item]:
    return [Item(f'Q: {text.strip()}\nA:', f' The answer is {answer}.', [answer])]


def asdiv(record):
    """'9 (apples)' is answered by 9."""
    return problem(f"{record['body']} {record['question']}", record['answer'].split(' (')[0])


def mawps(record):
    return problem(record['input'], plain_number(record['target']))


def svamp(record):
    body = record['Body'].strip()
    body += '' if body.endswith(('.', '?', '!', ',')) else '.'
    return problem(f"{body} {record['Question']}", plain_number(record['Answer']))


def plain_number(value) -> str:
    """'5' of 5, 5.0 and '5.0'."""
    return str(value).strip().removesuffix('.0')


def primitive(form: str, depth: int, seed: int) -> list[Item]:
    """Variable assignments of a depth in one of the forms of variables.py."""
    rng, items = Random(f'{form} {depth} {seed}'), []
    for _ in range(EXAMPLES):
        prompt, answer = to_text(generate(rng, depth), form)
        items.append(Item(prompt, answer, [answer.strip()]))
    return items


# --- the tasks, in the order of A's Tables 5 to 8

closed = partial(FewShotTask, 'closed_book_qa', metric='em', shots=5, max_new=24)
opened = partial(FewShotTask, 'open_book_qa', metric='f1', max_new=48)
math = partial(FewShotTask, 'math_word_problems', score=metrics.math, metric='accuracy', shots=5, max_new=24)
mawps_set = partial(math, mawps, path='HuggingFaceTB/math_tasks', split='train')
reasoning = partial(FewShotTask, score=metrics.primitive, metric='accuracy', shots=5, max_new=6)
TYDI = 'google-research-datasets/tydiqa'

TASKS = {
    'triviaqa': closed(trivia_qa, metrics.triviaqa, path='mandarjoshi/trivia_qa', config='rc.nocontext',
                       train='train'),
    'tydiqa_nocontext': closed(tydi_no_context, metrics.squad, path=TYDI, config='secondary_task',
                               train='train', keep=english),
    'natural_questions': closed(natural_questions, metrics.nq, path='google-research-datasets/nq_open',
                                config='nq_open', train='train'),
    'web_questions': closed(web_questions, metrics.squad, path='stanfordnlp/web_questions', split='test',
                            train='train'),
    'tydiqa_goldp': opened(tydi_gold_passage, metrics.squad, shots=2, path=TYDI, config='secondary_task',
                           train='train', keep=english),
    'squad_v2': opened(squad_v2, or_unanswerable, shots=3, path='rajpurkar/squad_v2', config='squad_v2',
                       train='train'),
    'drop': opened(drop, metrics.drop, shots=2, path='EleutherAI/drop', train='train'),
    'quac': opened(quac, metrics.quac, shots=1, path='allenai/quac', train='train',
                   files='plain_text/{}/0000.parquet', revision='refs/convert/parquet'),
    'coqa': opened(coqa, metrics.coqa, shots=1, path='EleutherAI/coqa', train='train'),
    'asdiv': math(asdiv, path='EleutherAI/asdiv', config='asdiv'),
    'mawps_addsub': mawps_set(files='data/mawps/addsub.jsonl'),
    'mawps_multiarith': mawps_set(files='data/mawps/multiarith.jsonl'),
    'mawps_singleeq': mawps_set(files='data/mawps/singleeq.jsonl'),
    'mawps_singleop': mawps_set(files='data/mawps/singleop.jsonl'),
    'svamp': math(svamp, path='ChilleD/SVAMP', split='train+test'),
    'code_depth0': reasoning('reasoning_primitives', partial(primitive, 'code', 0)),
    'math_depth0': reasoning('reasoning_primitives', partial(primitive, 'math', 0)),
    'code_depth1': reasoning('reasoning_primitives', partial(primitive, 'code', 1)),
    'math_depth1': reasoning('reasoning_primitives', partial(primitive, 'math', 1)),
    # one line, a form that A's text shows; in none of its tables, so not among `all`
    'inline_depth0': reasoning('inline_primitives', partial(primitive, 'inline', 0)),
    'inline_depth1': reasoning('inline_primitives', partial(primitive, 'inline', 1)),
}
ALL = tuple(name for name, task in TASKS.items() if task.group != 'inline_primitives')


# --- loading

class Source(NamedTuple):
    """Records of a split and where they come from: a path, or the hub's name and revision."""
    records: list
    name: str


def read_split(name: str, split: str, data_dir: str = '', revision: str = '') -> Source | None:
    """A split of a task, from DATA_DIR/task/split.parquet, .jsonl or .json, or else from the hub.

    None where the folder has no such split. UserError where the data cannot be had.
    """
    task, datasets = TASKS[name], import_datasets()
    if not data_dir:
        files = task.files.format(split) or None
        return from_hub(datasets, task, split, files, revision or task.revision or None)
    folder, found = os.path.join(data_dir, name), []
    for part in split.split('+'):
        paths = [os.path.join(folder, f'{part}.{ending}') for ending in ('parquet', 'jsonl', 'json')]
        found += [path for path in paths if os.path.exists(path)][:1]
    if len(found) < len(split.split('+')):
        return None
    return Source([record for path in found for record in read_file(datasets, path)], ' '.join(found))


def read_file(datasets, path: str):
    """The records of a local file. A .json is a list, or a dict with the list as 'data' (QuAC's own)."""
    try:
        if path.endswith('.json'):
            with open(path, encoding='utf-8') as file:
                records = json.load(file)
            return records['data'] if isinstance(records, dict) else records
        kind = 'parquet' if path.endswith('.parquet') else 'json'
        return datasets.load_dataset(kind, data_files=path, split='train')
    except Exception as error:  # whatever readers of broken files raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f'{path} could not be read: {reason}') from None


def from_hub(datasets, task: FewShotTask, split: str, files: str | None, revision: str | None) -> Source:
    """Downloaded once and cached; the revision is recorded."""
    data_files = {split: files} if files else None
    try:
        builder = datasets.load_dataset_builder(task.path, task.config, data_files=data_files,
                                                revision=revision)
        builder.download_and_prepare()
        records = builder.as_dataset(split=split)
    except Exception as error:  # the hub's errors are many
        reason = type(error).__name__
        raise UserError(f'{task.path} ({split}) could not be fetched ({reason}); fetch it where there is a '
                        'network and name its folder: --data_dir=DIR holds TASK/SPLIT.parquet or .jsonl'
                        ) from None
    return Source(records, f'{task.path}@{builder.hash or revision or "main"}')


def items_of(name: str, task: FewShotTask, source: Source, split: str, number: int) -> list[Item]:
    """The items of a record, [] where it does not count; UserError names a field that is missing."""
    record = source.records[number]
    try:
        return task.items(record) if task.keep is None or task.keep(record) else []
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        empty = [key for key, value in record.items() if value is None]  # a column that other rows have
        field = error.args[0] if isinstance(error, KeyError) else ''.join(empty[:1])
        what = f'lacks {field!r}' if field else 'is not of the expected form'
        raise UserError(f'{name}: row {number} of {split} {what} ({source.name})') from None


# --- prompts

class Loaded(NamedTuple):
    """The scored items of a task, its shots as texts, and where they come from."""
    items: list
    shots: list
    source: str


def load(name: str, shots: int, seed: int, data_dir='', revision='', limit=0, every_language=False) -> Loaded:
    """A task's items (the first `limit`, 0 is all) and as many shots, drawn by `seed`.

    Where there is no train split the records of the shots leave the scored ones.
    """
    task = TASKS[name]._replace(keep=None) if every_language else TASKS[name]
    if not task.path:
        drawn = [item.prompt + item.answer for item in task.items(seed + 1)[:shots]]
        return Loaded(task.items(0)[:limit or None], drawn, 'generated')
    test = read_split(name, task.split, data_dir, revision)
    if test is None:
        raise UserError(f'{os.path.join(data_dir, name)} has no {task.split}.parquet, .jsonl or .json')
    train = read_split(name, task.train, data_dir, revision) if task.train and shots else None
    source, split = (train, task.train) if train else (test, task.split)
    chosen, size = {}, len(source.records)
    for number in Random(f'{name} {seed}').sample(range(size), size):
        if len(chosen) == shots:
            break
        if own := items_of(name, task, source, split, number):
            chosen[number] = own[-1].prompt + own[-1].answer
    scored = [number for number in range(len(test.records)) if train or number not in chosen]
    items = [item for number in scored for item in items_of(name, task, test, task.split, number)]
    if not items:
        raise UserError(f'{name}: no item is left to score in {test.name}')
    return Loaded(items[:limit or None], list(chosen.values()), test.name)


def baseline(name: str, items: list[Item]) -> float | str:
    """The share of a reasoning primitive's items that its first value answers, '' for other tasks."""
    if TASKS[name].path:
        return ''
    return sum(re.search(r'= ?(\d+)', item.prompt)[1] in item.golds for item in items) / len(items)


def prompt_of(item: Item, shots: list[str]) -> str:
    """Shots and question, a blank line between."""
    return '\n\n'.join([*shots, item.prompt])
