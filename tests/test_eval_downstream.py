"""eval_downstream.py end to end, with a tiny model of bytes on invented records of all 19 tasks."""
import csv
import json
import os
import re
import subprocess
import sys

import pytest
from records import PASSAGE, train_on_bytes, write_all
from training import command, rows, run

import bench
import eval_downstream
from downstream import answers
from downstream.adapters import LanguageModel
from downstream.fewshot import ALL, TASKS, LoadedTask, load_task
from engine.configurator import configure
from engine.errors import UserError
from eval_downstream import DownstreamConfig
from problems.text import Bytes
from stages import parse_stages


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_all(tmp_path_factory.mktemp('data'))


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    return train_on_bytes(tmp_path_factory.mktemp('lm'))


def evaluate(folder, *arguments):
    """eval_downstream.py on a folder; the rows of downstream.csv."""
    config, words = configure(DownstreamConfig, [str(folder), '--device=cpu', '--dtype=float32', *arguments],
                              '', positional='words')
    eval_downstream.main(config, words)
    limited = f'_limit{config.limit}' if config.limit else ''
    with open(f'{config.out_dir or folder}/downstream{limited}.csv', encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))


def lines_of(folder, name):
    path, = folder.glob(f'downstream*/{name}_step*.jsonl')
    return [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()[1:]]


@pytest.mark.parametrize('name', [*ALL, 'inline_depth1'])
def test_golds_score_100_and_nonsense_0(name, data, monkeypatch, tmp_path):
    """Through the whole evaluator but the model. QuAC's questions on which people differ are not counted."""
    loaded = load_task(name, TASKS[name].shots, 0, data)
    sizes = type('Config', (), dict(block_size=10 ** 6))
    model = type('Model', (), dict(stages=parse_stages('2x1'), config=sizes))
    lm = LanguageModel('golds', model, Bytes().encode, None, [], 256, 4, 7)
    monkeypatch.setattr(eval_downstream, 'load_language_model', lambda *_: lm)
    for answer_of, score in ((lambda item: item.answer.strip(), 1), (lambda item: 'zebra 999983', 0)):
        def generate(lm, name, prompts, *_, answer_of=answer_of):
            for fitted in prompts:
                number = fitted.prompt.number
                yield dict(number=number, answer=answer_of(loaded.items[number]), prompt_tokens=1, dropped=0,
                           cut=False)
        monkeypatch.setattr(answers, 'generate_answers', generate)
        row, = evaluate(tmp_path / str(score), f'--tasks={name}', f'--data_dir={data}')
        assert (float(row['score']), float(row['standard_error'])) == (score, 0)
        assert int(row['count']) == len(loaded.items) and row['group'] == TASKS[name].group


def test_questions_on_which_people_differ_are_not_counted():
    """QuAC's rule; what was left out for length is counted in all."""
    loaded = LoadedTask([], [], 'here')
    told = [dict(em=score, f1=score, human_f1=human, dropped=1, cut=True)
            for score, human in ((0.5, 1), (0.1, 0.4), (0.9, 0.39))]
    row = eval_downstream.task_row('quac', loaded, told, 7, 2)
    assert (row['count'], row['score'], row['shots_dropped'], row['prompts_cut']) == (2, 0.3, 3, 3)
    with pytest.raises(UserError, match='people agree on none of its 1 questions'):
        eval_downstream.task_row('quac', loaded, told[2:], 7, 2)


def test_all_19_with_a_trained_model(trained, data, tmp_path, capsys, monkeypatch):
    """Rows, group means, answers on disk; nothing is computed twice; each answer as it is one by one."""
    arguments = [f'--data_dir={data}', '--limit=3', '--max_new_tokens=20', f'--out_dir={tmp_path}']
    rows = evaluate(trained, *arguments)
    assert [row['task'] for row in rows] == list(ALL) and {row['step'] for row in rows} == {'6'}
    assert {row['loops'] for row in rows} == {'2'} and all(0 <= float(row['score']) <= 1 for row in rows)
    printed = capsys.readouterr().out
    assert [int(n) for n in re.findall(r'mean of (\d+) tasks', printed)] == [4, 5, 6, 4]
    monkeypatch.setattr(answers, 'answer_batch', None)
    assert evaluate(trained, *arguments) == rows
    monkeypatch.undo()
    alone = ['--batch_size=1', '--share_prefix=False', *arguments[:3], f'--out_dir={tmp_path}/alone']
    assert evaluate(trained, *alone) == rows
    seen = set()
    for name in ALL:
        kept, one = lines_of(tmp_path, name), lines_of(tmp_path / 'alone', name)
        assert kept == one and [line['number'] for line in kept] == list(range(len(kept)))
        seen |= {line['answer'] for line in kept}
    assert len(seen) > 19


