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


def inputs(definition) -> int:
    """Dependencies, and the constant where there is one."""
    return len(definition.dependencies) + (definition.operator != '' or not definition.dependencies)


def share_with_constant(definitions) -> float:
    return sum(inputs(d) > len(d.dependencies) for d in definitions) / len(definitions)


def needed_operations(problem) -> int:
    return sum(definition.operations for definition in igsm.solve_igsm(problem)[1])


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
        assert all(len(set(d.dependencies)) == len(d.dependencies) for d in problem.definitions)
        assert all(inputs(definition) <= 4 for definition in problem.definitions)
        assert sum(definition.operations for definition in needed) <= sizes[0]


@pytest.mark.parametrize('sizes', [(15, 20), (4, 6), (60, 48)])
def test_structures_have_2_to_4_entities_on_each_level_and_a_parent_for_each(sizes):
    """Every entity that is a parent on the second or third level is a child of one on the level before."""
    for seed in range(300):
        problem = igsm.sample_igsm(Random(seed), *sizes)
        names = [igsm.NAMES[definition.parameter] for definition in problem.definitions]
        assert 6 <= len(names) <= sizes[1]
        children = [{name[2] for name in names if name[2] in letters} for letters in ('EFGH', 'IJKL', 'MNOP')]
        assert all(2 <= len(level) <= 4 for level in children)
        assert {name[0] for name in names if name[0] > 'D'} <= children[0] | children[1]


def test_a_problem_is_as_hard_as_its_structure_allows():
    assert [igsm.most_operations(n) for n in range(7)] == [0, 1, 2, 4, 7, 10, 13]
    most = max(needed_operations(igsm.sample_igsm(Random(seed), 13, 6)) for seed in range(3000))
    assert most == 13


@pytest.fixture(scope='module')
def medium():
    """6,000 problems of the medium size of Ye et al., each with its answer and the definitions it needs."""
    problems = [igsm.sample_igsm(Random(seed), 15, 20) for seed in range(6000)]
    return [(problem, *igsm.solve_igsm(problem)) for problem in problems]


def test_needed_operations_follow_the_smaller_of_two_draws(medium):
    """P(s) = (2 (15 - s) + 1) / 225 for s = 1 .. 15 (Ye et al., medium)."""
    counts = Counter(needed_operations(problem) for problem, _, _ in medium)
    for s in range(1, 16):
        assert counts[s] / 6000 == pytest.approx((2 * (15 - s) + 1) / 225, abs=0.015)


def test_answers_are_near_uniform(medium):
    counts = Counter(answer for _, answer, _ in medium)
    assert max(counts.values()) / 6000 < 0.19 and min(counts.values()) / 6000 > 0.11


def test_edges_are_the_smaller_of_two_draws(medium):
    """11.34 on average in 20,000 problems of the published generator, with 4 levels and nothing abstract."""
    counts = [len(problem.definitions) for problem, _, _ in medium]
    assert sum(counts) / 6000 == pytest.approx(11.34, abs=0.15)
    assert min(counts) == 6 and max(counts) == 20
    assert sum(count > 16 for count in counts) / 6000 == pytest.approx(0.082, abs=0.015)


def test_needed_definitions_are_as_many_as_those_of_the_published_generator(medium):
    """It has 4.81 on average, 42.5% of all, and 10.58 where 14 operations are needed."""
    n_needed = sum(len(needed) for _, _, needed in medium)
    n_all = sum(len(problem.definitions) for problem, _, _ in medium)
    assert n_needed / 6000 == pytest.approx(4.81, abs=0.12)
    assert n_needed / n_all == pytest.approx(0.425, abs=0.01)
    hard = [len(needed) for problem, _, needed in medium if needed_operations(problem) == 14]
    assert sum(hard) / len(hard) == pytest.approx(10.58, abs=0.6)


