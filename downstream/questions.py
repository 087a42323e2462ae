"""Questions with their gold answers, made from the records of each data set.

A record becomes one item, or one for each turn of a dialogue, with the gold answers to the turns before in
its prompt. docs/prompts.md shows a prompt of each task. Saunshi et al. 2025 do not state the prompts of
question answering and math: those here are this project's (docs/deviations.md, D15).
"""
from random import Random
from typing import NamedTuple

from downstream import metrics
from problems.variables import sample_variables, variables_text

PRIMITIVE_EXAMPLES = 1000  # of each reasoning primitive


class Item(NamedTuple):
    """One question. `prompt` asks it, a shot adds `answer`, the score compares with `golds`.

    Items of one passage share `context`, and so the first part of their prompts; '' shares nothing.
    """
    prompt: str
    answer: str
    golds: list
    context: str = ''


# --- closed book: a question alone

def closed_book(question: str, golds: list, shown: str = '') -> list[Item]:
    prompt = f'Question: {question}\nAnswer:'
    answer = f' {shown or golds[0]}'
    return [Item(prompt, answer, golds)]


def from_triviaqa(record):
    answer = record['answer']
    return closed_book(record['question'], answer['aliases'], answer['value'])


def from_natural_questions(record):
    return closed_book(record['question'] + '?', record['answer'])  # the data set has no question marks


def from_web_questions(record):
    return closed_book(record['question'], record['answers'])


def from_tydi_no_context(record):
    return closed_book(record['question'], record['answers']['text'])


def is_english(record) -> bool:
    """Whether a record of TyDi QA is in English."""
    return record['id'].startswith('english-')


# --- open book: a passage, then a question or a dialogue about it

def open_book(title: str, context: str, questions: list, golds: list, shown: list) -> list[Item]:
    """A passage and its questions in turn, each asked after the answers `shown` to those before."""
    heading = f'Title: {title}\n\n' if title else ''
    text = f'{heading}Background: {context}\n\n'  # all that stands before a question
    items = []
    for question, golds_of_turn, answer in zip(questions, golds, shown, strict=True):
        prompt = f'{text}Question: {question}\n\nAnswer:'
        items.append(Item(prompt, f' {answer}', golds_of_turn, context))
        text = f'{prompt} {answer}\n\n'
    return items


def from_tydi_gold_passage(record):
    golds = record['answers']['text']
    question = record['question']
    return open_book(record['title'], record['context'], [question], [golds], golds[:1])


def from_squad_v2(record):
    golds = record['answers']['text'] or ['']  # '' where the passage does not tell
    title = record['title'].replace('_', ' ')
    question = record['question']
    shown = golds[0] or 'unanswerable'
    return open_book(title, record['context'], [question], [golds], [shown])


def from_drop(record):
    golds = metrics.drop_golds(record['answer'], record['validated_answers'])
    answer = ', '.join(golds[0])  # an answer may have several spans
    prompt = f"Passage: {record['passage']}\nQuestion: {record['question']}\nAnswer:"
    return [Item(prompt, f' {answer}', golds, record['passage'])]


def from_quac(record):
    """A dialogue of the hub's parquet files or, as it is, of the official val_v0.2.json."""
    if 'paragraphs' in record:
        record = convert_official_quac(record)
    title = f"{record['wikipedia_page_title']}, {record['section_title']}"
    context = record['context'].removesuffix('CANNOTANSWER').rstrip()
    golds = record['answers']['texts']  # a list for each turn
    shown = record['orig_answers']['texts']
    return open_book(title, context, record['questions'], golds, shown)


def convert_official_quac(article) -> dict:
    """One article of the official file as a record of the hub."""
    [passage] = article['paragraphs']
    questions = []
    golds = []
    shown = []
    for turn in passage['qas']:
        questions.append(turn['question'])
        golds.append([gold['text'] for gold in turn['answers']])
        shown.append(turn['orig_answer']['text'])

    return {
        'context': passage['context'],
        'wikipedia_page_title': article['title'],
        'section_title': article['section_title'],
        'questions': questions,
        'answers': {'texts': golds},
        'orig_answers': {'texts': shown},
    }


def from_coqa(record):
    """The golds of a turn are the first answer and the additional ones, which train does not have."""
    shown = record['answers']['input_text']
    answers = [shown]  # one list for each person
    additional = record.get('additional_answers') or {}
    for other in additional.values():
        if other and len(other['input_text']) == len(shown):
            answers.append(other['input_text'])
    golds = list(map(list, zip(*answers, strict=True)))  # one list for each turn
    return open_book('', record['story'], record['questions']['input_text'], golds, shown)


# --- math word problems and reasoning primitives

def math_problem(text: str, number: str) -> list[Item]:
    prompt = f'Q: {text.strip()}\nA:'
    answer = f' The answer is {number}.'  # without a chain of thought
    return [Item(prompt, answer, [number])]


def from_asdiv(record):
    """'9 (apples)' is answered by 9."""
    text = f"{record['body']} {record['question']}"
    number = record['answer'].split(' (')[0]
    return math_problem(text, number)


def from_mawps(record):
    return math_problem(record['input'], plain_number(record['target']))


def from_svamp(record):
    body = record['Body'].strip()
    if not body.endswith(('.', '?', '!', ',')):  # many bodies end without a mark
        body += '.'
    return math_problem(f"{body} {record['Question']}", plain_number(record['Answer']))


def plain_number(value) -> str:
    """'5' of 5, 5.0 and '5.0'."""
    return str(value).strip().removesuffix('.0')


def generate_primitives(form: str, depth: int, seed: int) -> list[Item]:
    """Variable assignments of a depth in one of the forms of problems/variables.py."""
    rng = Random(f'{form} {depth} {seed}')
    items = []
    for _ in range(PRIMITIVE_EXAMPLES):
        prompt, answer = variables_text(sample_variables(rng, depth), form)
        items.append(Item(prompt, answer, [answer.strip()]))
    return items
