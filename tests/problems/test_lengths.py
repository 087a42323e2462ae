"""The six tasks of Fan et al. 2025 against brute force written on text."""
import numpy as np
import pytest

from problems.lengths import LENGTH_TASKS, N_EOS
from problems.task import IGNORE


def by_hand(task: str, query: list[str]) -> list[str]:
    """The answer's symbols, from the symbols of the query."""
    text = ''.join(query)
    if task == 'parity':
        return [str(text.count('1') % 2)]
    if task == 'copy':
        return query
    if task == 'binary_addition':
        a, b = text.split('+')
        return list(format(int(a, 2) + int(b, 2), f'0{len(a) + 1}b'))
    if task == 'binary_sum':
        return list(format(text.count('1'), 'b')[::-1])
    if task == 'multiplication':
        a, b = text.split('*')
        return list(format(int(a[::-1], 2) * int(b[::-1], 2), f'0{len(a) + len(b)}b')[::-1])
    return list(dict.fromkeys(query))


def needed(task: str, query: list[str], n: int) -> int:
    """T(n) as the paper defines it."""
    return n * (2 if query[2] == '*' else 1) if task == 'multiplication' else n


@pytest.mark.parametrize('pause_tokens', [0, 3])
@pytest.mark.parametrize('answer', ['fap', 'ntp'])
@pytest.mark.parametrize('name', LENGTH_TASKS)
def test_rows_are_what_brute_force_makes(name, answer, pause_tokens):
    """Tokens, targets, mask and T of lengths from 1 to beyond training, in a batch of mixed lengths."""
    adaptive = answer == 'fap'
    task = LENGTH_TASKS[name](max_length=9, test_lengths=(1, 14), interval=0, answer=answer,
                              pause_tokens=pause_tokens, adaptive_loops=adaptive)
    lengths = np.repeat([1, 2, 5, 9, 14], 40)
    batch = task.batch(task.examples('test', 0, np.arange(200), lengths))
    widths = []
    for i, n in enumerate(lengths):
        words = [task.words[token] for token in batch.tokens[i]]
        query = words[:words.index('>')]
        right = by_hand(name, query) + ['#']
        eos = ['#'] * (N_EOS - 1 if answer == 'fap' else 0)
        start = len(query) + pause_tokens
        scored = batch.targets[i] != IGNORE
        assert scored.nonzero()[0].tolist() == list(range(start, start + len(right + eos)))
        assert [task.words[token] for token in batch.targets[i][scored]] == right + eos
        given = ['>'] + ['.'] * pause_tokens + (right if answer == 'ntp' else ['#'] * len(right + eos))
        assert words[len(query):start + len(right)] == given[:len(right) + pause_tokens]
        assert set(words[start + len(right):]) <= {'#'}
        assert set(query) <= set(task.symbols) and (not adaptive or batch.loops[i] == needed(name, query, n))
        assert task.solve(task.encode(task.join.join(query))) == [task.words.index(word) for word in right]
        widths.append(start + len(right + eos))
    assert batch.tokens.shape == batch.targets.shape == (200, max(widths)) and max(widths) <= task.block_size


@pytest.mark.parametrize('name,text,answer', [
    ('parity', '0', '0'), ('parity', '1', '1'), ('parity', '0000', '0'), ('parity', '1' * 101, '1'),
    ('copy', '001', '001'), ('copy', '0' * 40, '0' * 40), ('binary_addition', '0+0', '00'),
    ('binary_addition', '1+1', '10'), ('binary_addition', '001+111', '1000'),
    ('binary_addition', '1' * 70 + '+' + '1' * 70, '1' * 70 + '0'), ('binary_sum', '0000', '0'),
    ('binary_sum', '1110', '11'), ('binary_sum', '1' * 8, '0001'), ('multiplication', '01*001', '00010'),
    ('multiplication', '0*0', '00'), ('multiplication', '11*11', '1001'),
    ('unique_set', '1 4 2 2 4 3', '1 4 2 3'), ('unique_set', '7', '7'),
    ('unique_set', ' '.join(['50'] * 30), '50')])
def test_answers_of_odd_inputs(name, text, answer):
    task = LENGTH_TASKS[name]()
    assert task.decode(task.solve(task.encode(text))) == answer
    assert task.solve(task.encode(text + '>')) == task.solve(task.encode(text))


