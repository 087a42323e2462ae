"""Scores of a text against gold answers by the official rules of each data set, all in [0, 1].
A function for each rule, which names its scorer, takes the answer to a question (a str) and a list of golds
(str, in DROP tuples of str) and returns a dict of scores. EM is exact match after normalisation, F1 the
harmonic mean of precision and recall over words. docs/downstream.md numbers the deviations from the official
scorers. What looks odd and is official: punctuation is ASCII's only; TriviaQA and QuAC give two empty answers
F1 0 but EM 1; DROP drops the sign of '-3', reads '1/2' as 12, '$5.50' as 550, and rounds F1 to 2 digits."""
import re
import string
import unicodedata
from collections import Counter
from functools import partial, reduce
from math import isclose, nan, sqrt
from operator import add
from statistics import fmean, stdev

import numpy as np

ARTICLES = re.compile(r'\b(a|an|the)\b')
NO_PUNCTUATION = str.maketrans('', '', string.punctuation)
SPACED_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation + '‘’´', ' '))  # it has ` and _
SPAN_ENDS = re.compile(r', and |, | and |\n')  # deviation 1
NUMBER = re.compile(r'''
    (?:(?<!\w)-)?                  # a minus that follows no letter or digit
    \$?
    (?:\d[\d,]*(?:\.\d+)?|\.\d+)   # 5, 1,000, 5.0, .5
    (?:/0*[1-9]\d*)?               # a denominator other than 0
''', re.VERBOSE)
CANNOT = 'CANNOTANSWER'  # QuAC's gold where the passage does not tell
HUMAN_F1_MIN = 0.4       # QuAC leaves questions out on which people agree less


def normalize(text, punctuation=NO_PUNCTUATION):
    """Lower case, no punctuation, no articles, single spaces, in this order (SQuAD, evaluate-v2.0.py)."""
    text = ARTICLES.sub(' ', text.lower().translate(punctuation))
    return ' '.join(text.split())


def word_f1(prediction, gold):
    """F1 of the bags of words of two normalised texts; 0 where they share none, so of two empty ones too."""
    words = prediction.split()
    gold_words = gold.split()
    n_shared = (Counter(words) & Counter(gold_words)).total()  # each word as often as in both
    if n_shared == 0:
        return 0.0
    precision = n_shared / len(words)
    recall = n_shared / len(gold_words)
    return 2 * precision * recall / (precision + recall)


def answer_f1(prediction, gold):
    """word_f1 where "" is an answer too, matched by itself alone (SQuAD v2, CoQA)."""
    return 1.0 if prediction == gold else word_f1(prediction, gold)


def best_over_golds(prediction, golds, f1=answer_f1):
    """EM and F1 of normalised texts, each the maximum over golds."""
    return {'em': float(prediction in golds), 'f1': max(map(partial(f1, prediction), golds))}


def plain_mean(values):
    """Mean by plain addition, as the scorers add; sum() rounds otherwise from Python 3.12 on."""
    return reduce(add, values, 0.0) / len(values)


def leave_one_out(scores):
    """Mean over golds of the best score against the others, as people were scored; of one gold, its score."""
    if len(scores) == 1:
        return scores[0]
    return plain_mean([max(scores[:i] + scores[i + 1:]) for i in range(len(scores))])


# ---- questions with a few gold texts

def squad(prediction, golds):
    """SQuAD v2 (evaluate-v2.0.py): best EM and F1 over golds that normalise to something, else over ""."""
    golds = list(filter(None, map(normalize, golds)))
    return best_over_golds(normalize(prediction), golds or [''])


def triviaqa(prediction, golds):
    """TriviaQA (triviaqa_evaluation.py): punctuation, ‘ ’ ´ ` and _ become spaces; best over aliases."""
    golds = [normalize(gold, SPACED_PUNCTUATION) for gold in golds]
    return best_over_golds(normalize(prediction, SPACED_PUNCTUATION), golds, word_f1)


def nq(prediction, golds):
    """NQ-open (ORQA's eval_utils.py): SQuAD's rule on NFD text, so an accented "à" loses its letter."""
    texts = [normalize(unicodedata.normalize('NFD', text)) for text in (prediction, *golds)]
    return best_over_golds(texts[0], texts[1:])