def test_an_answer_has_the_tasks_own_number_of_tokens(trained, data, tmp_path, monkeypatch):
    """Of GPT-2's tokens: four times as many bytes."""
    seen, real = [], answers.answer_batch

    def counting(prefix, rows, n_new, stops, share):
        seen.append(n_new)
        return real(prefix, rows, 1, stops, share)
    monkeypatch.setattr(answers, 'answer_batch', counting)
    evaluate(trained, f'--data_dir={data}', '--tasks=drop,asdiv,math_depth0', '--limit=1',
             f'--out_dir={tmp_path}')
    assert seen == [4 * 48, 4 * 24, 4 * 6]


@pytest.mark.parametrize('cut', [0, 10])
def test_a_killed_evaluation_goes_on_where_it_was(trained, data, tmp_path, monkeypatch, cut):
    """Killed after three batches, once in the middle of a line: no answer twice or missing, the same file."""
    arguments = [f'--data_dir={data}', '--tasks=coqa', '--batch_size=2', '--max_new_tokens=20']
    whole = evaluate(trained, *arguments, f'--out_dir={tmp_path}/whole')
    real, calls = answers.answer_batch, []

    def dying(*args):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*args)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(answers, 'answer_batch', dying)
        evaluate(trained, *arguments, f'--out_dir={tmp_path}/killed')
    part, = (tmp_path / 'killed').glob('downstream/*.part0')
    text = part.read_text(encoding='utf-8')
    assert text.count('\n') == 1 + 6
    part.write_text(text[:len(text) - cut], encoding='utf-8')
    monkeypatch.setattr(answers, 'answer_batch', lambda *args: calls.append(1) or real(*args))
    calls.clear()
    assert evaluate(trained, *arguments, f'--out_dir={tmp_path}/killed') == whole
    assert len(calls) == (16 - 6 + (cut > 0) + 1) // 2
    assert lines_of(tmp_path / 'killed', 'coqa') == lines_of(tmp_path / 'whole', 'coqa')
    assert not list((tmp_path / 'killed').glob('downstream/*.part*'))
    other = evaluate(trained, *arguments, '--shots=0', f'--out_dir={tmp_path}/killed')  # other settings: anew
    assert other[0]['shots'] == '0' and len(other) == 1


def test_every_kept_checkpoint_and_loop_count_has_its_rows(trained, data, tmp_path):
    rows = evaluate(trained, f'--data_dir={data}', '--tasks=asdiv,svamp', '--checkpoint=all', '--loops=1,2,3',
                    '--limit=2', '--max_new_tokens=20', f'--out_dir={tmp_path}')
    assert [(row['step'], row['loops'], row['task']) for row in rows] == [
        (step, loops, name) for step in '36' for loops in '123' for name in ('asdiv', 'svamp')]


def test_show_prints_prompts(trained, data, capsys):
    config, words = configure(DownstreamConfig, [trained, '--show=1', f'--data_dir={data}', '--tasks=drop'],
                              '', positional='words')
    eval_downstream.main(config, words)
    printed = capsys.readouterr().out
    assert printed.count(PASSAGE) == 3 and "--- golds: [('Ada Grey', 'Ladle')" in printed


@pytest.mark.parametrize('arguments,says', [
    (['--tasks=squadv2'], "no task 'squadv2'; did you mean squad_v2"),
    (['--tasks=drop', '--data_dir=nowhere'], 'nowhere/drop has no validation.parquet'),
    (['--checkpoint=all', '--tasks=drop', '--out_dir=elsewhere'], 'has no step_'),
    (['--revision=abc'], 'name one task'), (['--tasks=drop', '--max_new_tokens=700'], 'leaves no room'),
    (['--limit=-1'], 'limit'), (['--loops=-1'], 'cannot be negative')])
