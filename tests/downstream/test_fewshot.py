"""The 19 few-shot tasks end to end, on local files of their record shapes with a tiny model of bytes."""
import csv
import json
import re
import sys

import pytest
import torch
from records import MAKERS, PASSAGE
from training import run

import eval_downstream
from downstream import fewshot
from downstream.fewshot import ALL, TASKS, load, prompt_of
from engine.configurator import UserError, configure
from eval_downstream import DownstreamConfig
from problems.text import Bytes
from stages import parse_stages


def ask(folder, *arguments):
    """eval_downstream.py on a folder; the rows of downstream.csv by task."""
    config, words = configure(DownstreamConfig, [str(folder), '--device=cpu', '--dtype=float32', *arguments],
                              '', positional='words')
    eval_downstream.main(config, words)
    limited = f'_limit{config.limit}' if config.limit else ''
    with open(f'{config.out_dir or folder}/downstream{limited}.csv', encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))


def lines_of(folder, name):
    path, = folder.glob(f'downstream*/{name}_step*.jsonl')
    return [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()[1:]]


def test_the_19_tasks_are_those_of_the_papers_tables():
    columns = []
    for number, name in ((5, 'closed_book'), (6, 'open_book'), (7, 'math'), (8, 'primitives')):
        with open(f'results/paper_table{number}_{name}.csv', encoding='utf-8') as file:
            columns += file.readline().strip().split(',')[1:-1]
    assert list(ALL) == columns and len(ALL) == 19


def test_prompts_by_hand(data):
    def first(name, number=0):
        return load(name, 0, 0, data).items[number]
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


@pytest.mark.parametrize('name', ALL)
def test_shots_are_seeded_and_never_scored(name, data):
    task = TASKS[name]
    loaded, again, other = (load(name, 3, seed, data) for seed in (0, 0, 1))
    assert loaded == again and loaded.shots != other.shots and len(loaded.shots) == 3
    texts = {item.prompt + item.answer for item in loaded.items}
    assert not texts & set(loaded.shots)
    records = {'svamp': 16}.get(name, 8) - (0 if task.train or not task.path else 3)
    turns = {'quac': 3, 'coqa': 2}.get(name, 1)
    assert len(loaded.items) == (records * turns if task.path else 1000)


def test_every_language_is_a_choice(data):
    assert len(load('tydiqa_goldp', 0, 0, data).items) == 8
    assert len(load('tydiqa_goldp', 0, 0, data, every_language=True).items) == 9


@pytest.mark.parametrize('name', [*ALL, 'inline_depth1'])
def test_golds_score_100_and_nonsense_0(name, data, monkeypatch, tmp_path):
    """Through the whole evaluator but the model. QuAC's questions on which people differ are not counted."""
    def answering(tell):
        def answers(subject, name, asked, *_):
            for own in asked:
                yield dict(number=own.prompt.number, answer=tell(loaded.items[own.prompt.number]),
                           prompt_tokens=1, dropped=0, cut=False)
        return answers
    loaded = load(name, TASKS[name].shots, 0, data)
    subject = eval_downstream.Subject('golds', None, Bytes().encode, None, [], 256, 4, 7)
    sizes = type('Config', (), dict(block_size=10 ** 6))
    model = type('Model', (), dict(stages=parse_stages('2x1'), config=sizes))
    monkeypatch.setattr(eval_downstream, 'subject_of', lambda *_: subject._replace(model=model))
    for tell, score in ((lambda item: item.answer.strip(), 1), (lambda item: 'zebra 999983', 0)):
        monkeypatch.setattr(eval_downstream, 'answers', answering(tell))
        row, = ask(tmp_path / str(score), f'--tasks={name}', f'--data_dir={data}')
        assert (float(row['score']), float(row['standard_error'])) == (score, 0)
        assert int(row['count']) == len(loaded.items) and row['group'] == TASKS[name].group


