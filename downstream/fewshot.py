"""The 19 few-shot tasks of Saunshi et al. 2025 (Tables 5 to 8): their data, shots and scores.
The paper states the groups and 5 shots for math and primitives. Prompts (downstream/questions.py), splits and
the metric of question answering are chosen here (docs/deviations.md, D15). The shots of a task are the last
items of some records of the train split, drawn by a fixed seed, and the same for all of its prompts."""
import json
import os
import re
from collections.abc import Callable
from functools import partial
from random import Random
from typing import NamedTuple

from downstream import metrics, questions
from engine.errors import UserError, first_line
from engine.files import import_datasets

TYDI = dict(path='google-research-datasets/tydiqa', config='secondary_task', train='train',
            keep=questions.is_english)


class FewShotTask(NamedTuple):
    group: str
    items: Callable         # record -> list[Item]
    score: Callable         # (prediction, golds) -> dict of scores, one of downstream/metrics.py
    metric: str             # em, f1 or accuracy: the score that the mean of a group takes
    shots: int
    max_new: int            # most tokens of an answer, counted in GPT-2's
    path: str = ''          # on the hub; '' is generated here
    config: str | None = None
    split: str = 'validation'
    train: str = ''         # the split that shots come from; '': from the scored one, which they leave
    files: str = ''         # where the hub's files have to be named; {} stands for the split
    revision: str = ''      # where that is not the hub's main one
    keep: Callable = None   # record -> whether it counts; None: all do


def squad_or_unanswerable(prediction, golds):
    """SQuAD v2's scores; 'unanswerable', which the shots say, with any marks around it, is no answer."""
    says_none = re.fullmatch(r'[\W_]*unanswerable[\W_]*', prediction, re.IGNORECASE)
    return metrics.squad('' if says_none else prediction, golds)


# --- the tasks, in the order of the columns of Tables 5 to 8

closed_book_task = partial(FewShotTask, 'closed_book_qa', metric='em', shots=5, max_new=24)
open_book_task = partial(FewShotTask, 'open_book_qa', metric='f1', max_new=48)
math_task = partial(FewShotTask, 'math_word_problems', score=metrics.word_problem, metric='accuracy', shots=5,
                    max_new=24)
mawps_task = partial(math_task, questions.from_mawps, path='HuggingFaceTB/math_tasks', split='train')
primitive_task = partial(FewShotTask, score=metrics.primitive, metric='accuracy', shots=5, max_new=6)

TASKS = {
    'triviaqa': closed_book_task(questions.from_triviaqa, metrics.triviaqa, path='mandarjoshi/trivia_qa',
                                 config='rc.nocontext', train='train'),
    'tydiqa_nocontext': closed_book_task(questions.from_tydi_no_context, metrics.squad, **TYDI),
    'natural_questions': closed_book_task(questions.from_natural_questions, metrics.nq,
                                          path='google-research-datasets/nq_open', config='nq_open',
                                          train='train'),
    'web_questions': closed_book_task(questions.from_web_questions, metrics.squad,
                                      path='stanfordnlp/web_questions', split='test', train='train'),
    'tydiqa_goldp': open_book_task(questions.from_tydi_gold_passage, metrics.squad, shots=2, **TYDI),
    'squad_v2': open_book_task(questions.from_squad_v2, squad_or_unanswerable, shots=3,
                               path='rajpurkar/squad_v2', config='squad_v2', train='train'),
    'drop': open_book_task(questions.from_drop, metrics.drop, shots=2, path='EleutherAI/drop', train='train'),
    'quac': open_book_task(questions.from_quac, metrics.quac, shots=1, path='allenai/quac', train='train',
                           files='plain_text/{}/0000.parquet', revision='refs/convert/parquet'),
    'coqa': open_book_task(questions.from_coqa, metrics.coqa, shots=1, path='EleutherAI/coqa', train='train'),
    'asdiv': math_task(questions.from_asdiv, path='EleutherAI/asdiv', config='asdiv'),
    'mawps_addsub': mawps_task(files='data/mawps/addsub.jsonl'),
    'mawps_multiarith': mawps_task(files='data/mawps/multiarith.jsonl'),
    'mawps_singleeq': mawps_task(files='data/mawps/singleeq.jsonl'),
    'mawps_singleop': mawps_task(files='data/mawps/singleop.jsonl'),
    'svamp': math_task(questions.from_svamp, path='ChilleD/SVAMP', split='train+test'),
    'code_depth0': primitive_task('reasoning_primitives', partial(questions.generate_primitives, 'code', 0)),
    'math_depth0': primitive_task('reasoning_primitives', partial(questions.generate_primitives, 'math', 0)),
    'code_depth1': primitive_task('reasoning_primitives', partial(questions.generate_primitives, 'code', 1)),
    'math_depth1': primitive_task('reasoning_primitives', partial(questions.generate_primitives, 'math', 1)),
    # one line, a form that the paper's text shows; in none of its tables, so not among `all`
    'inline_depth0': primitive_task('inline_primitives', partial(questions.generate_primitives, 'inline', 0)),
    'inline_depth1': primitive_task('inline_primitives', partial(questions.generate_primitives, 'inline', 1)),
}
ALL = tuple(name for name, task in TASKS.items() if task.group != 'inline_primitives')


# --- reading records

