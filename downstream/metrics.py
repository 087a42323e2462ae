"""Scores of a text against gold answers by the official rules of each data set, all in [0, 1].

One function for each rule, one question at a time; each names the scorer whose rule it states. EM is exact
match after normalisation, F1 the harmonic mean of precision and recall over words.

Deviations from the official scorers, and what they leave open:
1. DROP scores a list of spans, which a text does not have: where the gold considered has several spans, the
   prediction is cut at ', ' and ' and ' and newlines (', and ' is one cut). Elsewhere it is one span.
2. QuAC has no EM: ours takes the place of F1 in the same leave-one-out maximum. Neither HEQ nor the scores of
   yes/no and follow-up are computed, and skipping questions below HUMAN_F1_MIN is left to the caller.
3. NQ-open has no F1: ours is SQuAD v2's. WebQuestions is scored by its authors as sets of entities and TyDi
   GoldP by SQuAD v1.1; both take `squad` here (v1.1 differs only where an answer normalises to nothing).
4. SQuAD v2's search for the best no-answer threshold is left out: an answer is taken as it was decoded.
5. TriviaQA's scorer takes the aliases as its file has them normalised; here any aliases are normalised.
6. Math word problems and primitives have no official scorer: the rules of `math` and `primitive` are ours.
What looks odd and is official: punctuation is ASCII's only; TriviaQA and QuAC give two empty answers F1 0 but
EM 1; DROP drops the sign of '-3', reads '1/2' as 12, '$5.50' as 550, and rounds F1 to 2 digits.
"""
import re
import string
import unicodedata
from collections import Counter
from math import inf, isclose, nan, sqrt
from statistics import fmean, stdev

ARTICLES = re.compile(r'\b(a|an|the)\b')
NO_PUNCTUATION = str.maketrans('', '', string.punctuation)
SPACED_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation + '‘’´', ' '))  # it has ` and _
SPAN_ENDS = re.compile(r', and |, | and |\n')  # deviation 1
NUMBER = re.compile(r'(?:(?<!\w)-)?\$?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:/0*[1-9]\d*)?')
CANNOT = 'CANNOTANSWER'
HUMAN_F1_MIN = 0.4  # QuAC leaves questions out on which people agree less


# ---- words

def normalize(text: str, punctuation=NO_PUNCTUATION) -> str:
    """Lower case, no punctuation, no articles, single spaces, in this order (SQuAD, evaluate-v2.0.py)."""
    return ' '.join(ARTICLES.sub(' ', text.lower().translate(punctuation)).split())


