"""eval_downstream.py end to end, with a tiny model of bytes on invented records of all 19 tasks."""
import csv
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import torch
from records import PASSAGE, train_on_bytes, write_all
from training import command, rows, run

import bench
import eval_downstream
from downstream import answers
from downstream.adapters import LanguageModel, load_language_model
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
    lm = LanguageModel('golds', model, lambda text: list(Bytes().encode(text)), None, [], 256, 4, 7)
    monkeypatch.setattr(eval_downstream, 'load_language_model', lambda *_: lm)
    for answer_of, score in ((lambda item: item.answer.strip(), 1), (lambda item: 'zebra 999983', 0)):
        def generate(lm, name, prompts, *_, answer_of=answer_of):
            for prompt in prompts:
                yield dict(number=prompt.number, answer=answer_of(loaded.items[prompt.number]),
                           prompt_tokens=1, dropped=0, cut=False)
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


def disagreeing(record):
    return record | {'answers': dict(texts=[[f'mill {i}', 'Ada Grey of Ladle'] for i in range(3)])}


@pytest.mark.parametrize('name,change,says', [
    ('triviaqa', lambda record: record | {'answer': dict(value='Ada', aliases=[])}, 'row 7 .* without gold'),
    ('svamp', lambda record: record | {'Answer': None}, "row 15 of train.test lacks 'Answer'"),
    ('quac', disagreeing, 'people agree on none of its 1 questions'),
    ('drop', None, 'has no validation.parquet')])
def test_all_records_are_checked_before_the_first_prompt(name, change, says, trained, data, tmp_path,
                                                         monkeypatch):
    """Those of the last task too, and those past the limit; nothing is answered or written."""
    shutil.copytree(data, tmp_path / 'data')
    path = tmp_path / 'data' / name / f"{TASKS[name].split.split('+')[-1]}.jsonl"
    lines = path.read_text(encoding='utf-8').splitlines()
    path.unlink()
    if change is not None:
        lines[0 if name == 'quac' else 7] = json.dumps(change(json.loads(lines[7])))
        path.write_text('\n'.join(lines), encoding='utf-8')
    monkeypatch.setattr(answers, 'answer_batch', None)
    for tasks in 'natural_questions,' + name, 'all':
        with pytest.raises(UserError, match=f'{name}.*{says}'):
            evaluate(trained, f'--data_dir={tmp_path}/data', f'--tasks={tasks}', '--limit=1', '--shots=0',
                     f'--out_dir={tmp_path}/out')
    assert not (tmp_path / 'out').exists()


def test_prompts_of_all_tasks_are_tried_before_the_first_answer(trained, data, tmp_path, monkeypatch):
    """Answers to closed books have room where those to open ones have none; letters that a model lacks."""
    monkeypatch.setattr(answers, 'answer_batch', None)
    lm = load_language_model(trained)
    lm.model.config.block_size = 4 * 48
    monkeypatch.setattr(eval_downstream, 'load_language_model', lambda *_: lm)
    evaluate_nothing = [f'--data_dir={data}', f'--out_dir={tmp_path}', '--tasks=natural_questions,drop']
    lm.model.config.block_size -= 1
    with pytest.raises(UserError, match='an answer of 192 tokens leaves no room .* context of 191'):
        evaluate(trained, *evaluate_nothing)
    monkeypatch.undo()
    monkeypatch.setattr(answers, 'answer_batch', None)
    folder = run(tmp_path / 'run', task='variables', max_steps=3)
    with pytest.raises(UserError, match='form=inline one at a time'):
        evaluate(folder, '--tasks=inline_depth0,math_depth0', '--shots=0', f'--out_dir={tmp_path}')
    assert not list(tmp_path.glob('downstream/*'))


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
    (['--limit=-1'], 'limit'), (['--loops=-1'], 'loops takes a whole number, 0 to'),
    (['--loops=2,99999999999999'], 'loops takes'), (['--seed=99999999999999999999'], 'seed takes'),
    (['--batch_size=0'], 'batch_size takes'), (['--batch_size=nan'], 'batch_size takes'),
    (['--shots=-2'], 'shots takes a whole number, -1 or more'), (['--limit=1e3'], 'limit takes'),
    (['--show=-1'], 'show takes'), (['--max_new_tokens=9223372036854775807'], 'leaves no room'),
    (['--tasks='], 'tasks is empty'), (['--tasks=,'], 'tasks is empty'),
    (['--tasks=drop', '--revision=abc'], 'no --data_dir'),
    (['--checkpoint=last.pt'], 'no checkpoint at .*last.pt; there is best.pt')])
