"""The 19 few-shot tasks on local files of their record shapes: which data, which shots, what is scored."""
import json
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
    ('triviaqa', lambda record: record.pop('question'), "row 0 of validation lacks 'question'"),
    ('triviaqa', lambda record: record['answer'].pop('aliases'), "row 0 of validation lacks 'aliases'"),
    ('coqa', lambda record: record.update(story=None, answers=None), "lacks 'answers'|lacks 'story'"),
    ('drop', lambda record: record.pop('validated_answers'), "lacks 'validated_answers'")])
def test_a_missing_field_is_named(name, change, says, data, tmp_path):
    with pytest.raises(UserError, match=says):
        load_task(name, 0, 0, spoil(data, tmp_path, name, change))


def test_no_network_says_what_to_fetch(monkeypatch):
    import datasets

    def refused(*_, **__):
        raise ConnectionError('no route')
    monkeypatch.setattr(datasets, 'load_dataset_builder', refused)
    with pytest.raises(UserError, match=r'allenai/quac \(validation\) could not be fetched .*--data_dir'):
        load_task('quac', 1, 0)


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