def test_lengths_join_one_by_one_and_are_uniform():
    task = LENGTH_TASKS['copy'](max_length=4, interval=10, adaptive_loops=True)
    for step, longest in ((0, 1), (9, 1), (10, 2), (29, 3), (30, 4), (99, 4)):
        assert set(task.train_batch(0, step, 200).loops.tolist()) == set(range(1, longest + 1))
    counts = np.bincount(task.train_batch(0, 50, 8000).loops)[1:] / 8000
    assert np.abs(counts - 0.25).max() < 0.02


def test_symbols_and_forms_are_uniform():
    unique, product = (LENGTH_TASKS[name](max_length=8) for name in ('unique_set', 'multiplication'))
    rows = unique.examples('train', 0, np.arange(4000), np.full(4000, 8))
    shares = np.bincount(rows[:, :8].ravel(), minlength=50) / 32_000
    assert shares.shape == (50,) and np.abs(shares - 0.02).max() < 0.004
    signs = (product.examples('train', 0, np.arange(4000), np.full(4000, 8)) == 2).argmax(1)
    assert set(signs) == {1, 2} and abs((signs == 1).mean() - 0.5) < 0.03


def test_batches_differ_by_step_and_seed_and_join_from_parts():
    task = LENGTH_TASKS['parity'](max_length=19, adaptive_loops=True)
    whole = task.train_batch(1, 30_000, 64)
    parts = [task.train_batch(1, 30_000, 64, *part) for part in ((0, 20), (20, 64))]
    assert np.concatenate([part.loops for part in parts]).tolist() == whole.loops.tolist()
    for part, rows in zip(parts, (slice(0, 20), slice(20, 64)), strict=True):
        width = part.tokens.shape[1]
        assert (part.targets == whole.targets[rows, :width]).all()
    others = (task.train_batch(2, 30_000, 64), task.train_batch(1, 30_001, 64))
    assert all(other.loops.tolist() != whole.loops.tolist() for other in others)


@pytest.mark.parametrize('name,text,says', [
    ('parity', '10a1', "'a'"), ('parity', '', "''|empty"), ('binary_addition', '10+1', '2 and 1 bits'),
    ('binary_addition', '101', 'joined by'), ('multiplication', '111*1', '1 or 2 are possible'),
    ('unique_set', '1 51', 'numbers 1 to 50'), ('unique_set', '1,2', 'numbers 1 to 50')])
def test_bad_prompts_say_what_is_possible(name, text, says):
    task = LENGTH_TASKS[name]()
    with pytest.raises(ValueError, match=says):
        task.solve(task.encode(text))


@pytest.mark.parametrize('options,says', [
    (dict(max_length=0), 'max_length=0, test_lengths=.*lengths are 1 to 1000'),
    (dict(test_lengths=(5, 1001)), '1 to 1000'), (dict(interval=-1), 'interval=-1 must not be negative'),
    (dict(pause_tokens=-1), 'pause_tokens=-1 must be 0 to 1000'), (dict(pause_tokens=1001), '0 to 1000'),
    (dict(answer='ntp', adaptive_loops=True), 'adaptive_loops goes with answer=fap')])
def test_bad_options_are_named(options, says):
    with pytest.raises(ValueError, match=says):
        LENGTH_TASKS['copy'](**options)


def test_validation_looks_at_four_trained_lengths_and_the_test_at_those_given():
    task = LENGTH_TASKS['copy'](max_length=19, test_lengths=(3, 40))
    assert task.evaluated('val') == (1, 7, 13, 19) and task.evaluated('test') == (3, 40)
    task = LENGTH_TASKS['copy'](max_length=2)
    assert task.evaluated('val') == task.evaluated('test') == (1, 2)


def test_the_commonest_answer_is_a_baseline():
    task = LENGTH_TASKS['parity'](max_length=2)
    batch = task.eval_batch('test', 2, 0, 101)
    right = task.baselines(batch)['majority answer']
    answers = batch.targets[batch.targets != IGNORE].reshape(101, -1)[:, 0]
    assert right.sum() == max(np.bincount(answers)) and (right == (answers == answers[right][0])).all()
