"""The 19 few-shot tasks on local files of their record shapes: which data, which shots, what is scored."""
import json
import os
import subprocess
import sys

import pytest
from records import MAKERS

from downstream.fewshot import ALL, TASKS, first_value_baseline, load_task, prompt_of
from engine.errors import UserError


def test_the_19_tasks_are_those_of_the_papers_tables():
    columns = []
    for number, name in ((5, 'closed_book'), (6, 'open_book'), (7, 'math'), (8, 'primitives')):
        with open(f'results/paper_table{number}_{name}.csv', encoding='utf-8') as file:
            columns += file.readline().strip().split(',')[1:-1]
    assert list(ALL) == columns and len(ALL) == 19


@pytest.mark.parametrize('name', ALL)
def test_shots_are_seeded_and_never_scored(name, data):
    task = TASKS[name]
    loaded, again, other = (load_task(name, 3, seed, data) for seed in (0, 0, 1))
    assert loaded == again and loaded.shots != other.shots and len(loaded.shots) == 3
    texts = {item.prompt + item.answer for item in loaded.items}
    assert not texts & set(loaded.shots)
    records = {'svamp': 16}.get(name, 8) - (0 if task.train or not task.path else 3)
    turns = {'quac': 3, 'coqa': 2}.get(name, 1)
    assert len(loaded.items) == (records * turns if task.path else 1000)


def test_every_language_is_a_choice(data):
    assert len(load_task('tydiqa_goldp', 0, 0, data).items) == 8
    assert len(load_task('tydiqa_goldp', 0, 0, data, every_language=True).items) == 9


def test_copying_a_visible_value_is_at_chance():
    """One of five: the baseline that a model which follows no name can reach."""
    for name in ('code_depth0', 'math_depth0', 'code_depth1', 'math_depth1'):
        loaded = load_task(name, 5, 0)
        assert 0.16 < first_value_baseline(name, loaded.items) < 0.25
        assert len({item.prompt for item in loaded.items}) == 1000 and len(loaded.shots) == 5


def spoil(data, tmp_path, name, change):
    """A copy of a task's first record, changed, as its file."""
    record = MAKERS[name](1)
    change(record)
    path = tmp_path / name / f'{TASKS[name].split}.jsonl'
    path.parent.mkdir()
    path.write_text(json.dumps(record) + '\n', encoding='utf-8')
    return str(tmp_path)


@pytest.mark.parametrize('name,change,says', [
    ('triviaqa', lambda record: record.pop('question'), "validation lacks 'question'"),
    ('triviaqa', lambda record: record['answer'].pop('aliases'), "validation lacks 'aliases'"),
    ('coqa', lambda record: record.update(story=None, answers=None), "lacks 'answers'|lacks 'story'"),
    ('drop', lambda record: record.pop('validated_answers'), "lacks 'validated_answers'"),
    # what would be asked, or scored, as 'None', and lists that no answer can be scored on
    ('triviaqa', lambda record: record.update(question=None), "lacks 'question'"),
    ('web_questions', lambda record: record.update(question=None), "lacks 'question'"),
    ('tydiqa_goldp', lambda record: record.update(context=None), "lacks 'context'"),
    ('tydiqa_goldp', lambda record: record.update(title=None), "lacks 'title'"),
    ('squad_v2', lambda record: record['answers'].update(text=None), 'not of the expected form'),
    ('drop', lambda record: record.update(passage=None), "lacks 'passage'"),
    ('quac', lambda record: record['questions'].__setitem__(1, None), 'not of the expected form'),
    ('asdiv', lambda record: record.update(question=None), "lacks 'question'"),
    ('mawps_addsub', lambda record: record.update(target=None), "lacks 'target'"),
    ('mawps_addsub', lambda record: record.update(target='?'), 'not of the expected form'),
    ('asdiv', lambda record: record.update(answer=' (apples)'), 'not of the expected form'),
    ('triviaqa', lambda record: record['answer'].update(aliases=[]), 'without gold answers'),
    ('tydiqa_goldp', lambda record: record['answers'].update(text=[]), 'not of the expected form'),
    ('quac', lambda record: record['answers']['texts'].__setitem__(0, []), 'without gold answers'),
    ('natural_questions', lambda record: record.update(answer=[]), 'not of the expected form'),
    ('natural_questions', lambda record: record.update(answer='Ada'), 'without gold answers'),
    ('natural_questions', lambda record: record.update(answer=[1901]), 'not of the expected form'),
    ('coqa', lambda record: record['additional_answers']['0']['input_text'].pop(), 'not of the expected')])
def test_a_missing_field_is_named(name, change, says, data, tmp_path):
    with pytest.raises(UserError, match=f'^{name}: row 0 of .*{says}') as error:
        load_task(name, 0, 0, spoil(data, tmp_path, name, change))
    assert '\n' not in str(error.value)


