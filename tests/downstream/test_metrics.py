"""Metrics against scorers written anew from the published rules, on odd random answers, and worked by hand.

The scorers here share no step with metrics.py: loops over characters for patterns, fractions for floats,
sorted lists for bags, permutations for the assignment, combinations for leaving one out.
"""
import unicodedata
from fractions import Fraction
from itertools import combinations, permutations
from random import Random

import numpy as np
import pytest

from downstream import metrics

CASES = 1500
EMPTY = {'number': '', 'date': {'day': '', 'month': '', 'year': ''}, 'spans': []}
WORDS = ['a', 'an', 'the', 'The', 'A', 'AN', 'cat', 'Cat', 'cats', 'theatre', 'an.', 'the,', 'a-b',
         'well-known', 'mid-1990s', 'Zürich', 'Zu\u0308rich', 'ế', 'e\u0301\u0302', 'q\u0323\u0307', 'à',
         'a\u0300', '東京', '、', '‘so’', 'don’t', "don't", 'don`t', 'it´s', '“a”', 'snake_case', '_', '--',
         '...', '–', '1,000', '1000', '1000.0', '5', '5.0', '5.', '$5', '5%', '-3', '3', '1/2', '12', '2.50',
         '2.5', '5th', 'May', '1945', '٣', '½', 'İ', 'CANNOTANSWER', 'cannotanswer', '\u00a0', '\u3000',
         'a\u00a0cat']
JOINTS = [' ', ' ', ' ', ' ', '  ', '-', ', ', ' and ', '\n', "'", '\t']


# ---- odd answers

def odd_text(rng):
    words = [rng.choice(WORDS) for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 5]))]
    return ''.join(word + rng.choice(JOINTS) for word in words[:-1]) + ''.join(words[-1:])


def variant(rng, text):
    """The text, or one that differs by an article, case, punctuation, form of accents or a word."""
    words = text.split(' ')
    rng.shuffle(words)
    return rng.choice([text, text.upper(), text.lower(), f'the {text}', f'{text} an', f'“{text}”', f'{text}.',
                       text.replace(' ', '-'), text.replace(',', ''), unicodedata.normalize('NFD', text),
                       unicodedata.normalize('NFC', text), ' '.join(words), ' '.join(words[1:]),
                       f'{text} {rng.choice(WORDS)}', f' {text} {text}', text.replace('a', '')])


def odd_case(rng, at_least=1):
    """(prediction, golds): most predictions, and many golds, are variants of a gold."""
    golds = [odd_text(rng)]
    for _ in range(rng.randint(at_least, 4) - 1):
        golds.append(variant(rng, rng.choice(golds)) if rng.random() < 0.6 else odd_text(rng))
    return variant(rng, rng.choice(golds)) if rng.random() < 0.8 else odd_text(rng), golds


def agree(scorer, reference, cases):
    """Both give the same for all cases; scores of 0, 1 and between are all there."""
    f1s = []
    for prediction, golds in cases:
        scores, expected = scorer(prediction, golds), reference(prediction, golds)
        assert scores == pytest.approx({key: float(value) for key, value in expected.items()}, abs=1e-12), \
            (prediction, golds)
        f1s.append(scores['f1'])
    assert len(f1s) >= 500 and varied(f1s)


def varied(f1s):
    return min(f1s.count(0), f1s.count(1), sum(0 < f1 < 1 for f1 in f1s)) > len(f1s) / 20


# ---- the rules once more

def is_ascii_punctuation(c):
    return '!' <= c <= '/' or ':' <= c <= '@' or '[' <= c <= '`' or '{' <= c <= '~'


def without_articles(text):
    """Runs of letters, digits and _ that are articles become a space."""
    out, run = '', ''
    for c in text + '\0':
        if c.isalnum() or c == '_':
            run += c
        else:
            out += (' ' if run in ('a', 'an', 'the') else run) + c
            run = ''
    return out[:-1]


def words_of(text, put='', more=''):
    kept = ''
    for c in text.lower():
        kept += put if is_ascii_punctuation(c) or c in more else c
    return without_articles(kept).split()


def f1_of(words, gold):
    """2 shared / all, by crossing off sorted words."""
    words, gold, shared = sorted(words), sorted(gold), 0
    total = len(words) + len(gold)
    while words and gold:
        if words[-1] == gold[-1]:
            shared, words, gold = shared + 1, words[:-1], gold[:-1]
        elif words[-1] > gold[-1]:
            words = words[:-1]
        else:
            gold = gold[:-1]
    return Fraction(2 * shared, total) if shared else 0