def test_all_19_with_a_trained_model(trained, data, tmp_path, capsys, monkeypatch):
    """Rows, group means, answers on disk; a second time nothing is asked; each answer as it is one by one."""
    arguments = [f'--data_dir={data}', '--limit=5', f'--out_dir={tmp_path}']
    rows = ask(trained, *arguments)
    assert [row['task'] for row in rows] == list(ALL) and {row['step'] for row in rows} == {'6'}
    assert {row['loops'] for row in rows} == {'2'} and all(0 <= float(row['score']) <= 1 for row in rows)
    printed = capsys.readouterr().out
    assert [int(n) for n in re.findall(r'mean of (\d+) tasks', printed)] == [4, 5, 6, 4]
    monkeypatch.setattr(eval_downstream, 'answer_batch', None)
    assert ask(trained, *arguments) == rows
    monkeypatch.undo()
    alone = ['--batch_size=1', '--share_prefix=False', f'--out_dir={tmp_path}/alone', *arguments[:2]]
    assert ask(trained, *alone) == rows
    for name in ALL:
        kept, one = lines_of(tmp_path, name), lines_of(tmp_path / 'alone', name)
        assert kept == one and [line['number'] for line in kept] == list(range(len(kept)))
    assert any(line['answer'] for name in ALL for line in lines_of(tmp_path, name))


def test_long_prompts_lose_their_first_shots_and_then_their_beginning(trained, data, tmp_path):
    subject = eval_downstream.subject_of(trained)
    loaded = load('asdiv', 3, 0, data)
    texts = [prompt_of(loaded.items[0], loaded.shots[dropped:]) for dropped in range(4)]
    for dropped, text in enumerate(texts):
        subject.model.config.block_size = len(text) + 7
        asked = eval_downstream.fitted(subject, loaded, 0, 8)
        assert (asked.dropped, asked.cut) == (dropped, False)
        assert subject.decode(asked.prompt.tokens) == text
    subject.model.config.block_size = 27
    asked = eval_downstream.fitted(subject, loaded, 0, 8)
    assert asked.cut and subject.decode(asked.prompt.tokens) == texts[-1][-20:]


@pytest.mark.parametrize('cut', [0, 10])
def test_a_killed_evaluation_goes_on_where_it_was(trained, data, tmp_path, monkeypatch, cut):
    """Killed after three batches, once in the middle of a line: no answer twice or missing, the same file."""
    arguments = [f'--data_dir={data}', '--tasks=coqa', '--batch_size=2']
    whole = ask(trained, *arguments, f'--out_dir={tmp_path}/whole')
    real, calls = eval_downstream.answer_batch, []

    def dying(*more):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*more)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(eval_downstream, 'answer_batch', dying)
        ask(trained, *arguments, f'--out_dir={tmp_path}/killed')
    part, = (tmp_path / 'killed').glob('downstream/*.part0')
    text = part.read_text(encoding='utf-8')
    assert text.count('\n') == 1 + 6
    part.write_text(text[:len(text) - cut], encoding='utf-8')
    monkeypatch.setattr(eval_downstream, 'answer_batch', lambda *more: calls.append(1) or real(*more))
    calls.clear()
    assert ask(trained, *arguments, f'--out_dir={tmp_path}/killed') == whole
    assert len(calls) == (16 - 6 + (cut > 0) + 1) // 2
    assert lines_of(tmp_path / 'killed', 'coqa') == lines_of(tmp_path / 'whole', 'coqa')
    assert not list((tmp_path / 'killed').glob('downstream/*.part*'))
    other = ask(trained, *arguments, '--shots=0', f'--out_dir={tmp_path}/killed')  # other settings: anew
    assert other[0]['shots'] == '0' and len(other) == 1


def test_every_kept_checkpoint_and_loop_count_has_its_rows(trained, data, tmp_path):
    rows = ask(trained, f'--data_dir={data}', '--tasks=asdiv,svamp', '--checkpoint=all', '--loops=1,2,3',
               '--limit=2', f'--out_dir={tmp_path}')
    assert [(row['step'], row['loops'], row['task']) for row in rows] == [
        (step, loops, name) for step in '36' for loops in '123' for name in ('asdiv', 'svamp')]


def test_copying_a_visible_value_is_at_chance():
    """One of five: the baseline that a model which follows no name can reach."""
    for name in ('code_depth0', 'math_depth0', 'code_depth1', 'math_depth1'):
        loaded = load(name, 5, 0)
        assert 0.16 < fewshot.baseline(name, loaded.items) < 0.25
        assert len({item.prompt for item in loaded.items}) == 1000 and len(loaded.shots) == 5