def test_bad_input_is_one_line(trained, data, arguments, says, tmp_path):
    folder = tmp_path if '--checkpoint=all' in arguments else trained
    with pytest.raises(UserError, match=says) as error:
        evaluate(folder, *arguments, *([] if '--data_dir' in str(arguments) else [f'--data_dir={data}']))
    assert '\n' not in str(error.value)


def test_answers_of_another_model_or_other_questions_are_not_taken(trained, data, tmp_path):
    """The same folder, step and task; what differs is the checkpoint, the loops, or the questions."""
    def anew(*arguments):
        called, real = [], answers.answer_batch
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(answers, 'answer_batch', lambda *args: called.append(1) or real(*args))
            evaluate(trained, f'--data_dir={data}', '--tasks=tydiqa_goldp', f'--out_dir={tmp_path}',
                     '--max_new_tokens=20', *arguments)
        return bool(called)
    assert anew() and not anew() and not anew('--loops=2')  # two is as trained
    assert not anew('--loops=2,2') and anew('--limit=4') and not anew() and anew('--loops=1') and not anew()
    for change in ('every_language=True', 'seed=1', 'shots=1', 'checkpoint=best.pt', 'max_new_tokens=19'):
        assert anew(f'--{change}') and anew() and not anew(), change


def test_a_model_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(UserError, match='has no tokenizer'):
        evaluate(run(tmp_path / 'phop'), '--tasks=math_depth0')


def test_a_trained_model_of_variables_is_evaluated_in_its_own_alphabet(tmp_path):
    """Its prompts take no shots; those of another form hold characters that it does not know."""
    folder = run(tmp_path / 'run', task='variables', max_steps=3)
    row, = evaluate(folder, '--tasks=inline_depth1', '--shots=0', '--limit=20')
    assert (row['count'], row['shots'], row['prompts_cut']) == ('20', '0', '0')
    for arguments in (['--tasks=math_depth0', '--shots=0'], ['--tasks=inline_depth0']):
        with pytest.raises(UserError, match='form=inline one at a time.* with --shots=0'):
            evaluate(folder, *arguments)


@pytest.mark.slow
def test_few_shot_evaluation_is_four_times_as_fast_as_one_by_one(tmp_path):
    """16 prompts with five shots each, a GPT-2 of 6 layers, float32; nothing shared, no cache, one by one."""
    pytest.importorskip('transformers')
    bench.main(['downstream', '--batch=16', '--repeats=1', f'--out={tmp_path}/b'])
    with open(tmp_path / 'b.csv', encoding='utf-8') as file:
        faster = {row['method']: float(row['ours_is_faster']) for row in csv.DictReader(file)}
    assert faster['one by one, uncached'] > 4 and faster['nothing shared'] > 1.5, faster


@pytest.mark.slow
def test_two_processes_answer_as_one(tmp_path, root):
    """The same rows and answers; what one of two wrote before a kill is kept by a single process."""
    training = command(tmp_path / 'run', '--task=variables', '--max_steps=20')
    subprocess.run(training, cwd=root, check=True, capture_output=True)
    words = ['eval_downstream.py', str(tmp_path / 'run'), '--tasks=inline_depth0,inline_depth1', '--shots=0',
             '--limit=100', '--batch_size=8', '--device=cpu', '--dtype=float32']
    one = [sys.executable, *words, f'--out_dir={tmp_path}/one']
    subprocess.run(one, cwd=root, check=True, capture_output=True)
    launcher = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    result = subprocess.run([*launcher, *words, f'--out_dir={tmp_path}/two'], cwd=root, capture_output=True,
                            text=True, env=os.environ | {'OMP_NUM_THREADS': '1'})
    assert result.returncode == 0 and result.stdout.count('inline_depth1') == 1, result.stderr
    name = 'downstream_limit100.csv'
    assert rows(tmp_path / 'one', name) == rows(tmp_path / 'two', name)
    path, = (tmp_path / 'one' / 'downstream_limit100').glob('inline_depth1*')
    other = tmp_path / 'two' / path.parent.name / path.name
    assert other.read_text(encoding='utf-8') == path.read_text(encoding='utf-8')
    lines = path.read_text(encoding='utf-8').splitlines(keepends=True)
    path.with_name(path.name + '.part1').write_text(''.join(lines[:30]), encoding='utf-8')
    path.unlink()
    subprocess.run(one, cwd=root, check=True, capture_output=True)
    assert path.read_text(encoding='utf-8') == other.read_text(encoding='utf-8')