def f1_or_empty(words, gold):
    return f1_of(words, gold) if words and gold else int(len(words) == len(gold))


def top(pairs):
    return {'em': max(em for em, _ in pairs), 'f1': max(f1 for _, f1 in pairs)}


def squad_anew(prediction, golds):
    words = words_of(prediction)
    golds = [words_of(gold) for gold in golds if words_of(gold)]
    return top([(words == gold, f1_or_empty(words, gold)) for gold in golds or [[]]])


def triviaqa_anew(prediction, golds):
    words, *golds = (words_of(text, ' ', '\u2018\u2019\u00b4\u0060_') for text in [prediction, *golds])
    return top([(words == gold, f1_of(words, gold)) for gold in golds])


def decomposed(text):
    """NFD by hand: canonical decompositions, then neighbouring marks in the order of their classes."""
    for _ in range(3):
        pairs = [(c, unicodedata.decomposition(c)) for c in text]
        text = ''.join(c if codes[:1] in ('', '<') else ''.join(chr(int(code, 16)) for code in codes.split())
                       for c, codes in pairs)
    chars = list(text)
    for _ in chars:
        for i in range(len(chars) - 1):
            if unicodedata.combining(chars[i]) > unicodedata.combining(chars[i + 1]) > 0:
                chars[i], chars[i + 1] = chars[i + 1], chars[i]
    return ''.join(chars)


def nq_anew(prediction, golds):
    words, *golds = (words_of(decomposed(text)) for text in [prediction, *golds])
    return top([(words == gold, f1_or_empty(words, gold)) for gold in golds])


def without_one(golds):
    """The golds with one left out, for each; the only gold stays."""
    return list(combinations(golds, len(golds) - 1)) if len(golds) > 1 else [golds]


def coqa_anew(prediction, golds):
    words, rounds = words_of(prediction), without_one([words_of(gold) for gold in golds])
    best = [max(f1_or_empty(words, gold) for gold in some) for some in rounds]
    return {'em': Fraction(sum(words in some for some in rounds), len(rounds)), 'f1': sum(best) / len(best)}


