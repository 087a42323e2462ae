"""i-GSM as a task."""
from random import Random

import pytest
from oracles import by_the_text

from problems.igsm import IGSM
from problems.igsm_problems import igsm_text, sample_igsm
from problems.task import IGNORE


def test_igsm_values_are_scored_where_the_text_so_far_gives_them():
    """At every parameter, '.' and '?', against the evaluator that knows the text alone."""
    task, scored = IGSM(max_ops=(6,), max_edges=8, supervise='values'), 0
    for tokens, targets in zip(*task.train_batch(0, 0, 80)[:2], strict=True):
        words = [task.words[token] for token in tokens]
        for t, target in enumerate(targets[:words.index('?') + 1]):
            sentences = task.decode(tokens[:t + 1]).split('. ')
            whole = sentences if words[t] == '.' else sentences[:-1]
            name = words[t - 1] if words[t] == '?' else \
                whole[-1].split(' := ')[0] if words[t] == '.' else words[t]
            try:
                text = '. '.join([*(sentence.rstrip('.') for sentence in whole), f'{name}?'])
                expected = task.number[str(by_the_text(text))]
            except ValueError:
                expected = IGNORE
            assert target == expected
            scored += target != IGNORE
        assert (targets[words.index('?') + 1:] == IGNORE).all()
    assert scored > 500


def test_tokens_are_those_of_the_text():
    task = IGSM()
    for seed in range(200):
        text = igsm_text(sample_igsm(Random(seed), 15, 20))
        tokens = task.draw_one(Random(seed), 15)
        assert tokens[:-1] == task.encode(text) and task.decode(tokens) == f'{text} {by_the_text(text)}'


def test_one_line_is_right_where_the_query_is_a_constant():
    task = IGSM(max_ops=(2,), max_edges=6)
    batch = task.eval_batch('val', 2, 0, 300)
    baselines = task.baselines(batch)
    for tokens, commonest, one_line in zip(batch.tokens, *baselines.values(), strict=True):
        definitions, query = task.problem(tokens)
        line, = (definition for definition in definitions if definition.parameter == query)
        assert one_line == (commonest or not line.dependencies)


@pytest.mark.parametrize('options,says', [
    (dict(max_edges=60), 'max_edges=60: 4 levels of 2 to 4 entities have 6 to 48 edges'),
    (dict(max_edges=5), 'have 6 to 48 edges'), (dict(max_ops=()), 'one or several'),
    (dict(max_ops=(3, 0)), 'max_ops=0 must be 1 to 55 where max_edges=20'),
    (dict(max_ops=(14,), max_edges=6), 'max_ops=14 must be 1 to 13 where max_edges=6')])
def test_bad_options_are_named(options, says):
    with pytest.raises(ValueError, match=says):
        IGSM(**options)