def test_show_prints_prompts(trained, data, capsys):
    config, words = configure(DownstreamConfig, [trained, '--show=1', f'--data_dir={data}', '--tasks=drop'],
                              '', positional='words')
    eval_downstream.main(config, words)
    printed = capsys.readouterr().out
    assert printed.count(PASSAGE) == 3 and "--- golds: [('Ada Grey', 'Ladle')" in printed


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
    assert load('quac', 0, 0, str(tmp_path)).items[:3] == load('quac', 0, 0, data).items[:3]
    assert len(load('quac', 1, 0, str(tmp_path)).items) == 3  # no train file: the shot leaves the scored set


def spoil(data, tmp_path, name, change):
    """A copy of a task's first record, changed, as its file."""
    record = MAKERS[name](1)
    change(record)
    path = tmp_path / name / f'{TASKS[name].split}.jsonl'
    path.parent.mkdir()
    path.write_text(json.dumps(record) + '\n', encoding='utf-8')
    return str(tmp_path)


@pytest.mark.parametrize('name,change,says', [
    ('triviaqa', lambda record: record.pop('question'), "row 0 of validation lacks 'question'"),
    ('triviaqa', lambda record: record['answer'].pop('aliases'), "row 0 of validation lacks 'aliases'"),
    ('coqa', lambda record: record.update(story=None, answers=None), "lacks 'answers'|lacks 'story'"),
    ('drop', lambda record: record.pop('validated_answers'), "lacks 'validated_answers'")])
def test_a_missing_field_is_named(name, change, says, data, tmp_path):
    with pytest.raises(UserError, match=says):
        load(name, 0, 0, spoil(data, tmp_path, name, change))


@pytest.mark.parametrize('arguments,says', [
    (['--tasks=squadv2'], "no task 'squadv2'; did you mean squad_v2"),
    (['--tasks=drop', '--data_dir=nowhere'], 'nowhere/drop has no validation.parquet'),
    (['--checkpoint=all', '--tasks=drop', '--out_dir=elsewhere'], 'has no step_'),
    (['--revision=abc'], 'name one task'), (['--tasks=drop', '--max_new_tokens=700'], 'leaves no room'),
    (['--limit=-1'], 'limit'), (['--loops=-1'], 'cannot be negative')])
def test_bad_input_is_one_line(trained, data, arguments, says, tmp_path):
    folder = tmp_path if '--checkpoint=all' in arguments else trained
    with pytest.raises(UserError, match=says) as error:
        ask(folder, *arguments, *([] if '--data_dir' in str(arguments) else [f'--data_dir={data}']))
    assert '\n' not in str(error.value)


def test_no_network_says_what_to_fetch(monkeypatch):
    import datasets

    def refused(*_, **__):
        raise ConnectionError('no route')
    monkeypatch.setattr(datasets, 'load_dataset_builder', refused)
    with pytest.raises(UserError, match=r'allenai/quac \(validation\) could not be fetched .*--data_dir'):
        load('quac', 1, 0)


def test_the_hubs_names_and_files_are_asked_for(monkeypatch):
    """Every id, configuration, split and file of the tasks reaches the library as it is listed here."""
    import datasets
    asked = []

    class Builder:
        hash = 'abc'

        def download_and_prepare(self):
            pass

        def as_dataset(self, split):
            asked[-1] += (split,)
            return [MAKERS[name](i) for i in range(1, 9)]
    monkeypatch.setattr(datasets, 'load_dataset_builder', lambda path, config, data_files, revision: (
        asked.append((path, config, *(data_files or {}).values(), *filter(None, [revision]))) or Builder()))
    for name in MAKERS:
        loaded = load(name, 1, 0)
        assert loaded.source.endswith('@abc') and loaded.items
    tydi, quac = 'google-research-datasets/tydiqa', 'plain_text/{}/0000.parquet'

    def both(path, config, scored='validation'):
        return [(path, config, split) for split in (scored, 'train')]
    expected = [
        *both('mandarjoshi/trivia_qa', 'rc.nocontext'), *2 * both(tydi, 'secondary_task'),
        *both('google-research-datasets/nq_open', 'nq_open'),
        *both('stanfordnlp/web_questions', None, 'test'), *both('rajpurkar/squad_v2', 'squad_v2'),
        *both('EleutherAI/drop', None), *both('EleutherAI/coqa', None),
        *[('allenai/quac', None, quac.format(split), 'refs/convert/parquet', split)
          for split in ('validation', 'train')],
        ('EleutherAI/asdiv', 'asdiv', 'validation'), ('ChilleD/SVAMP', None, 'train+test'),
        *[('HuggingFaceTB/math_tasks', None, f'data/mawps/{kind}.jsonl', 'train')
          for kind in ('addsub', 'multiarith', 'singleeq', 'singleop')]]
    assert sorted(asked, key=str) == sorted(expected, key=str)


