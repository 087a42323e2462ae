"""Composition in a finite group as a task."""
import itertools

import numpy as np
import pytest

from problems.group import Group, group_table


def compose(g, h):
    return tuple(g[i] for i in h)


@pytest.mark.parametrize('group,order', [('s3', 6), ('s5', 120), ('a4', 12), ('a5', 60), ('c7', 7)])
def test_products_by_permutations(group, order):
    task = Group(group=group, elements=8, supervise='all')
    assert task.vocab_size == order
    things = int(group[1])
    if group[0] == 'c':
        elements = [tuple((i + shift) % things for i in range(things)) for shift in range(things)]
    else:
        elements = [p for p in itertools.permutations(range(things)) if group[0] == 's' or
                    np.linalg.det(np.eye(things)[list(p)]) > 0]
    batch = task.train_batch(0, 0, 40)
    for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
        product = tuple(range(things))
        for token, target in zip(tokens, targets, strict=True):
            product = compose(product, elements[token])
            assert elements[target] == product


@pytest.mark.parametrize('kind,order', [('c', 256), ('s', 4), ('a', 4)])
def test_a_table_is_a_group_whose_identity_is_0(kind, order):
    table = group_table(kind, order)
    everything = np.arange(len(table))
    assert (table[0] == everything).all() and (table[:, 0] == everything).all()
    assert (np.sort(table, 0) == everything[:, None]).all() and (np.sort(table, 1) == everything).all()


@pytest.mark.parametrize('options,says', [
    (dict(group='s9'), "group='s9' is not one of c2 .. c256, s2 .. s5"), (dict(group='c1'), 'c2 .. c256'),
    (dict(group='c257'), 'c256'), (dict(group='d4'), 'a2 .. a5'), (dict(group=''), 'a2 .. a5'),
    (dict(group='c²'), 'a2 .. a5'), (dict(elements=1), 'elements=1: a product takes at least 2')])
def test_bad_options_are_named(options, says):
    with pytest.raises(ValueError, match=says):
        Group(**options)


def test_a_prompt_has_at_most_all_elements():
    task = Group(group='c7', elements=3)
    assert task.encode('6 0 3') == [6, 0, 3] and task.decode([6, 0, 3]) == '6 0 3'
    with pytest.raises(ValueError, match='has 4 tokens; this model takes 1 to 3'):
        task.encode('1 2 3 4')
    for text, says in (('', 'has 0 tokens'), ('7', "holds '7'; .* each 0 to 6"), ('a', "'a'"), ('²', "'²'")):
        with pytest.raises(ValueError, match=says):
            task.encode(text)