def test_inputs_are_as_many_as_those_of_the_published_generator(medium):
    """Shares of definitions with 1, 2, 3 and 4 inputs, and with a constant; a distractor has 1.70 inputs."""
    needed = [definition for _, _, needed in medium for definition in needed]
    distractors = [definition for problem, _, needed in medium
                   for definition in set(problem.definitions) - set(needed)]
    published = (needed, (0.544, 0.333, 0.101, 0.023)), (distractors, (0.568, 0.247, 0.106, 0.079))
    for definitions, shares in published:
        counts = Counter(map(inputs, definitions))
        for n, share in enumerate(shares, 1):
            assert counts[n] / len(definitions) == pytest.approx(share, abs=0.012)
    assert sum(map(inputs, distractors)) / len(distractors) == pytest.approx(1.70, abs=0.02)
    assert share_with_constant(distractors) == pytest.approx(0.614, abs=0.01)
    assert share_with_constant(needed) == pytest.approx(0.60, abs=0.01)  # 0.56 there: see D8


def test_distractors_that_need_nothing_that_the_query_needs(medium):
    """70%, as of the published generator: half use only such, and of the others some are constants."""
    n_distractors = n_apart = 0
    for problem, _, needed in medium[:1500]:
        needed = {definition.parameter for definition in needed}
        for definition in problem.definitions:
            if definition.parameter not in needed:
                _, below = igsm.solve_igsm(problem._replace(query=definition.parameter))
                n_distractors += 1
                n_apart += not needed & {other.parameter for other in below}
    assert n_apart / n_distractors == pytest.approx(0.70, abs=0.02)


def test_constants_are_uniform(medium):
    """0 to 6 alone or added, 1 to 6 as factors; a coin chooses between these two, and between + and -."""
    counts = Counter((definition.operator, bool(definition.dependencies), definition.constant)
                     for problem, _, _ in medium for definition in problem.definitions)
    added, factors = ([counts[operator, True, c] for c in range(7)] for operator in '+*')
    assert factors[0] == 0 and sum(added) / sum(factors) == pytest.approx(1, abs=0.05)
    for numbers in (added, factors[1:], [counts['', False, c] for c in range(7)]):
        assert max(numbers) * len(numbers) / sum(numbers) < 1.1
    pairs = [definition.minus for problem, _, _ in medium for definition in problem.definitions
             if len(definition.dependencies) == 2]
    assert sum(pairs) / len(pairs) == pytest.approx(0.5, abs=0.02)


def test_shortcuts(medium):
    """The commonest answer is right on 17% of medium problems, the query's line alone on 28%."""
    commonest = Counter(answer for _, answer, _ in medium).most_common(1)[0][0]
    guessed = [answer == commonest for _, answer, _ in medium]
    bare = [needed[-1].dependencies == () for _, _, needed in medium]
    assert sum(guessed) / 6000 == pytest.approx(0.170, abs=0.015)
    assert sum(map(max, guessed, bare)) / 6000 == pytest.approx(0.283, abs=0.02)


def test_values_so_far_are_those_that_the_text_up_to_there_gives():
    text = 'E#I := F#J. F#J := 3. J#N := 2 * E#I + F#J. J#M := K#O. K#O := J#M - J#N. F#J?'
    problem = igsm.parse_igsm(text)
    e, f, j = (igsm.NAMES.index(name) for name in ('E#I', 'F#J', 'J#N'))
    assert igsm.values_so_far(problem.definitions) == [
        {}, {}, {e: 3, f: 3}, *[{e: 3, f: 3, j: (2 * (3 + 3)) % 7}] * 3]


@pytest.mark.parametrize('text,says', [
    ('E#I := 4 E#I?', 'must end in a question'), ('E#I = 4. E#I?', 'not of the form'),
    ('E#I := A#B. E#I?', 'levels'), ('E#I := 4. E#I := 5. E#I?', 'defines a parameter twice'),
    ('E#I := 4. E#J?', 'no definition'), ('E#I := E#J. E#J := E#I. E#I?', 'itself'), ('', 'question')])
def test_bad_problems_are_named(text, says):
    with pytest.raises(ValueError, match=says):
        igsm.solve_igsm(igsm.parse_igsm(text))