def test_the_printed_prompts_are_those_of_the_tasks(data):
    with open('docs/prompts.md', encoding='utf-8') as file:
        text = file.read()
    for name in ALL:
        loaded = load(name, 1, 0, data)
        section = text[text.index(f'## {name}\n'):].split('## ')[1]
        assert f'```text\n{prompt_of(loaded.items[0], loaded.shots)}\n```' in section


def test_answers_of_another_model_or_other_questions_are_not_taken(trained, data, tmp_path):
    """The same folder, step and task; what differs is the checkpoint, the loops, or what is asked."""
    def asked_anew(*arguments):
        called = []
        with pytest.MonkeyPatch.context() as patch:
            real = eval_downstream.answer_batch
            patch.setattr(eval_downstream, 'answer_batch', lambda *more: called.append(1) or real(*more))
            ask(trained, f'--data_dir={data}', '--tasks=tydiqa_goldp', f'--out_dir={tmp_path}', *arguments)
        return bool(called)
    assert asked_anew() and not asked_anew() and not asked_anew('--loops=2')  # two is as trained
    assert not asked_anew('--loops=2,2') and asked_anew('--limit=4') and not asked_anew()
    assert asked_anew('--every_language=True') and asked_anew('--seed=1') and asked_anew('--loops=1')
    assert asked_anew('--checkpoint=best.pt')


def test_a_model_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(UserError, match='has no tokenizer'):
        ask(run(tmp_path / 'phop'), '--tasks=math_depth0')


def test_parquet_is_read_too(tmp_path, data):
    import datasets
    (tmp_path / 'asdiv').mkdir()
    datasets.Dataset.from_list([MAKERS['asdiv'](i) for i in range(1, 9)]).to_parquet(
        str(tmp_path / 'asdiv' / 'validation.parquet'))
    read, same = load('asdiv', 2, 0, str(tmp_path)), load('asdiv', 2, 0, data)
    assert read.items == same.items and read.shots == same.shots


def test_a_trained_model_of_variables_is_asked_in_its_own_alphabet(tmp_path):
    """Its prompts take no shots; those of another form hold characters that it does not know."""
    folder = run(tmp_path / 'run', task='variables', p=(16,), length=256, supervise='answer', max_steps=3)
    row, = ask(folder, '--tasks=inline_depth1', '--shots=0', '--limit=20')
    assert (row['count'], row['shots'], row['prompts_cut']) == ('20', '0', '0')
    for arguments in (['--tasks=math_depth0', '--shots=0'], ['--tasks=inline_depth0']):
        with pytest.raises(UserError, match='form=inline one at a time.* with --shots=0'):
            ask(folder, *arguments)


def test_tasks_and_metrics_need_no_torch(root):
    import subprocess
    code = ('import sys; sys.argv = ["x"]; sys.modules["torch"] = None\n'
            'from downstream import fewshot, metrics; print(len(fewshot.ALL))')
    out = subprocess.run([sys.executable, '-c', code], cwd=root, capture_output=True, text=True)
    assert out.stdout.strip() == '19', out.stderr


def test_stop_tokens_are_newlines_and_the_end(trained):
    subject = eval_downstream.subject_of(trained)
    assert torch.nonzero(subject.stops(('\n',))).flatten().tolist() == [10, 256]
