"""Bad records of few-shot tasks, and bad sources of text for the prepare scripts; see bad_inputs.py."""
import json
import os
import random
import string

from bad_files import ACTS, all_but, case_of_file, case_of_path
from bad_inputs import GOOD, Case, on_records

FIELDS = {'triviaqa': 'question answer', 'tydiqa_goldp': 'id answers context', 'natural_questions': 'answer',
          'web_questions': 'answers', 'squad_v2': 'title answers', 'drop': 'passage answer validated_answers',
          'quac': 'questions answers', 'coqa': 'story questions answers', 'asdiv': 'body answer',
          'mawps_addsub': 'input target', 'svamp': 'Body Answer'}
SCORED = {'web_questions': 'test', 'svamp': 'test', 'mawps_addsub': 'train'}  # splits other than validation
WRONG = [None, [], {}, [None]]
LINES = [(lambda data: data[:-9], 'cut'), (lambda data: b'', 'empty'),
         (lambda data: b'["a", "b"]\n', 'a list'), (lambda data: b'"text"\n', 'strings'),
         (lambda data: b'\xff\xfe\n', 'not UTF-8'),
         (lambda data: data.replace(b'{', b'(', 1), 'not JSON'), (lambda data: b'\n\n\n', 'of empty lines')]


def first_record(change):
    """A change of the first record of a .jsonl file."""
    def changed(data):
        first, _, rest = data.partition(b'\n')
        return json.dumps(change(json.loads(first))).encode() + b'\n' + rest
    return changed


def record_cases(chance: random.Random):
    for task, names in FIELDS.items():
        path = f'records/{task}/{SCORED.get(task, "validation")}.jsonl'
        changes = [(lambda row, name=name: all_but(row, name), f'without {name}') for name in names.split()]
        name, value = chance.choice(names.split()), chance.choice(WRONG)
        changes.append((lambda row, name=name, value=value: row | {name: value}, f'with {name}={value!r}'))
        for change, told in changes:
            yield case_of_file('record', 'eval_downstream', on_records(task), 'text records', path,
                               first_record(change), told)
    for change, told in LINES:
        yield case_of_file('record', 'eval_downstream', on_records('asdiv'), 'text records',
                           'records/asdiv/validation.jsonl', change, told)
    for act in ACTS:
        yield case_of_path('record', 'eval_downstream', on_records('asdiv'), 'text records',
                           'records/asdiv/validation.jsonl', act)


def source_cases(chance: random.Random):
    """Text for the prepare scripts."""
    def rows(*values):
        return '\n'.join(map(json.dumps, values)).encode()
    pile = [(lambda data: b'', 'empty'), (lambda data: data[:-9], 'cut'),
            (lambda data: b'\xff\xfe', 'not UTF-8'), (lambda data: rows(dict(body='x')), 'without text'),
            (lambda data: rows(dict(text=7)), 'of numbers'), (lambda data: rows(dict(text=None)), 'of null'),
            (lambda data: rows('x', 'y'), 'of strings'),
            (lambda data: rows([1], [2]), 'of lists'), (lambda data: b'{', 'not JSON')]
    for change, told in pile:
        split = chance.choice(['train', 'val'])
        yield case_of_file('source', 'data/pile/prepare', *GOOD['data/pile/prepare'], f'pile/{split}.jsonl',
                           change, told, works=split == 'train')
    for act in ACTS:
        yield case_of_path('source', 'data/pile/prepare', *GOOD['data/pile/prepare'], 'pile/val.jsonl', act)

    def empty(folder):
        os.mkdir(f'{folder}/texts')

    def binary(folder):
        os.mkdir(f'{folder}/texts')
        for name in string.ascii_lowercase:
            with open(f'{folder}/texts/{name}', 'wb') as file:
                file.write(bytes(range(256)))

    def one_word(folder):
        os.mkdir(f'{folder}/texts')
        with open(f'{folder}/texts/a.txt', 'w', encoding='utf-8') as file:
            file.write('word')
    for spoil in (empty, binary, one_word):
        yield Case('source', 'data/text/prepare', ['texts', '--out=new'], '', spoil)
    yield Case('source', 'data/text/prepare', ['texts', '--out=texts/0.txt'], 'texts')
    yield Case('source', 'data/text/prepare', ['texts', '--out=new', '--val_share=1e-9'], 'texts')


MAKERS = (record_cases, source_cases)