def coqa(prediction, golds):
    """CoQA (evaluate-v1.0.py): SQuAD v2's EM and F1 of a pair, leave-one-out over golds, equal ones kept."""
    return leave_one_out_scores(normalize(prediction), list(map(normalize, golds)), answer_f1)


def leave_one_out_scores(prediction, golds, f1):
    """EM and F1 of normalised texts, each leave-one-out over golds."""
    ems = [float(prediction == gold) for gold in golds]
    return {'em': leave_one_out(ems), 'f1': leave_one_out(list(map(partial(f1, prediction), golds)))}


def quac(prediction, golds):
    """QuAC (scorer.py): leave-one-out F1 and EM, and the F1 of a gold against the others (human_f1).
    CANNOTANSWER is the only gold where at least half of them say so, else it is none; it scores for itself
    alone, letter by letter."""
    spans = [normalize(gold) for gold in golds if gold != CANNOT]
    if 2 * len(spans) <= len(golds):
        right = float(prediction == CANNOT)
        return {'em': right, 'f1': right, 'human_f1': 1.0}

    best_f1s = []  # of each gold against the others; a single one agrees with itself
    for i, span in enumerate(spans):
        others = spans[:i] + spans[i + 1:]
        best_f1s.append(max((word_f1(span, other) for other in others), default=1.0))
    return leave_one_out_scores(normalize(prediction), spans, word_f1) | {'human_f1': plain_mean(best_f1s)}


# ---- DROP

def drop(prediction, golds):
    """DROP (drop_eval.py): best EM and F1 over golds, each a tuple of spans; empty golds are skipped."""
    best = {'em': 0.0, 'f1': 0.0}
    for gold in golds:
        if gold[0].strip():
            spans = spans_of(prediction) if len(gold) > 1 else [prediction]
            em, f1 = drop_pair(spans, gold)
            best = {'em': max(best['em'], em), 'f1': max(best['f1'], f1)}
    return best


def spans_of(text):
    """The spans that a text lists (deviation 1); the text itself where it lists none."""
    return list(filter(str.strip, SPAN_ENDS.split(text))) or [text]


def drop_pair(spans, gold_spans):
    """(EM, F1): equal sets of equally many spans; F1s of the best one-to-one pairs over the larger count.
    Rounded to 2 digits as numpy does it, though numpy adds 8 or more values in another order."""
    spans = list(map(drop_normalize, spans))
    golds = list(map(drop_normalize, gold_spans))
    em = set(spans) == set(golds) and len(spans) == len(golds)

    table = []  # F1 of every span with every gold
    for span in spans:
        table.append([drop_f1(set(span.split()), set(gold.split())) for gold in golds])
    return float(em), round(100 * plain_mean(best_pairs(table))) / 100


def drop_normalize(text):
    """Tokens between spaces and hyphens: numbers as floats, others without punctuation and articles."""
    tokens = []
    for token in re.split('[ -]', text.lower()):
        if not is_number(token):
            token = token.translate(NO_PUNCTUATION)
        if is_number(token):  # perhaps only without its punctuation
            tokens.append(str(float(token)))
        else:
            tokens += ARTICLES.sub(' ', token).split()
    return ' '.join(tokens)


def is_number(token):
    """Whether float() takes it: 1e5, nan and 1_000 are numbers, as in DROP's scorer."""
    try:
        float(token)
    except ValueError:
        return False
    return True


def drop_f1(words, gold):
    """F1 of two sets of words; 0 where the gold holds numbers and the words none of them. Two empty: 1."""
    numbers = set(filter(is_number, gold))
    if numbers and not numbers & words:
        return 0.0
    shared = len(words & gold)
    precision = shared / len(words) if words else 1.0
    recall = shared / len(gold) if gold else 1.0
    return 2 * precision * recall / ((precision + recall) or 1.0)


