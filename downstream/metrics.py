"""Scores of a text against gold answers by the official rules of each data set, all in [0, 1].

One function for each rule, which names the scorer that it follows. It takes the answer to a question (a str)
and a list of golds (str, in DROP tuples of str) and returns a dict of scores. EM is exact match after
normalisation, F1 the harmonic mean of precision and recall over words.

Deviations from the official scorers, and what they leave open:
1. DROP scores a list of spans, which a text does not have: where the gold considered has several spans, the
   prediction is cut at ', ' and ' and ' and newlines (', and ' is one cut). Elsewhere it is one span.
2. QuAC has no EM: ours takes the place of F1 in the same leave-one-out maximum. Neither HEQ nor the scores of
   yes/no and follow-up are computed, and skipping questions below HUMAN_F1_MIN is left to the caller.
3. NQ-open has no F1: ours is SQuAD v2's. WebQuestions is scored by its authors as sets of entities and TyDi
   GoldP by SQuAD v1.1; both take `squad` here (v1.1 differs only where an answer normalises to nothing).
4. SQuAD v2's search for the best no-answer threshold is left out: an answer is taken as it was decoded.
5. TriviaQA's scorer takes the aliases as its file has them normalised; here any aliases are normalised.
6. Math word problems and primitives have no official scorer: `word_problem` and `primitive` are ours.
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
NUMBER = re.compile(r'''
    (?:(?<!\w)-)?                  # a minus that follows no letter or digit
    \$?
    (?:\d[\d,]*(?:\.\d+)?|\.\d+)   # 5, 1,000, 5.0, .5
    (?:/0*[1-9]\d*)?               # a denominator other than 0
''', re.VERBOSE)
CANNOT = 'CANNOTANSWER'  # QuAC's gold where the passage does not tell
HUMAN_F1_MIN = 0.4       # QuAC leaves questions out on which people agree less


# ---- words

def normalize(text: str, punctuation=NO_PUNCTUATION) -> str:
    """Lower case, no punctuation, no articles, single spaces, in this order (SQuAD, evaluate-v2.0.py)."""
    text = text.lower().translate(punctuation)
    text = ARTICLES.sub(' ', text)
    return ' '.join(text.split())


def word_f1(prediction: str, gold: str) -> float:
    """F1 of the bags of words of two normalised texts; 0 where they share none, so of two empty ones too.

    In the order of operations of the scorers: QuAC compares a mean of these with 0.4.
    """
    words = prediction.split()
    gold_words = gold.split()
    shared = Counter(words) & Counter(gold_words)  # each word as often as in both
    n_shared = shared.total()
    if n_shared == 0:
        return 0.0
    precision = n_shared / len(words)
    recall = n_shared / len(gold_words)
    return 2 * precision * recall / (precision + recall)


def answer_f1(prediction: str, gold: str) -> float:
    """word_f1 where "" is an answer too, matched by itself alone (SQuAD v2, CoQA)."""
    return 1.0 if prediction == gold else word_f1(prediction, gold)


def best_over_golds(prediction, golds, f1=answer_f1):
    """EM and F1 of normalised texts, each the maximum over golds."""
    f1s = [f1(prediction, gold) for gold in golds]
    return {'em': float(prediction in golds), 'f1': max(f1s)}


def plain_mean(values: list[float]) -> float:
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
    best_scores = []
    for i in range(len(scores)):
        others = scores[:i] + scores[i + 1:]
        best_scores.append(max(others))
    return plain_mean(best_scores)


# ---- questions with a few gold texts

def squad(prediction, golds):
    """SQuAD v2 (evaluate-v2.0.py): best EM and F1 over golds; "" is right where there is no answer.

    Golds that normalise to nothing are dropped; where none is left (or golds is ['']) the gold is "".
    """
    golds = list(filter(None, map(normalize, golds)))
    return best_over_golds(normalize(prediction), golds or [''])


def triviaqa(prediction, golds):
    """TriviaQA (triviaqa_evaluation.py): punctuation, ‘ ’ ´ ` and _ become spaces; best over aliases."""
    prediction = normalize(prediction, SPACED_PUNCTUATION)
    golds = [normalize(gold, SPACED_PUNCTUATION) for gold in golds]
    return best_over_golds(prediction, golds, word_f1)


def nq(prediction, golds):
    """NQ-open (ORQA's eval_utils.py): SQuAD's rule on NFD text, where accents are characters.

    So an accented "à" loses its letter, an article then, on both sides alike.
    """
    texts = []  # the prediction, then the golds
    for text in [prediction, *golds]:
        decomposed = unicodedata.normalize('NFD', text)
        texts.append(normalize(decomposed))
    return best_over_golds(texts[0], texts[1:])


# ---- conversations

def coqa(prediction, golds):
    """CoQA (evaluate-v1.0.py): SQuAD v2's EM and F1 of a pair, leave-one-out over golds, equal ones kept."""
    golds = list(map(normalize, golds))
    return leave_one_out_scores(normalize(prediction), golds, answer_f1)


def leave_one_out_scores(prediction, golds, f1):
    """EM and F1 of normalised texts, each leave-one-out over golds."""
    ems = []
    f1s = []
    for gold in golds:
        ems.append(float(prediction == gold))
        f1s.append(f1(prediction, gold))
    return {'em': leave_one_out(ems), 'f1': leave_one_out(f1s)}


def quac(prediction, golds):
    """QuAC (scorer.py): leave-one-out F1 and EM, and the F1 of a gold against the others (human_f1).

    CANNOTANSWER is the only gold where at least half of them say so, else it is none; it scores for itself
    alone, letter by letter. The headline leaves out questions with human_f1 below HUMAN_F1_MIN.
    """
    spans = [gold for gold in golds if gold != CANNOT]
    if 2 * len(spans) <= len(golds):
        right = float(prediction == CANNOT)
        return {'f1': right, 'em': right, 'human_f1': 1.0}

    spans = list(map(normalize, spans))
    scores = leave_one_out_scores(normalize(prediction), spans, word_f1)
    return {'f1': scores['f1'], 'em': scores['em'], 'human_f1': human_f1(spans)}


def human_f1(spans: list[str]) -> float:
    """Mean over normalised golds of the best F1 against the others; 1 for a single gold (QuAC, scorer.py)."""
    if len(spans) == 1:
        return 1.0
    best_f1s = []
    for i, span in enumerate(spans):
        others = spans[:i] + spans[i + 1:]
        best_f1s.append(max(word_f1(span, other) for other in others))
    return plain_mean(best_f1s)


# ---- DROP

def drop(prediction, golds):
    """DROP (drop_eval.py): best EM and F1 over golds, each a tuple of spans; empty golds are skipped."""
    em = 0.0
    f1 = 0.0
    for gold in golds:
        if not gold[0].strip():
            continue
        spans = spans_of(prediction) if len(gold) > 1 else [prediction]
        gold_em, gold_f1 = drop_pair(spans, gold)
        em = max(em, gold_em)
        f1 = max(f1, gold_f1)
    return {'em': em, 'f1': f1}


def spans_of(text: str) -> list[str]:
    """The spans that a text lists (deviation 1); the text itself where it lists none."""
    spans = [span for span in SPAN_ENDS.split(text) if span.strip()]
    return spans or [text]


def drop_pair(spans, gold_spans) -> tuple[float, float]:
    """(EM, F1): equal sets of equally many spans; F1s of the best one-to-one pairs over the larger count.

    F1 is rounded to 2 digits as numpy does it: half to even after the product. numpy adds 8 or more values
    in another order, so a half may fall to the other side.
    """
    spans = list(map(drop_normalize, spans))
    golds = list(map(drop_normalize, gold_spans))
    em = set(spans) == set(golds) and len(spans) == len(golds)

    table = []  # F1 of every span with every gold
    for span in spans:
        row = [drop_f1(set(span.split()), set(gold.split())) for gold in golds]
        table.append(row)
    f1 = plain_mean(best_pairs(table))
    return float(em), round(100 * f1) / 100


def drop_normalize(text: str) -> str:
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


def is_number(token: str) -> bool:
    """Whether float() takes it: 1e5, nan and 1_000 are numbers, as in DROP's scorer."""
    try:
        float(token)
    except ValueError:
        return False
    return True


def drop_f1(words: set[str], gold: set[str]) -> float:
    """F1 of two sets of words; 0 where the gold holds numbers and the words none of them. Two empty: 1."""
    numbers = set(filter(is_number, gold))
    if numbers and not numbers & words:
        return 0.0
    shared = len(words & gold)
    precision = shared / len(words) if words else 1.0
    recall = shared / len(gold) if gold else 1.0
    if not precision and not recall:
        return 0.0
    return 2 * precision * recall / (precision + recall)


def best_pairs(scores: list[list[float]]) -> list[float]:
    """Scores >= 0 of the one-to-one pairs of rows and columns with the largest sum: Hungarian method, O(n^3).

    In the order of columns, 0 for what has no partner: max(rows, columns) values. Rows take seats (columns)
    one by one, each by the cheapest chain of moves that ends on a free seat. Seat 0 is where a new row waits.
    """
    # Fill the table up to a square with pairs that score 0.
    size = max(len(scores), len(scores[0]))
    square = [[0.0] * size for _ in range(size)]
    for i, row in enumerate(scores):
        square[i][:len(row)] = row

    row_prices = [0.0] * size
    seat_prices = [0.0] * (size + 1)
    owner = [None] * (size + 1)  # the row that sits on each seat
    for row in range(size):
        owner[0] = row
        seat, previous = cheapest_chain(square, row_prices, seat_prices, owner)
        while seat:  # from the end of the chain back, every row moves one seat on
            owner[seat] = owner[previous[seat]]
            seat = previous[seat]
    return [square[owner[seat]][seat - 1] for seat in range(1, size + 1)]


def cheapest_chain(scores, row_prices, seat_prices, owner) -> tuple[int, list[int]]:
    """The free seat where the cheapest chain from seat 0 ends, and the seat before each seat on its chain.

    Changes the prices so that every reduced cost, price of row + price of seat - score, stays >= 0.
    """
    seats = len(seat_prices)
    cost = [inf] * seats  # of the cheapest chain found so far
    previous = [0] * seats
    reached = []
    unreached = list(range(1, seats))
    seat = 0
    while owner[seat] is not None:
        # Chains that go on from the row on this seat may be cheaper than those found so far.
        row = owner[seat]
        reached.append(seat)
        for j in unreached:
            reduced = row_prices[row] + seat_prices[j] - scores[row][j - 1]
            if reduced < cost[j]:
                cost[j] = reduced
                previous[j] = seat

        # Shift the prices until the nearest seat costs nothing.
        nearest = min(unreached, key=cost.__getitem__)
        step = cost[nearest]
        for j in reached:
            row_prices[owner[j]] -= step
            seat_prices[j] += step
        for j in unreached:
            cost[j] -= step
        unreached.remove(nearest)
        seat = nearest
    return seat, previous


def drop_golds(answer: dict, validated: dict) -> list[tuple]:
    """The golds of a record: its answer and the validated ones, each once.

    An answer is {number, date {day, month, year}, spans []}, the first that is there of number, spans, date;
    `validated` has the same keys, each with a list of values.
    """
    golds = [drop_gold(answer)]
    columns = (validated['number'], validated['date'], validated['spans'])
    for number, date, spans in zip(*columns, strict=True):
        other = {'number': number, 'date': date, 'spans': spans}
        golds.append(drop_gold(other))
    return list(dict.fromkeys(golds))


def drop_gold(answer: dict) -> tuple:
    """One answer as a tuple of spans; a number or a date is a tuple of one (drop_eval.py)."""
    if answer['number']:
        return (str(answer['number']),)
    if answer['spans']:
        return tuple(answer['spans'])
    date = answer['date']
    parts = filter(None, [date['day'], date['month'], date['year']])
    return (' '.join(parts),)


# ---- numbers

def word_problem(prediction, golds):
    """Whether the answer to a math word problem equals a gold (deviation 6).

    The answer is the first number after "the answer is", else the last number of the text. Commas and $ do
    not count, a fraction is its quotient, floats are equal to 1 in 10^6. A unit in brackets is no part of a
    gold; a gold that is not one number ("3:5", a name) is compared as normalised text.
    """
    answer = prediction
    numbers = []
    phrase = re.search('the answer is', prediction, re.IGNORECASE)
    if phrase:
        answer = prediction[phrase.end():]
        numbers = numbers_of(answer)[:1]
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


def numbers_of(text: str) -> list[float]:
    """The numbers of a text: -3, 1,000, $5, 5.0, .5, 1/2. A minus after a letter or a digit is none."""
    numbers = []
    for match in NUMBER.findall(text):
        parts = match.replace(',', '').replace('$', '').split('/')  # numerator, perhaps denominator
        number = float(parts[0])
        if len(parts) > 1:
            number /= float(parts[1])
        numbers.append(number)
    return numbers


def primitive(prediction, golds):
    """Whether the text starts with the gold integer: what follows does not count (deviation 6)."""
    start = re.match(r'\s*(\d+)(?!\.?\d)', prediction)
    right = start is not None and float(start[1]) in map(float, golds)
    return {'accuracy': float(right)}


# ---- over questions

def mean_and_error(scores: list[float]) -> tuple[float, float]:
    """Mean of the scores and its standard error, s / sqrt(n) with s over n - 1; of one score nan."""
    n = len(scores)
    error = stdev(scores) / sqrt(n) if n > 1 else nan
    return fmean(scores), error
