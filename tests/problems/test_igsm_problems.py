"""Problems of i-GSM against the worked examples and an evaluator written from the text alone."""
from collections import Counter
from random import Random

import pytest
from oracles import by_the_text

from problems import igsm_problems as igsm
from problems.igsm import PRESETS

TABLE_2 = ('E#I := 4. E#J := E#I. K#N := I#N + J#O + F#K. F#K := E#J. J#O := F#K + K#O + E#J. '
           'H#J := E#J + F#K. I#P := L#M + I#N + K#O. I#M := J#O + J#P + F#K. J#P := H#J - F#K. '
           'L#M := I#N + J#P + F#K. I#N := 2 * J#P + H#J + E#I. K#O := J#P + I#N + E#J. I#P?')


def test_the_papers_table_2():
    problem = igsm.parse_igsm(TABLE_2)
    answer, needed = igsm.solve_igsm(problem)
    values = {}
    for definition in needed:
        values[igsm.NAMES[definition.parameter]] = igsm.value_of(
            definition, {igsm.NAMES.index(name): value for name, value in values.items()})
    assert values == {'E#I': 4, 'E#J': 4, 'F#K': 4, 'H#J': 1, 'J#P': 4, 'I#N': 4, 'L#M': 5, 'K#O': 5,
                      'I#P': 0}
    assert (answer, len(problem.definitions), igsm.igsm_text(problem)) == (0, 12, TABLE_2)
    assert by_the_text(TABLE_2) == 0


def test_the_posters_example_in_levels():
    """Its names are schematic (A#B joins one level); here A#B is B#E, J#K is J#O and F#G is C#G."""
    text = 'E#I := 4. B#E := E#I + J#O. J#O := 3 + E#I. C#G := B#E + J#O. C#G?'
    assert igsm.solve_igsm(igsm.parse_igsm(text))[0] == by_the_text(text) == 4


@pytest.mark.parametrize('sizes', [*PRESETS.values(), (6, 8), (3, 6), (40, 48)])
def test_problems_are_sound(sizes):
    """Every problem parses back, is answered alike by the text, and has no definition twice or too many."""
    for seed in range(300):
        problem = igsm.sample_igsm(Random(seed), *sizes)
        text = igsm.igsm_text(problem)
        answer, needed = igsm.solve_igsm(problem)
        assert igsm.parse_igsm(text) == problem and by_the_text(text) == answer
        names = [definition.parameter for definition in problem.definitions]
        assert len(set(names)) == len(names) <= sizes[1]
        assert all(len(set(d.dependencies)) == len(d.dependencies) <= 4 for d in problem.definitions)
        assert sum(definition.operations for definition in needed) <= sizes[0]


def test_needed_operations_follow_the_smaller_of_two_draws():
    """P(s) = (2 (15 - s) + 1) / 225 for s = 1 .. 15 (Ye et al., medium)."""
    counts = Counter()
    for seed in range(6000):
        _, needed = igsm.solve_igsm(igsm.sample_igsm(Random(seed), 15, 20))
        counts[sum(definition.operations for definition in needed)] += 1
    for s in range(1, 16):
        assert counts[s] / 6000 == pytest.approx((2 * (15 - s) + 1) / 225, abs=0.015)


def test_answers_are_near_uniform():
    counts = Counter(igsm.solve_igsm(igsm.sample_igsm(Random(seed), 15, 20))[0] for seed in range(6000))
    assert max(counts.values()) / 6000 < 0.19 and min(counts.values()) / 6000 > 0.11


def test_values_so_far_are_those_that_the_text_up_to_there_gives():
    text = 'E#I := F#J. F#J := 3. J#N := 2 * E#I + F#J. J#M := K#O. K#O := J#M - J#N. F#J?'
    problem = igsm.parse_igsm(text)
    e, f, j = (igsm.NAMES.index(name) for name in ('E#I', 'F#J', 'J#N'))
    assert igsm.values_so_far(problem.definitions) == [
        {}, {}, {e: 3, f: 3}, *[{e: 3, f: 3, j: (2 * (3 + 3)) % 7}] * 3]


@pytest.mark.parametrize('text,says', [
    ('E#I := 4 E#I?', 'must end in a question'), ('E#I = 4. E#I?', 'not of the form'),
    ('E#I := A#B. E#I?', 'levels'),
    ('E#I := 4. E#J?', 'no definition'), ('E#I := E#J. E#J := E#I. E#I?', 'itself'), ('', 'question')])
def test_bad_problems_are_named(text, says):
    with pytest.raises(ValueError, match=says):
        igsm.solve_igsm(igsm.parse_igsm(text))
