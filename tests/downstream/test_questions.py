"""Questions of every data set against prompts written by hand."""
import json

from records import MAKERS, PASSAGE

from downstream.fewshot import load_task, prompt_of


def test_prompts_by_hand(data):
    def first(name, number=0):
        return load_task(name, 0, 0, data).items[number]
    assert first('triviaqa').prompt == 'Question: Who built mill number 1?\nAnswer:'
    assert first('triviaqa').golds == ['Person 1', 'P. 1'] and first('triviaqa').answer == ' Person 1'
    assert first('natural_questions').prompt == 'Question: who built mill 1?\nAnswer:'
    background = f'Title: Ladle (town)\n\nBackground: {PASSAGE}\n\n'
    assert first('squad_v2').prompt == background + 'Question: How many mills, 1?\n\nAnswer:'
    assert first('squad_v2', 1).answer == ' unanswerable' and first('squad_v2', 1).golds == ['']
    assert first('drop', 0).prompt == f'Passage: {PASSAGE}\nQuestion: What of 1?\nAnswer:'
    assert first('drop', 0).answer == ' Ada Grey, Ladle' and first('drop', 1).answer == ' 3 May 1901'
    assert first('quac', 1).prompt == (
        f'Title: Ladle, Mills\n\nBackground: {PASSAGE}\n\nQuestion: What was there?\n\n'
        'Answer: two mills 1\n\nQuestion: Who built it?\n\nAnswer:')
    assert first('quac', 2).answer == ' CANNOTANSWER'
    assert first('coqa', 1).prompt.endswith('Answer: 1901\n\nQuestion: What was built?\n\nAnswer:')
    assert first('coqa', 1).golds == ['mill 1'] * 4
    assert first('asdiv').prompt == 'Q: Ada has 1 apples and buys 4. How many has she?\nA:'
    assert first('asdiv').answer == ' The answer is 5.' and first('mawps_addsub').golds == ['5.5']
    assert first('svamp').prompt == 'Q: Ada has 101 apples. How many are left if she eats one?\nA:'
    assert first('svamp').golds == ['100']
    assert prompt_of(first('asdiv'), ['one', 'two']) == f"one\n\ntwo\n\n{first('asdiv').prompt}"


def test_quac_in_its_official_form(tmp_path, data):
    record = MAKERS['quac'](1)
    qas = [dict(question=question, answers=[dict(text=text) for text in golds], orig_answer=dict(text=shown))
           for question, golds, shown in zip(record['questions'], record['answers']['texts'],
                                             record['orig_answers']['texts'], strict=True)]
    article = dict(title='Ladle', section_title='Mills',
                   paragraphs=[dict(context=record['context'], qas=qas, id='x')])
    (tmp_path / 'quac').mkdir()
    with open(tmp_path / 'quac' / 'validation.json', 'w', encoding='utf-8') as file:
        json.dump(dict(data=[article, article]), file)
    assert load_task('quac', 0, 0, str(tmp_path)).items[:3] == load_task('quac', 0, 0, data).items[:3]
    assert len(load_task('quac', 1, 0, str(tmp_path)).items) == 3  # no train file: the shot is not scored