def test_a_number_of_0_is_a_gold(data, tmp_path):
    folder = spoil(data, tmp_path, 'drop', lambda record: record['answer'].update(number=0, spans=[]))
    assert load_task('drop', 0, 0, folder).items[0].golds[0] == ('0',)


@pytest.mark.parametrize('name,text,says', [
    ('natural_questions/validation.json', '[{"question": "q", "answer": ["\\ud83d"]}]', 'not of the'),
    ('drop/validation.json', '["one", "two"]', 'drop: row 0 of validation is not of the expected form'),
    ('drop/validation.json', '17', 'neither a list of records nor an object'),
    ('drop/validation.json', '{"rows": []}', 'neither a list of records nor an object'),
    ('drop/validation.json', '{"data": ', 'validation.json could not be read: Expecting value'),
    ('drop/validation.json', '[]', 'no item is left to score'),
    ('drop/validation.jsonl', '{"passage": "x"}\n{"pass', 'could not be read: JSON parse error'),
    ('drop/validation.jsonl', '', 'could not be read: .'),
    ('drop/validation.parquet', 'PAR1', 'could not be read: .*4 bytes')])
def test_a_broken_file_is_one_line_with_the_reason(name, text, says, tmp_path):
    path = tmp_path / name
    path.parent.mkdir()
    path.write_text(text, encoding='utf-8')
    with pytest.raises(UserError, match=says) as error:
        load_task(path.parent.name, 0, 0, str(tmp_path))
    assert '\n' not in str(error.value)


def test_a_mark_of_utf8_at_the_beginning_of_a_file_is_no_text(tmp_path, data):
    (tmp_path / 'asdiv').mkdir()
    (tmp_path / 'asdiv' / 'validation.json').write_text(
        json.dumps([MAKERS['asdiv'](i) for i in range(1, 9)]), encoding='utf-8-sig')
    assert load_task('asdiv', 0, 0, str(tmp_path)).items == load_task('asdiv', 0, 0, data).items


@pytest.mark.parametrize('text', [
    'unanswerable', 'Unanswerable!', 'unanswerable...', '“Unanswerable”', '*unanswerable*'])
def test_squads_unanswerable_may_have_marks(text):
    assert TASKS['squad_v2'].score(text, ['']) == {'em': 1, 'f1': 1}
    assert TASKS['squad_v2'].score(text, ['two mills']) == {'em': 0, 'f1': 0}
    assert TASKS['squad_v2'].score(f'{text} question', [''])['em'] == 0


@pytest.mark.parametrize('error', [ConnectionError('no route\nat all'), OSError(28, 'No space left')])
def test_no_network_says_what_to_fetch(monkeypatch, error):
    """In the system's own words: it may not be the network."""
    import datasets

    def refused(*_, **__):
        raise error
    monkeypatch.setattr(datasets, 'load_dataset_builder', refused)
    reason = 'no route' if error.errno is None else 'No space left'
    says = rf'allenai/quac \(validation\) could not be fetched \(.*{reason}\).*--data_dir'
    with pytest.raises(UserError, match=says):
        load_task('quac', 1, 0)


def test_local_files_are_read_without_a_request(root, data):
    """datasets tells a server of each file that it reads, unless it is told not to."""
    code = ('import socket, sys; names = []\n'
            'socket.getaddrinfo = lambda *names_: names.append(names_) or []\n'
            'from downstream.fewshot import load_task\n'
            f'print(len(load_task("drop", 2, 0, {data!r}).items), names)')
    settings = {name: value for name, value in os.environ.items() if not name.startswith('HF_')}
    command = [sys.executable, '-c', code]
    out = subprocess.run(command, cwd=root, capture_output=True, text=True, env=settings)
    assert out.stdout.strip() == '8 []', out


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
        loaded = load_task(name, 1, 0)
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
        loaded = load_task(name, 1, 0, data)
        section = text[text.index(f'## {name}\n'):].split('## ')[1]
        assert f'```text\n{prompt_of(loaded.items[0], loaded.shots)}\n```' in section


def test_parquet_is_read_too(tmp_path, data):
    import datasets
    (tmp_path / 'asdiv').mkdir()
    datasets.Dataset.from_list([MAKERS['asdiv'](i) for i in range(1, 9)]).to_parquet(
        str(tmp_path / 'asdiv' / 'validation.parquet'))
    read, same = load_task('asdiv', 2, 0, str(tmp_path)), load_task('asdiv', 2, 0, data)
    assert read.items == same.items and read.shots == same.shots


def test_tasks_and_metrics_need_no_torch(root):
    code = ('import sys; sys.argv = ["x"]; sys.modules["torch"] = None\n'
            'from downstream import fewshot, metrics; print(len(fewshot.ALL))')
    out = subprocess.run([sys.executable, '-c', code], cwd=root, capture_output=True, text=True)
    assert out.stdout.strip() == '19', out.stderr