def test_bad_input_is_one_line(trained, data, arguments, says, tmp_path):
    folder = tmp_path if '--checkpoint=all' in arguments else trained
    with pytest.raises(UserError, match=says) as error:
        evaluate(folder, *arguments, *([] if '--data_dir' in str(arguments) else [f'--data_dir={data}']))
    assert '\n' not in str(error.value)


def test_the_checkpoint_is_the_best_one(trained, data, tmp_path, monkeypatch):
    """As those of the other commands are; where there is none the others are named. ~ is the home folder."""
    arguments = [f'--data_dir={data}', '--tasks=asdiv', '--limit=1', '--max_new_tokens=5']
    copy = tmp_path / 'copy'
    shutil.copytree(trained, copy, ignore=shutil.ignore_patterns('ckpt.pt'))
    monkeypatch.setenv('HOME', str(tmp_path))
    row, = evaluate(copy, *arguments, '--out_dir=~/scores')
    assert row['step'] == '6' and (tmp_path / 'scores' / 'downstream_limit1.csv').exists()
    shutil.copy(f'{trained}/ckpt.pt', copy)
    (copy / 'best.pt').unlink()
    with pytest.raises(UserError, match='best.pt; there is ckpt.pt.*--checkpoint=ckpt.pt'):
        evaluate(copy, *arguments)


def test_rows_of_another_version_stay(trained, data, tmp_path):
    """With fewer columns, and with more; of the same step, loops and task the new row counts."""
    arguments = [f'--data_dir={data}', '--tasks=asdiv,svamp', '--max_new_tokens=5', f'--out_dir={tmp_path}']
    (tmp_path / 'downstream.csv').write_text(
        'task,step,loops,score,nats\nasdiv,6,2,0.5,1.5\ndrop,3,2,0.25,2.5\ncoqa,3,2', encoding='utf-8')
    rows = evaluate(trained, *arguments)
    assert [(row['step'], row['task'], row['nats']) for row in rows] == [
        ('3', 'drop', '2.5'), ('3', 'coqa', ''), ('6', 'asdiv', ''), ('6', 'svamp', '')]
    assert rows[0]['score'] == '0.25' and rows[0]['source'] == '' and rows[3]['source']
    assert evaluate(trained, *arguments) == rows


@pytest.mark.parametrize('text', ['a,b\n1,2\n', 'step,loops,task\n6,2,asdiv,0.5\n', '\n\n{"step": 6}\n7\n'])
def test_a_table_of_another_kind_is_found_before_the_first_prompt(text, trained, data, tmp_path, monkeypatch):
    monkeypatch.setattr(answers, 'answer_batch', None)
    (tmp_path / 'downstream.csv').write_text(text, encoding='utf-8')
    with pytest.raises(UserError, match='downstream.csv, line 2, is no row of this command; move'):
        evaluate(trained, f'--data_dir={data}', '--tasks=asdiv', f'--out_dir={tmp_path}')
    assert (tmp_path / 'downstream.csv').read_text(encoding='utf-8') == text


def test_a_folder_that_takes_no_files_is_found_before_the_first_prompt(trained, data, tmp_path, monkeypatch):
    """Before the model is loaded; here a file stands in its place."""
    monkeypatch.setattr(eval_downstream, 'load_language_model', None)
    (tmp_path / 'file').write_text('', encoding='utf-8')
    with pytest.raises(OSError, match='Not a directory'):
        evaluate(trained, f'--data_dir={data}', '--tasks=asdiv', f'--out_dir={tmp_path}/file')


def test_answers_of_a_run_that_was_trained_anew_are_not_taken(trained, data, tmp_path, monkeypatch):
    """The same folder, checkpoint and step, other weights. A loop count that is given twice counts once."""
    folder, calls, real = tmp_path / 'run', [], answers.answer_batch
    shutil.copytree(trained, folder)
    monkeypatch.setattr(answers, 'answer_batch', lambda *args: calls.append(1) or real(*args))
    arguments = [f'--data_dir={data}', '--tasks=asdiv', '--max_new_tokens=5', '--loops=2,2']
    assert len(evaluate(folder, *arguments)) == 1 and len(calls) == 1
    evaluate(folder, *arguments)
    assert len(calls) == 1
    checkpoint = torch.load(folder / 'best.pt', weights_only=True)
    for weight in checkpoint['model'].values():
        weight += 1e-4
    torch.save(checkpoint, folder / 'best.pt')
    evaluate(folder, *arguments)
    assert len(calls) == 2


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
    for change in ('every_language=True', 'seed=1', 'shots=1', 'checkpoint=ckpt.pt', 'max_new_tokens=19'):
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
