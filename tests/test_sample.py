"""What is shown: the answer after every loop, right or wrong, aligned; notes; text."""
import re

import pytest
import torch
from training import PARITY, PARITY_NTP, run

import sample
from engine.checkpoint import load_model
from engine.errors import UserError
from engine.runtime import start
from engine.stopping import all_steps

CPU = ['--device=cpu', '--dtype=float32']


def shown(capsys, *arguments):
    capsys.readouterr()
    sample.main([*map(str, arguments), *CPU])
    return capsys.readouterr().out.splitlines()


def test_the_answer_after_every_loop_of_an_adaptive_model(tmp_path, capsys):
    folder = run(tmp_path / 'run', **PARITY)
    lines = shown(capsys, folder, '--prompt=10110', '--checkpoint=ckpt.pt')
    assert lines[0] == f'{folder}: 1x6 on parity, trained for 12 steps with as many loops as a problem needs'
    assert lines[2] == '10110>  true answer: 1'
    assert [line.split()[1].rstrip(':') for line in lines[3:10]] == list('1234567')
    assert sum('stops here' in line for line in lines[3:]) == 1
    assert len(lines) == 3 + 7 or 'stops here' in lines[10]  # it searches to loop 25
    assert [line for line in lines if 'as needed' in line] == lines[7:8]  # after loop 5
    assert all(line.endswith(('  right', '  wrong')) for line in lines[3:])
    assert len({len(line) for line in lines[3:]}) == 1
    some = shown(capsys, folder, '--prompt=10110', '--loops=2,6')
    assert [line.split(':')[0].split('(')[0].strip() for line in some[3:]] == ['loops 2', 'loops 6']


def test_cross_entropies_and_verdicts_are_those_of_the_evaluation(tmp_path, capsys):
    """On the problems of the test split: the same tokens are scored."""
    folder = run(tmp_path / 'run', **PARITY)
    model, task, _, _ = load_model(folder)
    batch = task.eval_batch('test', 4, 0, 3)
    with torch.inference_mode():
        confidences, right, _ = all_steps(model, start('cpu', 'float32', 'False'), batch, 24)
    counts = f"--loops={','.join(map(str, range(1, 25)))}"
    lines = [line for line in shown(capsys, folder, counts) if line.startswith('  loops')]
    problems = sample.choose_problems(sample.SampleConfig(), task)
    assert len(lines) == 72 and len(problems) == 3
    for i, (prompt, truth) in enumerate(problems):
        stop = next(t for t in range(24) if 'stops here' in lines[24 * i + t])
        assert stop == confidences[:, i].argmin()
        answers = sample.full_answers(model, task, prompt, range(1, 25))
        for t, (_, tokens, cross_entropy) in enumerate(answers):
            assert cross_entropy == pytest.approx(confidences[t, i].item(), rel=1e-5)
            assert (tokens == truth) == right[t, i]
            line = lines[24 * i + t]
            assert f'cross entropy {cross_entropy:.1e}  ' in line
            assert line.endswith('right' if right[t, i] else 'wrong')


def test_an_answer_that_is_shorter_than_another_is_read_to_the_end_of_the_row(tmp_path, capsys):
    """No ones give the empty answer; the row does not tell."""
    flags = PARITY | dict(task='binary_sum', max_length=7, test_lengths=(7,), interval=0)
    folder = run(tmp_path / 'run', **flags)
    lines = shown(capsys, folder, '--prompt=0000000', '--loops=1,0,30')
    assert lines[2] == '0000000>  true answer: ' and len(lines) == 3 + 3
    model, task, _, _ = load_model(folder)
    prompts = [task.encode(text) for text in ('0000000', '1111111')]
    found = [next(sample.full_answers(model, task, prompt, (1,))) for prompt in prompts]
    assert {len(tokens) for _, tokens, _ in found} == {3 + 2}  # 7 is 111, and two EOS


@pytest.mark.parametrize('option,says', [
    ('--temperature=nan', 'takes a number'), ('--temperature=inf', 'takes a number'),
    ('--temperature=1e-40', '0.001 to 1000'), ('--temperature=1001', '0.001 to 1000'),
    ('--temperature=-1', 'not negative'), ('--seed=2147483648', 'below 2\\^31'),
    ('--seed=99999999999999999999', 'whole number'), ('--batch=99999999999', 'below 2\\^31'),
    ('--loops=-1', '0 to 10000'), ('--loops=1,10001', '0 to 10000'), ('--top_k=-1', 'not negative')])
