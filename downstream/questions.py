"""Questions with their gold answers, made from the records of each data set.
A record becomes one item, or one for each turn of a dialogue, with the gold answers to the turns before in
its prompt. docs/prompts.md shows a prompt of each task; Saunshi et al. 2025 do not state those of question
answering and math, which are this project's (docs/deviations.md, D15). Fields are joined by +, which refuses
null, where an f-string would ask about 'None'."""
from random import Random
from typing import NamedTuple

from downstream import metrics
from problems.variables import sample_variables, variables_text

PRIMITIVE_EXAMPLES = 1000  # of each reasoning primitive


class Item(NamedTuple):
    """One question. `prompt` asks it, a shot adds `answer`, the score compares with `golds`.
    Items of one passage share `context`, and so the first part of their prompts; '' shares nothing."""
    prompt: str
    answer: str
    golds: list
    context: str = ''


# --- closed book: a question alone

def closed_book(question, golds, shown=''):
    return [Item('Question: ' + question + '\nAnswer:', ' ' + (shown or golds[0]), golds)]


def from_triviaqa(record):
    answer = record['answer']
    return closed_book(record['question'], answer['aliases'], answer['value'])


def from_natural_questions(record):
    return closed_book(record['question'] + '?', record['answer'])  # the data set has no question marks


def from_web_questions(record):
    return closed_book(record['question'], record['answers'])


def from_tydi_no_context(record):
    return closed_book(record['question'], record['answers']['text'])


def is_english(record):
    """Whether a record of TyDi QA is in English."""
    return record['id'].startswith('english-')


# --- open book: a passage, then a question or a dialogue about it

def open_book(title, context, questions, golds, shown):
    """A passage and its questions in turn, each asked after the answers `shown` to those before."""
    text = 'Background: ' + context + '\n\n'  # all that stands before a question
    if title != '':
        text = 'Title: ' + title + '\n\n' + text
    items = []
    for question, golds_of_turn, answer in zip(questions, golds, shown, strict=True):
        prompt = text + 'Question: ' + question + '\n\nAnswer:'
        items.append(Item(prompt, ' ' + answer, golds_of_turn, context))
        text = prompt + ' ' + answer + '\n\n'
    return items


def from_tydi_gold_passage(record):
    golds = record['answers']['text']
    return open_book(record['title'], record['context'], [record['question']], [golds], golds[:1])


def from_squad_v2(record):
    golds = list(record['answers']['text']) or ['']  # '' where the passage does not tell
    title = record['title'].replace('_', ' ')
    return open_book(title, record['context'], [record['question']], [golds], [golds[0] or 'unanswerable'])


def from_drop(record):
    golds = metrics.drop_golds(record['answer'], record['validated_answers'])
    prompt = 'Passage: ' + record['passage'] + '\nQuestion: ' + record['question'] + '\nAnswer:'
    answer = ', '.join(golds[0])  # an answer may have several spans
    return [Item(prompt, ' ' + answer, golds, record['passage'])]


def from_quac(record):
    """A dialogue of the hub's parquet files or, as it is, of the official val_v0.2.json."""
    if 'paragraphs' in record:
        record = convert_official_quac(record)
    title = record['wikipedia_page_title'] + ', ' + record['section_title']
    context = record['context'].removesuffix('CANNOTANSWER').rstrip()
    golds = record['answers']['texts']  # a list for each turn
    return open_book(title, context, record['questions'], golds, record['orig_answers']['texts'])


def convert_official_quac(article):
    """One article of the official file as a record of the hub."""
    [passage] = article['paragraphs']
    record = {
        'context': passage['context'], 'wikipedia_page_title': article['title'],
        'section_title': article['section_title'], 'questions': [], 'answers': {'texts': []},
        'orig_answers': {'texts': []}}
    for turn in passage['qas']:
        record['questions'].append(turn['question'])
        record['answers']['texts'].append([gold['text'] for gold in turn['answers']])
        record['orig_answers']['texts'].append(turn['orig_answer']['text'])
    return record


def from_coqa(record):
    """The golds of a turn are the first answer and the additional ones, which are blank in train."""
    shown = record['answers']['input_text']
    answers = [shown]  # of each person, a text for each turn
    for other in (record.get('additional_answers') or {}).values():
        if other and any(other['input_text']):
            answers.append(other['input_text'])
    golds = list(map(list, zip(*answers, strict=True)))  # one list for each turn
    return open_book('', record['story'], record['questions']['input_text'], golds, shown)


# --- math word problems and reasoning primitives

def math_problem(text, number):
    """A problem that is answered without a chain of thought. ValueError where the answer is blank."""
    if not number.strip():
        raise ValueError
    return [Item('Q: ' + text.strip() + '\nA:', f' The answer is {number}.', [number])]


def from_asdiv(record):
    """'9 (apples)' is answered by 9."""
    return math_problem(record['body'] + ' ' + record['question'], record['answer'].split(' (')[0])


def from_mawps(record):
    return math_problem(record['input'], plain_number(record['target']))


def from_svamp(record):
    body = record['Body'].strip()
    if not body.endswith(('.', '?', '!', ',')):  # many bodies end without a mark
        body += '.'
    return math_problem(body + ' ' + record['Question'], plain_number(record['Answer']))


def plain_number(value):
    """'5' of 5, 5.0 and '5.0'. ValueError of what holds no number, such as null and NaN."""
    text = str(value).strip().removesuffix('.0')
    if not metrics.numbers_of(text):
        raise ValueError
    return text


def generate_primitives(form: str, depth: int, seed: int):
    """Variable assignments of a depth in one of the forms of problems/variables.py."""
    rng = Random(f'{form} {depth} {seed}')
    items = []
    for _ in range(PRIMITIVE_EXAMPLES):
        prompt, answer = variables_text(sample_variables(rng, depth), form)
        items.append(Item(prompt, answer, [answer.strip()]))
    return items