def best_pairs(scores):
    """Scores >= 0 of the one-to-one pairs of rows and columns with the largest sum: Hungarian method, O(n^3).
    In the order of columns, 0 for what has no partner: max(rows, columns) values. Rows take seats (columns)
    one by one, each by the cheapest chain of moves from seat 0, where it waits, to a free one. Every reduced
    cost, price of row + price of seat - score, stays >= 0."""
    size = max(len(scores), len(scores[0]))
    square = np.zeros((size, size + 1))  # filled up with pairs that score 0
    square[:len(scores), 1:len(scores[0]) + 1] = scores
    row_prices = np.zeros(size)
    seat_prices = np.zeros(size + 1)
    owner = np.full(size + 1, -1)  # the row that sits on each seat; -1: it is free

    for row in range(size):
        seat = 0
        owner[seat] = row
        cost = np.full(size + 1, np.inf)  # of the cheapest chain found so far to each seat
        previous = np.zeros(size + 1, int)  # the seat before each on its chain
        reached = np.zeros(size + 1, bool)
        while owner[seat] >= 0:
            # Chains that go on from the row on this seat may be cheaper than those found so far.
            reached[seat] = True
            reduced = row_prices[owner[seat]] + seat_prices - square[owner[seat]]
            cheaper = ~reached & (reduced < cost)
            cost[cheaper] = reduced[cheaper]
            previous[cheaper] = seat

            # Shift the prices until the nearest seat costs nothing.
            seat = np.where(reached, np.inf, cost).argmin()
            step = cost[seat]
            row_prices[owner[reached]] -= step
            seat_prices[reached] += step
            cost[~reached] -= step
        while seat:  # from the end of the chain back, every row moves one seat on
            owner[seat] = owner[previous[seat]]
            seat = previous[seat]
    return square[owner[1:], range(1, size + 1)].tolist()


def drop_golds(answer, validated):
    """The golds of a record: its answer {number, date {day, month, year}, spans []} and the validated ones,
    which have a list of each, every gold once."""
    answers = [(answer['number'], answer['date'], answer['spans'])]
    answers += zip(validated['number'], validated['date'], validated['spans'], strict=True)
    return list(dict.fromkeys(drop_gold(*one) for one in answers))


def drop_gold(number, date, spans):
    """The first that is there of number, spans, date, as a tuple of spans (drop_eval.py)."""
    if number not in ('', None):
        return (str(number),)
    if spans:
        return tuple(spans)
    return (' '.join(filter(None, [date['day'], date['month'], date['year']])),)


# ---- math word problems and primitives

def word_problem(prediction, golds):
    """Whether the answer to a math word problem equals a gold (deviation 6).
    The first number after "the answer is", else the last one, counts to 1 in 10^6; without commas and $, a
    fraction as its quotient, a gold without its unit. Golds like "3:5" or a name are compared as texts."""
    phrase = re.search('the answer is', prediction, re.IGNORECASE)
    answer = prediction[phrase.end():] if phrase else prediction
    numbers = numbers_of(answer)[:1] if phrase else []
    if not numbers:  # no phrase, or no number after it
        numbers = numbers_of(prediction)[-1:]

    right = False
    for gold in golds:
        gold = gold.split(' (')[0]
        values = numbers_of(gold)
        if len(values) != 1:  # a ratio or a name
            right |= normalize(answer) == normalize(gold)
        elif numbers:
            right |= isclose(numbers[0], values[0], rel_tol=1e-6)
    return {'accuracy': float(right)}


def numbers_of(text):
    """The numbers of a text: -3, 1,000, $5, 5.0, .5, 1/2. A minus after a letter or a digit is none."""
    numbers = []
    for match in NUMBER.findall(text):
        numerator, _, denominator = match.replace(',', '').replace('$', '').partition('/')
        numbers.append(float(numerator) / float(denominator or 1))
    return numbers


def primitive(prediction, golds):
    """Whether the text starts with the gold integer: what follows does not count (deviation 6)."""
    start = re.match(r'\s*(\d+)(?!\.?\d)', prediction)
    return {'accuracy': float(start is not None and float(start[1]) in map(float, golds))}


def mean_and_error(scores):
    """Mean of the scores and its standard error, s / sqrt(n) with s over n - 1; of one score nan."""
    n = len(scores)
    error = stdev(scores) / sqrt(n) if n > 1 else nan
    return fmean(scores), error
