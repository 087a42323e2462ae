"""Prompts that fit a model's context, and files of answers that a kill cut."""
import pytest

from downstream import answers
from downstream.adapters import load_language_model
from downstream.fewshot import load_task, prompt_of


def test_long_prompts_lose_their_first_shots_and_then_their_beginning(trained, data):
    lm = load_language_model(trained)
    loaded = load_task('asdiv', 3, 0, data)
    texts = [prompt_of(loaded.items[0], loaded.shots[dropped:]) for dropped in range(4)]
    for dropped, text in enumerate(texts):
        lm.model.config.block_size = len(text) + 7
        fitted = answers.fit_prompt(lm, loaded, 0, 8)
        assert (fitted.dropped, fitted.cut) == (dropped, False)
        assert lm.decode(fitted.tokens) == text
    lm.model.config.block_size = 27
    fitted = answers.fit_prompt(lm, loaded, 0, 8)
    assert fitted.cut and lm.decode(fitted.tokens) == texts[-1][-20:]


def test_files_of_answers_keep_whole_lines_of_the_same_settings(tmp_path):
    path = str(tmp_path / 'part')
    settings, lines = dict(model='é'), [dict(number=n, answer='ü') for n in (4, 1)]
    answers.append_answers(path, settings, lines)
    assert answers.read_answers([path, str(tmp_path / 'none')], settings) == {4: lines[0], 1: lines[1]}
    with open(path, 'a', encoding='utf-8') as file:
        file.write('{"number": 2, "ans')
    answers.append_answers(path, settings, [dict(number=3, answer='')])
    assert list(answers.read_answers([path], settings)) == [4, 1, 3]
    with open(path, encoding='utf-8') as file:
        assert file.readlines()[1] == '{"number": 4, "answer": "ü"}\n'
    assert answers.read_answers([path], dict(model='e')) == {}
    answers.append_answers(path, dict(model='e'), lines[:1])
    assert answers.read_answers([path], settings) == {}


@pytest.mark.parametrize('rest', ['{"number": 2, "answer": "ü"}'.encode()[:-3], b'\xff\xfe\x00', bytes(4096),
                                  b'null', b'[7]', b'7', b'{"answer": "x"}', b''])
def test_what_a_kill_or_a_power_cut_left_is_not_a_line(tmp_path, rest):
    """Half a character, zero bytes, JSON of another kind: the lines before and after count."""
    path, settings = str(tmp_path / 'part'), dict(model='é')
    answers.append_answers(path, settings, [dict(number=4, answer='ü')])
    with open(path, 'ab') as file:
        file.write(rest + b'\n{"number": 9, "answer": ""}\n' + rest)
    assert list(answers.read_answers([path], settings)) == [4, 9]
    answers.append_answers(path, settings, [dict(number=3, answer='')])
    assert list(answers.read_answers([path], settings)) == [4, 9, 3]
    with open(path, 'rb') as file:
        assert file.read().count(b'\n') == 4