def word_f1(prediction: str, gold: str) -> float:
    """F1 of the bags of words of two normalised texts, 0 where they share none, two empty ones included.

    In the order of operations of the scorers: QuAC compares a mean of these with 0.4.
    """
    words, gold_words = prediction.split(), gold.split()
    shared = sum((Counter(words) & Counter(gold_words)).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(words), shared / len(gold_words)
    return 2 * precision * recall / (precision + recall)


def answer_f1(prediction: str, gold: str) -> float:
    """word_f1 where "" is an answer too, matched by itself alone (SQuAD v2, CoQA)."""
    return 1.0 if prediction == gold else word_f1(prediction, gold)


def best(prediction: str, golds: list[str], f1=answer_f1) -> dict:
    """EM and F1 of normalised texts, each the maximum over golds."""
    return {'em': float(prediction in golds), 'f1': max(f1(prediction, gold) for gold in golds)}


def mean(values: list[float]) -> float:
    """Mean by plain addition, as the scorers add, for QuAC's threshold and DROP's rounding.

    sum() rounds otherwise from Python 3.12 on.
    """
    total = 0.0
    for value in values:
        total += value
    return total / len(values)


def leave_one_out(scores: list[float]) -> float:
    """Mean over golds of the best score against the others, as people were scored; of one gold, its score."""
    if len(scores) == 1:
        return scores[0]
    return mean([max(scores[:i] + scores[i + 1:]) for i in range(len(scores))])


# ---- questions with a few gold texts

def squad(prediction: str, golds: list[str]) -> dict:
    """SQuAD v2 (evaluate-v2.0.py): best EM and F1 over golds; "" is right where there is no answer.

    Golds that normalise to nothing are dropped; where none is left (or golds is ['']) the gold is "".
    """
    golds = [gold for gold in map(normalize, golds) if gold]
    return best(normalize(prediction), golds or [''])


def triviaqa(prediction: str, golds: list[str]) -> dict:
    """TriviaQA (triviaqa_evaluation.py): punctuation, ‘ ’ ´ ` and _ become spaces; best over aliases."""
    golds = [normalize(gold, SPACED_PUNCTUATION) for gold in golds]
    return best(normalize(prediction, SPACED_PUNCTUATION), golds, word_f1)


def nq(prediction: str, golds: list[str]) -> dict:
    """NQ-open (ORQA's eval_utils.py): SQuAD's steps on NFD text, where accents are characters; any gold.

    So an accented "à" loses its letter, an article then, on both sides alike.
    """
    prediction, *golds = (normalize(unicodedata.normalize('NFD', text)) for text in (prediction, *golds))
    return best(prediction, golds)


# ---- conversations

def coqa(prediction: str, golds: list[str]) -> dict:
    """CoQA (evaluate-v1.0.py): SQuAD v2's EM and F1 of a pair, leave-one-out over golds, equal ones kept."""
    prediction, *golds = map(normalize, (prediction, *golds))
    return {'em': leave_one_out([float(prediction == gold) for gold in golds]),
            'f1': leave_one_out([answer_f1(prediction, gold) for gold in golds])}


def quac(prediction: str, golds: list[str]) -> dict:
    """QuAC (scorer.py): leave-one-out F1 and EM, and the F1 of a gold against the others (human_f1).

    CANNOTANSWER is the only gold where at least half of them say so, else it is none; it scores for itself
    alone, letter by letter. The headline leaves out questions with human_f1 below HUMAN_F1_MIN.
    """
    spans = [gold for gold in golds if gold != CANNOT]
    if 2 * len(spans) <= len(golds):
        right = float(prediction == CANNOT)
        return {'f1': right, 'em': right, 'human_f1': 1.0}
    prediction, *spans = map(normalize, (prediction, *spans))
    return {'f1': leave_one_out([word_f1(prediction, span) for span in spans]),
            'em': leave_one_out([float(prediction == span) for span in spans]),
            'human_f1': human_f1(spans)}


def human_f1(spans: list[str]) -> float:
    """Mean over normalised golds of the best F1 against the others; 1 for a single gold (QuAC, scorer.py)."""
    if len(spans) == 1:
        return 1.0
    return mean([max(word_f1(span, other) for other in spans[:i] + spans[i + 1:])
                 for i, span in enumerate(spans)])


# ---- DROP

def drop(prediction: str, golds: list[tuple[str, ...]]) -> dict:
    """DROP (drop_eval.py): best EM and F1 over golds, each a tuple of spans; empty golds are skipped."""
    pairs = [drop_pair(spans_of(prediction) if len(gold) > 1 else [prediction], gold)
             for gold in golds if gold[0].strip()]
    ems, f1s = zip((0.0, 0.0), *pairs, strict=True)
    return {'em': max(ems), 'f1': max(f1s)}


def spans_of(text: str) -> list[str]:
    """The spans that a text lists (deviation 1); the text itself where it lists none."""
    return [span for span in SPAN_ENDS.split(text) if span.strip()] or [text]


def drop_pair(spans, gold_spans) -> tuple[float, float]:
    """(EM, F1): equal sets of equally many spans; F1s of the best one-to-one pairs over the larger count.

    F1 is rounded to 2 digits as numpy does it: half to even after the product. numpy adds 8 or more values
    in another order, so a half may fall to the other side.
    """
    spans, golds = ([drop_normalize(span) for span in each] for each in (spans, gold_spans))
    em = set(spans) == set(golds) and len(spans) == len(golds)
    table = [[drop_f1(set(span.split()), set(gold.split())) for gold in golds] for span in spans]
    return float(em), round(100 * mean(best_pairs(table))) / 100


def drop_normalize(text: str) -> str:
    """Tokens between spaces and hyphens: numbers as floats, others without punctuation and articles."""
    tokens = []
    for token in re.split('[ -]', text.lower()):
        token = token if is_number(token) else token.translate(NO_PUNCTUATION)
        token = str(float(token)) if is_number(token) else ARTICLES.sub(' ', token)
        tokens += token.split()
    return ' '.join(tokens)


def is_number(token: str) -> bool:
    """Whether float() takes it: 1e5, nan and 1_000 are numbers, as in DROP's scorer."""
    try:
        float(token)
    except ValueError:
        return False
    return True


def drop_f1(words: set[str], gold: set[str]) -> float:
    """F1 of two sets of words; 0 where the gold holds numbers and the words none of them. Two empty: 1."""
    numbers = {word for word in gold if is_number(word)}
    if numbers and not numbers & words:
        return 0.0
    shared = len(words & gold)
    precision = shared / len(words) if words else 1.0
    recall = shared / len(gold) if gold else 1.0
    return 2 * precision * recall / (precision + recall) if precision or recall else 0.0


def best_pairs(scores: list[list[float]]) -> list[float]:
    """Scores >= 0 of the one-to-one pairs of rows and columns with the largest sum: Hungarian method, O(n^3).

    In the order of columns, 0 for what has no partner: max(rows, columns) values. Rows take seats (columns)
    one by one, each by the cheapest chain of moves that ends on a free seat; prices keep every reduced cost,
    price of row + price of seat - score, >= 0. Seat 0 is where a new row waits.
    """
    size = max(len(scores), len(scores[0]))
    scores = [list(row) + [0.0] * (size - len(row)) for row in scores] + [[0.0] * size] * (size - len(scores))
    row_price, seat_price, owner = [0.0] * size, [0.0] * (size + 1), [None] * (size + 1)
    for row in range(size):
        owner[0], seat, reached, free = row, 0, [], list(range(1, size + 1))
        cost, previous = [inf] * (size + 1), [0] * (size + 1)
        while owner[seat] is not None:
            reached.append(seat)
            for j in free:
                reduced = row_price[owner[seat]] + seat_price[j] - scores[owner[seat]][j - 1]
                if reduced < cost[j]:
                    cost[j], previous[j] = reduced, seat
            nearest = min(free, key=cost.__getitem__)
            step = cost[nearest]
            for j in reached:
                row_price[owner[j]] -= step
                seat_price[j] += step
            for j in free:
                cost[j] -= step
            free.remove(nearest)
            seat = nearest
        while seat:
            owner[seat], seat = owner[previous[seat]], previous[seat]
    return [scores[owner[j]][j - 1] for j in range(1, size + 1)]


def drop_golds(answer: dict, validated: dict) -> list[tuple[str, ...]]:
    """The golds of a record: its answer and the validated ones, each once.

    An answer is {number, date {day, month, year}, spans []}, the first that is there of number, spans, date;
    `validated` has the same keys, each with a list of values.
    """
    columns = [validated[key] for key in ('number', 'date', 'spans')]
    records = [answer] + [dict(number=number, date=date, spans=spans)
                          for number, date, spans in zip(*columns, strict=True)]
    return list(dict.fromkeys(map(drop_gold, records)))


def drop_gold(answer: dict) -> tuple[str, ...]:
    """One answer as a tuple of spans; a number or a date is a tuple of one (drop_eval.py)."""
    if answer['number']:
        return (str(answer['number']),)
    if answer['spans']:
        return tuple(answer['spans'])
    return (' '.join(filter(None, (answer['date'][part] for part in ('day', 'month', 'year')))),)


# ---- numbers

def math(prediction: str, golds: list[str]) -> dict:
    """Whether the answer equals a gold (deviation 6).

    The answer is the first number after "the answer is", else the last number of the text. Commas and $ do
    not count, a fraction is its quotient, floats are equal to 1 in 10^6. A unit in brackets is no part of a
    gold; a gold that is not one number ("3:5", a name) is compared as normalised text.
    """
    phrase = re.search('the answer is', prediction, re.IGNORECASE)
    answer = prediction[phrase.end():] if phrase else prediction
    numbers = (numbers_of(answer)[:1] if phrase else []) or numbers_of(prediction)[-1:]
    right = False
    for gold in (gold.split(' (')[0] for gold in golds):
        values = numbers_of(gold)
        if len(values) == 1:
            right |= any(isclose(number, values[0], rel_tol=1e-6) for number in numbers)
        else:
            right |= normalize(answer) == normalize(gold)
    return {'accuracy': float(right)}


def numbers_of(text: str) -> list[float]:
    """The numbers of a text: -3, 1,000, $5, 5.0, .5, 1/2. A minus after a letter or a digit is none."""
    parts = (match.replace(',', '').replace('$', '').split('/') for match in NUMBER.findall(text))
    return [float(part[0]) / float(part[1]) if len(part) > 1 else float(part[0]) for part in parts]


def primitive(prediction: str, golds: list[str]) -> dict:
    """Whether the text starts with the gold integer: what follows does not count (deviation 6)."""
    start = re.match(r'\s*(\d+)(?!\.?\d)', prediction)
    return {'accuracy': float(start is not None and float(start[1]) in map(float, golds))}


# ---- over questions

def mean_and_error(scores: list[float]) -> tuple[float, float]:
    """Mean of the scores and its standard error, s / sqrt(n) with s over n - 1; of one score nan."""
    n = len(scores)
    return fmean(scores), stdev(scores) / sqrt(n) if n > 1 else nan