class Source(NamedTuple):
    """The records of a split and where they come from: a path, or the hub's name and revision."""
    split: str
    records: list
    name: str


def read_split(name: str, split: str, data_dir='', revision=''):
    """A split of a task, from DATA_DIR/task/split.parquet, .jsonl or .json, or the hub; None if missing."""
    datasets = import_datasets()
    if not data_dir:
        return read_from_hub(datasets, TASKS[name], split, revision)
    records = []
    paths = []
    for part in split.split('+'):
        base = os.path.join(data_dir, name, part)
        found = list(filter(os.path.exists, (f'{base}.parquet', f'{base}.jsonl', f'{base}.json')))
        if not found:
            return None
        records += read_records(datasets, found[0])
        paths.append(found[0])
    return Source(split, records, ' '.join(paths))


def read_records(datasets, path: str):
    """The records of a local file. A .json is a list, or a dict with the list as 'data' (QuAC's own)."""
    try:
        if not path.endswith('.json'):
            kind = 'parquet' if path.endswith('.parquet') else 'json'
            return datasets.load_dataset(kind, data_files=path, split='train')
        with open(path, encoding='utf-8-sig') as file:
            records = json.load(file)
        if isinstance(records, dict):
            records = records.get('data')
        if isinstance(records, list):
            return records
        raise ValueError('neither a list of records nor an object that has one as "data"')
    except Exception as error:  # whatever readers of broken files raise
        raise UserError(f'{path} could not be read: {first_line(error.__cause__ or error)}') from None


def read_from_hub(datasets, task, split, revision) -> Source:
    """Downloads a split, which is cached; the revision that was found is part of the source's name."""
    revision = revision or task.revision or None
    files = {split: task.files.format(split)} if task.files else None
    try:
        builder = datasets.load_dataset_builder(task.path, task.config, data_files=files, revision=revision)
        builder.download_and_prepare()
        records = builder.as_dataset(split=split)
    except Exception as error:  # the hub's errors are many
        reason = f'{type(error).__name__}: {first_line(error.__cause__ or error)}'
        raise UserError(f'{task.path} ({split}) could not be fetched ({reason}); fetch it where there is a '
                        'network and name its folder: --data_dir=DIR holds TASK/SPLIT.parquet or .jsonl'
                        ) from None
    return Source(split, records, f'{task.path}@{builder.hash or revision or "main"}')


# --- items, shots and prompts

class LoadedTask(NamedTuple):
    """The scored items of a task, its shots as texts, and where they come from."""
    items: list
    shots: list
    source: str


def load_task(name: str, shots: int, seed: int, data_dir='', revision='', limit=0,
              every_language=False) -> LoadedTask:
    """A task's items (the first `limit`, 0 is all) and as many shots, drawn by `seed`.
    Where there is no train split, the records of the shots leave the scored ones. All records are checked."""
    task = TASKS[name]
    if every_language:
        task = task._replace(keep=None)
    if not task.path:
        drawn = [item.prompt + item.answer for item in task.items(seed + 1)[:shots]]
        return LoadedTask(task.items(0)[:limit or None], drawn, 'generated')

    scored = read_split(name, task.split, data_dir, revision)
    if scored is None:
        raise UserError(f'{os.path.join(data_dir, name)} has no {task.split}.parquet, .jsonl or .json')
    train = None
    if task.train and shots:
        train = read_split(name, task.train, data_dir, revision)

    # A shot is the last item of a record, with its answer.
    source = train or scored
    size = len(source.records)
    chosen = {}  # number of the record: shot
    for number in Random(f'{name} {seed}').sample(range(size), size):
        items = items_of(name, task, source, number) if len(chosen) < shots else []
        if items:
            chosen[number] = items[-1].prompt + items[-1].answer

    items = []
    for number in range(len(scored.records)):
        if train is not None or number not in chosen:  # a shot is never scored
            items += items_of(name, task, scored, number)
    if not items:
        raise UserError(f'{name}: no item is left to score in {scored.name}')
    return LoadedTask(items[:limit or None], list(chosen.values()), scored.name)


def items_of(name: str, task: FewShotTask, source: Source, number: int) -> list:
    """The items of a record, [] where it does not count; UserError says what is wrong with the record."""
    record = source.records[number]
    fault = ''
    try:
        if task.keep is not None and not task.keep(record):
            return []
        items = task.items(record)
        for item in items:
            golds = map(' '.join, item.golds)  # each a text, or spans
            ''.join([item.prompt, item.answer, *golds]).encode('utf-8')  # JSON may hold half a character
            if item.golds == [] or not isinstance(item.golds, list):
                fault = 'has a question without gold answers'
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        fault = 'is not of the expected form'
        if isinstance(error, KeyError):
            fault = f'lacks {error.args[0]!r}'
        elif isinstance(record, dict) and None in record.values():  # a column that other rows have
            fault = f'lacks {min(key for key in record if record[key] is None)!r}'
    if fault:
        raise UserError(f'{name}: row {number} of {source.split} {fault} ({source.name})')
    return items


def prompt_of(item, shots):
    return '\n\n'.join([*shots, item.prompt])


def first_value_baseline(name, items):
    """The share of a reasoning primitive's items that its first value answers, '' for other tasks."""
    if TASKS[name].path:
        return ''
    right = 0
    for item in items:
        right += re.search(r'= ?(\d+)', item.prompt)[1] in item.golds
    return right / len(items)