def test_numbers_out_of_range_are_refused_before_a_run_is_looked_for(option, says):
    with pytest.raises(UserError, match=says):
        sample.main(['nowhere', option, *CPU])


def test_the_coldest_and_the_hottest_temperature(tmp_path, capsys):
    folder = run(tmp_path / 'run')
    arguments = [folder, '--prompt=1:abcabca', '--batch=4', '--loops=2']
    greedy = shown(capsys, *arguments)[3].split()
    cold = shown(capsys, *arguments, '--temperature=0.001')[3:]
    assert {line.split()[4] for line in cold} == {greedy[4]}
    assert len(shown(capsys, *arguments, '--temperature=1000', '--top_k=2')) == 3 + 4


def test_a_prompt_beyond_the_trained_context_is_noted(tmp_path, capsys):
    arguments = ['--prompt=1:abcabca', '--max_new_tokens=3', '--loops=2']
    note = 'note: the model was trained on 9 tokens at a time, and these are 10'
    assert shown(capsys, run(tmp_path / 'rope'), *arguments)[1] == note
    assert note not in shown(capsys, run(tmp_path / 'again'), *arguments[::2])
    assert note not in shown(capsys, run(tmp_path / 'none', positions='none'), *arguments)


@pytest.mark.parametrize('changes', [dict(), PARITY_NTP | dict(task='copy', answer='fap', stages='1x2'),
                                     PARITY_NTP | dict(task='copy', stages='1x2')])
def test_a_fixed_loop_count_is_marked(tmp_path, capsys, changes):
    folder = run(tmp_path / 'run', **changes)
    lines = shown(capsys, folder, '--batch=2', '--checkpoint=ckpt.pt')
    assert lines[0].endswith('trained for 12 steps with 2 loops') and len(lines) == 1 + 2 * 6
    for problem in (lines[2:7], lines[8:]):
        truth = re.search('true answer: (.*)', problem[0])[1]
        assert [line.split()[1].rstrip(':') for line in problem[1:]] == ['1', '2', '3', '4']
        assert [line for line in problem if 'as trained' in line] == problem[2:3]
        for line in problem[1:]:
            answer = re.match(r'  loops \d(?: \(as trained\))?: +(\S*)', line)[1]
            assert line.endswith('wrong') or answer == truth


def test_right_is_what_is_true(tmp_path, capsys):
    """Of a plain model: one answer for each problem, right exactly where it is the true one."""
    folder = run(tmp_path / 'run', stages='2x1', supervise='answer', max_steps=40, optimizer='adamw',
                 learning_rate=1e-2)
    lines = shown(capsys, folder, '--batch=30', '--checkpoint=ckpt.pt')
    assert lines[0].endswith('2x1 on phop, trained for 40 steps')
    verdicts = set()
    for problem, line in zip(lines[2::3], lines[3::3], strict=True):
        match = re.fullmatch(r'  answer:  (\S+)  probability +[\d.]+%  (right|wrong)', line)
        answer, verdict = match.groups()
        assert (verdict == 'right') == problem.endswith(f'true answer: {answer}')
        verdicts.add(verdict)
    assert verdicts == {'right', 'wrong'}
    with pytest.raises(UserError, match='2x1 holds no loop'):
        sample.main([folder, '--loops=2', *CPU])


def test_several_samples_of_a_prompt(tmp_path, capsys):
    folder = run(tmp_path / 'run', positions='learned')
    arguments = [folder, '--prompt=1:abcabca', '--temperature=2', '--loops=1,2', '--batch=4']
    lines = shown(capsys, *arguments)
    assert len(lines) == 3 + 2 * 4 and lines == shown(capsys, *arguments)
    assert lines[3:] != shown(capsys, *arguments, '--seed=1')[3:]
    with pytest.raises(UserError, match='end at 9: a prompt of 8 tokens leaves no room for 3'):
        sample.main([*arguments, '--max_new_tokens=3', *CPU])
    with pytest.raises(UserError, match="holds 'x'"):
        sample.main([folder, '--prompt=xyz', *CPU])
