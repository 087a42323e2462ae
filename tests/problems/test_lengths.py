"""The six tasks of Fan et al. 2025 against brute force written on text."""
import numpy as np
import pytest
from oracles import length_answer

from problems.lengths import LENGTH_TASKS, N_EOS
from problems.task import IGNORE


def symbols_of(task, tokens):
    return [task.words[token] for token in tokens]


@pytest.mark.parametrize('name', LENGTH_TASKS)
def test_2000_problems_are_those_of_the_definition(name):
    """Query, answer, number of iterations, and the row, in training and in the test, up to length 40."""
    task = LENGTH_TASKS[name](max_length=40, interval=0, adaptive_loops=True)
    seen = 0
    for split in ('train', 'test'):
        for n in range(1, 41):
            rows = task.examples(split, 1, np.arange(25), np.full(25, n))
            batch = task.cut(task.batch(rows), n)
            for tokens, targets, loops in zip(*batch, strict=True):
                words = symbols_of(task, tokens)
                query = words[:words.index('>')]
                answer, needed = length_answer(name, query)
                assert set(query) <= set(task.symbols) and loops == needed
                first = len(query) - words[:len(query)].index('*') - 1 if name == 'multiplication' else needed
                assert first == n and (split == 'train' or name != 'multiplication' or query[2] == '*')
                scored = targets != IGNORE
                assert symbols_of(task, targets[scored]) == answer + ['#', '#']
                assert scored.argmax() == len(query) == words.index('>')
                assert words[len(query):] == ['>'] + ['#'] * (len(words) - len(query) - 1)
                seen += 1
    assert seen == 2000


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
    for i in range(200):
        words = symbols_of(task, batch.tokens[i])
        query = words[:words.index('>')]
        answer_symbols, needed = length_answer(name, query)
        right = answer_symbols + ['#']
        eos = ['#'] * (N_EOS - 1 if answer == 'fap' else 0)
        start = len(query) + pause_tokens
        scored = batch.targets[i] != IGNORE
        assert scored.nonzero()[0].tolist() == list(range(start, start + len(right + eos)))
        assert symbols_of(task, batch.targets[i][scored]) == right + eos
        given = ['>'] + ['.'] * pause_tokens + (right if answer == 'ntp' else ['#'] * len(right + eos))
        assert words[len(query):start + len(right)] == given[:len(right) + pause_tokens]
        assert set(words[start + len(right):]) <= {'#'}
        assert set(query) <= set(task.symbols) and (not adaptive or batch.loops[i] == needed)
        assert task.solve(task.encode(task.join.join(query))) == [task.words.index(word) for word in right]
    assert batch.tokens.shape == batch.targets.shape == (200, task.block_size)


@pytest.mark.parametrize('name,text,answer', [
    ('parity', '0', '0'), ('parity', '1', '1'), ('parity', '0000', '0'), ('parity', '1' * 101, '1'),
    ('copy', '001', '001'), ('copy', '0' * 40, '0' * 40), ('binary_addition', '0+0', '00'),
    ('binary_addition', '1+1', '10'), ('binary_addition', '001+111', '1000'),
    ('binary_addition', '1' * 70 + '+' + '1' * 70, '1' * 70 + '0'), ('binary_sum', '0000', ''),
    ('binary_sum', '1110', '11'), ('binary_sum', '1' * 8, '0001'), ('multiplication', '01*001', '10000'),
    ('multiplication', '0*0', '00'), ('multiplication', '11*11', '1001'),
    ('multiplication', '10*110', '00110'),  # 2 x 6
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
    for split in ('train', 'val', 'test'):
        signs = (product.examples(split, 0, np.arange(4000), np.full(4000, 8)) == 2).argmax(1)
        assert set(signs) == {2} if split == 'test' else abs((signs == 1).mean() - 0.5) < 0.03


def test_batches_differ_by_step_and_seed_and_join_from_parts():
    task = LENGTH_TASKS['parity'](max_length=19, adaptive_loops=True)
    whole = task.train_batch(1, 30_000, 64)
    parts = [task.train_batch(1, 30_000, 64, *part) for part in ((0, 20), (20, 64))]
    assert np.concatenate([part.loops for part in parts]).tolist() == whole.loops.tolist()
    for name in ('tokens', 'targets'):
        joined = np.concatenate([getattr(part, name) for part in parts])
        assert (joined == getattr(whole, name)).all()
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


@pytest.mark.parametrize('name', LENGTH_TASKS)
def test_the_width_of_a_batch_is_that_of_its_longest_length(name):
    """Whatever the problems of this process's part; so it does not tell where an answer ends, either."""
    task = LENGTH_TASKS[name](max_length=5, test_lengths=(2, 9), interval=10, adaptive_loops=True)
    for step, longest in ((0, 1), (39, 4), (40, 5), (900, 5)):
        widths = {task.train_batch(0, step, 16, i, i + 1).tokens.shape[1] for i in range(16)}
        assert widths == {task.width(longest)} == {task.train_batch(0, step, 16).targets.shape[1]}
    for n in (2, 9):
        widths = {task.eval_batch('test', n, i, i + 1).tokens.shape[1] for i in range(30)}
        assert widths == {task.width(n)}
        for tokens in task.eval_batch('test', n, 0, 30).tokens.tolist():
            prompt = tokens[:tokens.index(task.eoq) + 1]
            assert len(prompt) + task.room(prompt) == task.width(n) + 1
    assert task.block_size == task.width(9)


def test_the_commonest_answer_is_a_baseline():
    task = LENGTH_TASKS['parity'](max_length=2)
    batch = task.eval_batch('test', 2, 0, 101)
    right = task.baselines(batch)['majority answer']
    answers = batch.targets[batch.targets != IGNORE].reshape(101, -1)[:, 0]
    assert right.sum() == max(np.bincount(answers)) and (right == (answers == answers[right][0])).all()
