"""The cases of the table: groups, and how a case is checked."""
import itertools

import numpy as np
import pytest

from proofs.cases import check_case, dihedral_table, hop_case


def test_the_dihedral_group_is_that_of_the_symmetries_of_a_square():
    """As permutations of the corners: a quarter turn, and a reflection."""
    def corner(g, k):
        turns, mirrored = g % 4, g // 4
        return ((-k if mirrored else k) + turns) % 4
    table = dihedral_table(4)
    for g, h in itertools.product(range(8), repeat=2):
        assert all(corner(table[g, h], k) == corner(g, corner(h, k)) for k in range(4))


def test_mismatches_and_errors_are_counted():
    case = hop_case(3, 9, 3, 20, np.random.default_rng(0))
    assert check_case(case)['mismatches'] == 0
    answers, logits = case.answers.clone(), case.logits.clone()
    answers[7, -1], answers[9, 2] = (answers[7, -1] + 1) % 5, -100
    logits[3, 0, 1] += 0.25
    row = check_case(case._replace(answers=answers, logits=logits))
    assert row['mismatches'] == 1 and float(row['max_error']) == pytest.approx(0.25, rel=0.3)


@pytest.mark.slow
@pytest.mark.parametrize('p,n_head', [(31, 3), (24, 10)])
def test_p_hop_at_size(p, n_head):
    row = check_case(hop_case(p, 256, n_head, 60, np.random.default_rng(0)))
    assert row['mismatches'] == 0 and row['mismatches_one_loop_fewer'] == 60 and row['max_error'] == '0.0e+00'
