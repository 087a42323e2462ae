"""Invented records of every downstream data set, in the exact shape that the hub's have; a model of bytes."""
import json
import os

import numpy as np
from training import run

from problems.shards import ShardWriter
from problems.text import Bytes

PASSAGE = 'In 1901 the town of Ladle had 1,200 people and two mills. The first mill was built by Ada Grey.'
LM = dict(task='tokens', tokenizer='bytes', vocab_size=257, block_size=600, stages='1x2', n_embd=16, n_head=2,
          init_std=0.6, batch_size=2, max_steps=6, eval_examples=2, eval_interval=3, keep_interval=3,
          learning_rate=1e-2)  # init_std: large enough that answers differ


def answers(*texts):
    return dict(text=list(texts), answer_start=[PASSAGE.find(text) for text in texts])


def trivia(i):
    name = f'Person {i}'
    question = f'Who built mill number {i}?'
    return dict(question=question, question_id=f'tc_{i}', question_source='', answer=dict(
        value=name, aliases=[name, f'P. {i}'], normalized_aliases=[name.lower(), f'p {i}'],
        normalized_value=name.lower(), matched_wiki_entity_name='', type='WikipediaEntity'))


def tydi(i, language='english'):
    return dict(id=f'{language}-{i}', title='Ladle', context=PASSAGE, question=f'Who built mill {i}?',
                answers=answers('Ada Grey'))


def squad(i):
    golds = answers('two', 'two mills') if i % 2 else answers()
    return dict(id=str(i), title='Ladle_(town)', context=PASSAGE, question=f'How many mills, {i}?',
                answers=golds)


def drop(i):
    empty = dict(number='', date=dict(day='', month='', year=''), spans=[], hit_id='', worker_id='')
    kinds = [dict(number='1200'), dict(spans=['Ada Grey', 'Ladle']),
             dict(date=dict(day='3', month='May', year='1901'))]
    answer = empty | kinds[i % 3]
    validated = dict(number=[answer['number']], date=[answer['date']], spans=[answer['spans']],
                     hit_id=[''], worker_id=[''])
    return dict(section_id='s', query_id=f'q{i}', passage=PASSAGE, question=f'What of {i}?', answer=answer,
                validated_answers=validated)


def quac(i):
    texts = [[f'{name} {i}', f'{name} {i}'] for name in ('two mills', 'Ada Grey')] + [['CANNOTANSWER'] * 2]
    return dict(dialogue_id=f'd{i}', wikipedia_page_title='Ladle', background='', section_title='Mills',
                context=f'{PASSAGE} CANNOTANSWER', turn_ids=['0', '1', '2'],
                questions=['What was there?', 'Who built it?', 'When?'],
                followups=[0, 0, 0], yesnos=[2, 2, 2],
                answers=dict(texts=texts, answer_starts=[[0, 0]] * 3),
                orig_answers=dict(texts=[golds[0] for golds in texts], answer_starts=[0, 0, 0]))


def coqa(i):
    """Only validation, where numbers are below 100, has additional answers; train has an empty one each."""
    def told(*texts):
        n = len(texts)
        return dict(input_text=list(texts), span_start=[0] * n, span_end=[1] * n, span_text=list(texts),
                    turn_id=list(range(1, n + 1)))
    others = {str(j): told('1901', f'mill {i}') if i < 100 else told('') for j in range(3)}
    return dict(id=str(i), source='mctest', story=PASSAGE, questions=dict(
        input_text=['In which year?', 'What was built?'], turn_id=[1, 2]),
        answers=told('1901', f'mill {i}'), additional_answers=others)


def asdiv(i):
    return dict(body=f'Ada has {i} apples and buys 4.', question='How many has she?',
                answer=f'{i + 4} (apples)', solution_type='Addition', formula=f'{i}+4={i + 4}')


def svamp(i):
    return dict(ID=f'chal-{i}', Body=f'Ada has {i} apples', Question='How many are left if she eats one?',
                Answer=f'{i - 1}.0', Type='Subtraction', Equation=f'( {i}.0 - 1.0 )', question_concat='')


MAKERS = {
    'triviaqa': trivia, 'tydiqa_nocontext': tydi, 'tydiqa_goldp': tydi, 'squad_v2': squad, 'drop': drop,
    'quac': quac, 'coqa': coqa, 'asdiv': asdiv, 'svamp': svamp,
    'natural_questions': lambda i: dict(question=f'who built mill {i}', answer=[f'Ada {i}', 'Ada Grey']),
    'web_questions': lambda i: dict(url='', question=f'who built mill {i}?', answers=[f'Ada {i}']),
} | {f'mawps_{kind}': lambda i: dict(input=f'Ada has {i} apples and buys 4. How many?', target=i + 4.5)
     for kind in ('addsub', 'multiarith', 'singleeq', 'singleop')}
SPLITS = {'web_questions': 'test', 'svamp': 'test train'}
SPLITS |= {name: 'train' for name in MAKERS if 'mawps' in name}


def write_all(folder, count=8):
    """FOLDER/TASK/SPLIT.jsonl of every task that has data: `count` records to score, as many for shots."""
    for name, maker in MAKERS.items():
        scored = SPLITS.get(name, 'validation').split()
        alone = name in ('asdiv', 'svamp') or 'mawps' in name
        for number, split in enumerate(scored if alone else [*scored, 'train']):
            rows = [maker(i) for i in range(1 + 100 * number, 1 + 100 * number + count)]
            rows += [tydi(1, 'finnish')] * (maker is tydi)
            path = os.path.join(folder, name, f'{split}.jsonl')
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w', encoding='utf-8') as file:
                file.writelines(json.dumps(row) + '\n' for row in rows)
    return str(folder)


def train_on_bytes(folder):
    """A looped model of bytes after six steps on sentences of the invented passage; the folder of its run."""
    header = dict(tokenizer='bytes', vocab_size=257, source='s', revision='r')
    text = f'{PASSAGE}\n\nQuestion: who?\nAnswer: Ada Grey\n\n' * 30
    for split in ('train', 'val'):
        writer = ShardWriter(str(folder / 'shards'), split, header, 10 ** 6)
        writer.add(Bytes().encode(text).astype(np.uint16), len(text))
        writer.finish()
    return run(folder / 'run', **LM, data=str(folder / 'shards'))