def quac_anew(prediction, golds):
    if sorted(gold == 'CANNOTANSWER' for gold in golds)[len(golds) // 2]:  # the upper median
        return dict.fromkeys(('em', 'f1'), prediction == 'CANNOTANSWER') | {'human_f1': 1}
    golds = [words_of(gold) for gold in golds if gold != 'CANNOTANSWER']
    words, rounds, n = words_of(prediction), without_one(golds), Fraction(1, len(golds))
    people = 1 if len(golds) == 1 else n * sum(
        max(f1_of(gold, other) for other in some) for gold, some in zip(golds, rounds[::-1], strict=True))
    return {'em': n * sum(any(words == gold for gold in some) for some in rounds),
            'f1': n * sum(max(f1_of(words, gold) for gold in some) for some in rounds), 'human_f1': people}


def value(token):
    """A Fraction where a token is digits with at most one point, perhaps a sign before them; else None."""
    token = token.strip()
    digits = token[1:] if token[:1] in ('+', '-') else token
    if digits.count('.') > 1 or not any(c.isdecimal() for c in digits):
        return None
    if not all(c.isdecimal() or c == '.' for c in digits):
        return None
    whole, _, decimals = digits.partition('.')
    return Fraction(int('0' + whole + decimals), 10 ** len(decimals)) * (-1 if token[0] == '-' else 1)


def drop_words(text):
    out = []
    for token in text.lower().replace('-', ' ').split(' '):
        if value(token) is None:
            token = ''.join(c for c in token if not is_ascii_punctuation(c))
        out += [value(token)] if value(token) is not None else without_articles(token).split()
    return out


def drop_f1_anew(words, gold):
    words, gold = set(words), set(gold)
    numbers = {word for word in gold if isinstance(word, Fraction) or value(word) is not None}
    if numbers and numbers.isdisjoint(words):
        return 0
    return Fraction(2 * sum(word in gold for word in words), len(words) + len(gold)) if words or gold else 1


def drop_anew(prediction, golds):
    """EM, and F1 before it is rounded."""
    pairs = [(0, 0)]
    for gold in golds:
        spans = [prediction]
        if len(gold) > 1:
            for end in (', and ', ', ', ' and ', '\n'):
                spans = [part for span in spans for part in span.split(end)]
            spans = [span for span in spans if span.strip()] or [prediction]
        left, right = ([tuple(drop_words(span)) for span in each] for each in (spans, gold))
        table = [[drop_f1_anew(span, other) for other in right] for span in left]
        if len(left) > len(right):
            table = list(zip(*table, strict=True))
        most = max(sum(table[i][j] for i, j in enumerate(chosen))
                   for chosen in permutations(range(len(table[0])), len(table)))
        if gold[0].strip():
            same = all(span in right for span in left) and all(span in left for span in right)
            pairs.append((same and len(left) == len(right), most / max(len(left), len(right))))
    return top(pairs)


# ---- on odd answers

@pytest.mark.parametrize('name', ['squad', 'triviaqa', 'nq', 'coqa'])
def test_like_the_rules(name):
    rng = Random(name)
    scorers = getattr(metrics, name), globals()[f'{name}_anew']
    agree(*scorers, (odd_case(rng) for _ in range(CASES)))
    agree(*scorers, (odd_case(rng, 3) for _ in range(CASES)))


def test_like_squads_rules_where_there_is_no_answer():
    rng = Random(1)
    for text in [odd_text(rng) for _ in range(500)]:
        assert metrics.squad(text, ['']) == squad_anew(text, []) == metrics.squad(text, ['the', '.'])


def test_like_quacs_rules():
    """Majorities for and against CANNOTANSWER, ties, answers of either kind."""
    rng, cases = Random(2), []
    for _ in range(2 * CASES):
        prediction, golds = odd_case(rng)
        golds += ['CANNOTANSWER'] * rng.choice([0, 0, 0, 1, 2, len(golds), len(golds) + 1])
        rng.shuffle(golds)
        cases.append((rng.choice([prediction] * 3 + ['CANNOTANSWER']), golds))
    agree(metrics.quac, quac_anew, cases)
    kinds = [2 * golds.count('CANNOTANSWER') - len(golds) for _, golds in cases]
    assert min(kinds.count(-1), kinds.count(0), kinds.count(1)) > CASES / 20


def test_like_drops_rules():
    """Up to 6 spans on either side; F1 is in whole hundredths, half of one at most from the exact."""
    rng, f1s = Random(3), []
    for _ in range(2 * CASES):
        counts = rng.choices([1, 2, 3, 5], [3, 1, 1, 1], k=rng.randint(1, 3))
        golds = [tuple(odd_text(rng) for _ in range(count)) for count in counts]
        spans = [variant(rng, span) if rng.random() < 0.6 else odd_text(rng) for span in rng.choice(golds)]
        rng.shuffle(spans)
        ends = rng.choices([', ', ' and ', '\n', ', and ', ' '], [4, 2, 2, 2, 1], k=len(spans))
        prediction = ''.join(map(str.__add__, spans, ends[:-1] + ['']))
        if max(len(metrics.spans_of(prediction)), *map(len, golds)) > 6:
            continue
        scores, exact = metrics.drop(prediction, golds), drop_anew(prediction, golds)
        assert scores['em'] == exact['em'], (prediction, golds)
        assert abs(scores['f1'] - exact['f1']) <= 0.005 + 1e-9, (prediction, golds)
        assert abs(100 * scores['f1'] - round(100 * scores['f1'])) < 1e-9
        f1s.append(scores['f1'])
    assert len(f1s) > CASES and varied(f1s)


def test_pairs_are_the_best_of_all_permutations():
    """Dense and sparse tables, ties included; and a table of 60 x 70 whose answer is known."""
    rng = Random(4)
    for _ in range(600):
        n, m, levels = rng.randint(1, 5), rng.randint(1, 5), rng.choice([2, 4, 1000])
        table = [[rng.randrange(levels) / levels for _ in range(m)] for _ in range(n)]
        tall = table if n <= m else list(zip(*table, strict=True))
        expected = max(sum(tall[i][j] for i, j in enumerate(chosen))
                       for chosen in permutations(range(max(n, m)), min(n, m)))
        assert sum(metrics.best_pairs(table)) == pytest.approx(expected, abs=1e-12)
    columns = rng.sample(range(70), 60)
    table = [[1.0 if j == columns[i] else rng.random() * 0.01 for j in range(70)] for i in range(60)]
    assert sum(metrics.best_pairs(table)) == sum(metrics.best_pairs(list(zip(*table, strict=True)))) == 60


# ---- by hand

def both(em, f1):
    return pytest.approx({'em': em, 'f1': f1})


@pytest.mark.parametrize(('prediction', 'golds', 'em', 'f1'), [
    ('The  Eiffel-Tower!', ['eiffeltower', 'tower'], 1, 1),          # a hyphen goes, nothing takes its place
    ('the big cat', ['a cat'], 0, 2 / 3), ('cat cat dog', ['cat dog dog'], 0, 2 / 3),
    ('big cat', ['cat', 'big dog sat'], 0, 2 / 3), ('Zürich', ['Zurich'], 0, 0), ('“cat”', ['cat'], 0, 0),
    ('', [''], 1, 1), ('The.', [''], 1, 1), ('cat', [''], 0, 0), ('', ['cat'], 0, 0),
    ('', ['a', 'cat'], 0, 0), ('', ['a'], 1, 1), ('theatre', ['the atre'], 0, 0)])
def test_squad_by_hand(prediction, golds, em, f1):
    assert metrics.squad(prediction, golds) == both(em, f1)


@pytest.mark.parametrize(('prediction', 'golds', 'em', 'f1'), [
    ('Spider-Man', ['spider man'], 1, 1), ('snake_case', ['snake case'], 1, 1), ('it´s', ['it`s'], 1, 1),
    ('rock‘n’roll', ['rock n roll'], 1, 1), ("the cat's tail", ['cat tail'], 0, 4 / 5),
    ('“cat”', ['cat'], 0, 0), ('Sunset Blvd', ['x', 'Sunset Blvd.'], 1, 1),
    ('A', ['the'], 1, 0)])  # two empty answers: EM only
def test_triviaqa_by_hand(prediction, golds, em, f1):
    assert metrics.triviaqa(prediction, golds) == both(em, f1)


def test_nq_by_hand():
    """Either form of an accented letter; an à loses the letter, which is an article once it stands alone."""
    assert metrics.nq('Zu\u0308rich', ['Bern', 'the Zürich']) == both(1, 1)
    assert metrics.squad('Zu\u0308rich', ['Zürich']) == both(0, 0)
    assert metrics.nq('voil\u00e0 \u00e0', ['voila\u0300 \u0300']) == both(1, 1)
    assert metrics.nq('14 December 1972', ['December 1972', '1972']) == both(0, 0.8)
    assert metrics.nq('the', ['a']) == both(1, 1)


def test_coqa_by_hand():
    """Of 4 golds, one right: it is left out once, and then the next best counts."""
    assert metrics.coqa('a red car', ['Red car', 'car', 'blue', 'it']) == both(3 / 4, (3 + 2 / 3) / 4)
    assert metrics.coqa('red', ['red']) == both(1, 1)
    assert metrics.coqa('red', ['red', 'red']) == both(1, 1)         # equal golds are two
    assert metrics.coqa('red', ['red', 'blue']) == both(1 / 2, 1 / 2)
    assert metrics.coqa('', ['the', 'blue']) == both(1 / 2, 1 / 2)


def test_quac_by_hand():
    none = 'CANNOTANSWER'
    assert metrics.quac(none, [none, 'red car']) == {'f1': 1, 'em': 1, 'human_f1': 1}
    assert metrics.quac('red car', [none, 'red car']) == {'f1': 0, 'em': 0, 'human_f1': 1}
    assert metrics.quac('red car', [none, 'red car', 'blue']) == {'f1': 0.5, 'em': 0.5, 'human_f1': 0}
    assert metrics.quac(none, [none, 'red car', 'blue']) == {'f1': 0, 'em': 0, 'human_f1': 0}
    assert metrics.quac('cannotanswer', [none]) == {'f1': 0, 'em': 0, 'human_f1': 1}
    assert metrics.quac('the red car', ['red', 'red car', 'a blue car']) == pytest.approx(
        {'f1': (2 + 2 / 3) / 3, 'em': 2 / 3, 'human_f1': (2 / 3 + 2 / 3 + 1 / 2) / 3})
    kept = metrics.quac('x', ['m n', 'n o p'])                        # 2/5 each way, which is not below 0.4
    assert kept['human_f1'] >= metrics.HUMAN_F1_MIN > metrics.quac('x', ['m n', 'n o p q'])['human_f1']


@pytest.mark.parametrize(('prediction', 'golds', 'em', 'f1'), [
    # numbers: no signs, no fractions, no $ before decimals; one of the gold's is a must
    ('5', [('5.0',)], 1, 1), ('$5', [('5',)], 1, 1), ('-3', [('3',)], 1, 1), ('1/2', [('12',)], 1, 1),
    ('1,000', [('1000',)], 1, 1), ('1e3', [('1,000',)], 1, 1), ('$5.50', [('5.50',)], 0, 0),
    ('six', [('6',)], 0, 0), ('5 yards', [('5',)], 0, 0.67), ('5 big yards', [('5 yards',)], 0, 0.8),
    ('12 yards', [('5 yards',)], 0, 0), ('4 May 1945', [('4 May 1945',)], 1, 1),
    ('May 1945', [('4 May 1945',)], 0, 0.8), ('May', [('May 1945',)], 0, 0),
    # one span: hyphens are spaces, words are a set, nothing is cut
    ('a well-known cat', [('the well known cat',)], 1, 1), ('cat cat', [('cat',)], 0, 1),
    ('cat and dog', [('cat dog',)], 0, 0.8), ('x', [('y',), ('x',), ('x', 'z')], 1, 1),
    # several spans
    ('cat and dog', [('dog', 'cat')], 1, 1), ('cat\ndog, and bird', [('bird', 'cat', 'dog')], 1, 1),
    ('cat', [('cat', 'dog')], 0, 0.5), ('cat, cat', [('cat', 'dog')], 0, 0.5),
    ('cat, dog, cat', [('dog', 'cat')], 0, 0.67), ('r s t, r s', [('r s', 'r s t')], 1, 1),
    ('r s t, r', [('r s', 't')], 0, 0.58),  # (1/2 + 2/3) / 2, not .8 / 2
    # nothing
    ('', [('cat', 'dog')], 0, 0), (', ', [('the', 'cat')], 0, 0.5), ('', [('the',)], 1, 1),
    ('', [('',)], 0, 0),
    # .125 / 5 is half of a hundredth too much: to even, as numpy has it
    ('w0', [(' '.join(f'w{i}' for i in range(15)), 'g', 'h', 'i', 'j')], 0, 0.02)])
def test_drop_by_hand(prediction, golds, em, f1):
    assert metrics.drop(prediction, golds) == {'em': em, 'f1': f1}


def test_records_of_drop():
    """A number before spans before a date; equal answers once; absent parts of a date leave no trace."""
    date = {'day': '4', 'month': 'May', 'year': '1945'}
    answer = EMPTY | {'number': '0', 'spans': ['x']}
    validated = {'number': ['', '0', '', ''], 'date': [date, date, date | {'day': ''}, EMPTY['date']],
                 'spans': [['cat', 'dog'], [], [], []]}
    assert metrics.drop_golds(answer, validated) == [('0',), ('cat', 'dog'), ('May 1945',), ('',)]
    validated = {'number': [], 'date': [], 'spans': []}
    assert metrics.drop_golds(EMPTY | {'date': date}, validated) == [('4 May 1945',)]


@pytest.mark.parametrize(('prediction', 'gold', 'right'), [
    ('The answer is 5.', '5', 1), ('The answer is 5.0.', '5', 1), ('The answer is 50.', '5', 0),
    ('the answer is $1,234.', '1234', 1), ('The answer is 1,000,000', '1000000.0', 1), ('2/0', '0', 1),
    ('The answer is -3.', '-3', 1), ('The answer is 3', '-3', 0), ('The answer is -$5', '-5', 1),
    ('The answer is .5', '1/2', 1), ('The answer is 1/2.', '0.5', 1), ('It is 0.333', '1/3', 0),
    ('The answer is 9.', '9 (apples)', 1), ('It is 9.6', '9.600000000000001', 1),
    ('The answer is 6 of 7.', '6', 1), ('The answer is 6 of 7.', '7', 0), ('6 of 7', '7', 1),
    ('5 eggs at $2.50', '2.5', 1), ('7 of them. The answer is yes', '7', 1), ('10-3', '3', 1),
    ('no number', '0', 0), ('', '5', 0), ('The answer is 5. The answer is 6.', '5', 1),
    ('The answer is 3:5.', '3:5 (red to blue)', 1), ('The answer is 3:7.', '3:5', 0),
    ('The answer is Ann.', 'ann', 1)])
def test_math_by_hand(prediction, gold, right):
    for golds in [gold], ['77', gold], [gold, '77'], ['Bob', gold], [gold, 'Bob']:
        assert metrics.word_problem(prediction, golds) == {'accuracy': right}


@pytest.mark.parametrize(('prediction', 'gold', 'right'), [
    ('22', '22', 1), (' 22\nb=3', '22', 1), ('22, e=4', '22', 1), ('22.', '22', 1), ('22.5', '22', 0),
    ('221', '22', 0), ('2', '22', 0), ('n=22', '22', 0), ('', '22', 0), ('-2', '2', 0)])
def test_primitives_by_hand(prediction, gold, right):
    assert metrics.primitive(prediction, [gold]) == {'accuracy': right}


def test_mean_and_error():
    scores = [0.0, 1.0, 1.0, 0.25, 0.5]
    assert metrics.mean_and_error(scores) == pytest.approx((0.55, np.std(scores, ddof=1) / 5 ** 0.5))
    mean, error = metrics.mean_and_error([0.5])
    assert mean == 0.5 and np.isnan(error)
