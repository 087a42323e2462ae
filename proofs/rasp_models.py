"""B's n-RASP-L programs for parity and copy as weights of one looped layer (B, Prop. 3.2 and 3.3, App. A).

One loop is one iteration of the program in rasp.py, T(n) = n of them for any n up to the block size; tokens
are those of length_tasks.py, and full-answer prediction reads the answer from '>' on. What the programs do
before and after their loops is the embedding's and the head's here: the part that has ended is where the
tokens are '#', or '>' and '#', and needs no attention to be found. shift_right compares positions, so there
are positions, which B's trained models do without; and no input is injected.
"""
import torch

from problems.lengths import LENGTH_TASKS
from proofs.lemmas import Heads, Neurons, Stream, assemble, places, shift

WORDS = LENGTH_TASKS['parity']().words[:-1]  # 0, 1, '>', '#', '.'


def embedding(**values: str):
    """(words, 1) for each name: 1 at the words that stand in its text."""
    return {name: torch.tensor([[float(word in text)] for word in WORDS]) for name, text in values.items()}


def parity(n_max: int):
    """'1011>##' -> 1 at '>', '#' behind it, after n <= n_max loops (Listing 1). d = 8, 1 head, 4 neurons.

    bits = shift_right(bits) is Lemma B.5, but nothing comes to position 0; answer ^= bits is, with r for what
    has come, answer + r - 2 [answer + r - 1]+.
    """
    s = Stream(bit=1, read=1, answer=1, ended=1, one=1, place=1, square=1, start=1)
    heads, neurons = Heads(), Neurons(s)
    shift(heads, s, s.rows(bit=1), s.rows(read=1))
    neurons.add(s.rows(read=1, start=-1), 0.0, s.rows(bit=1, answer=1))
    neurons.add(s.rows(answer=1, read=1, start=-2), -1.0, s.rows(answer=-2))
    neurons.clear('bit', 'read')
    tokens = s.rows(**embedding(bit='1', ended='#'))
    positions = s.rows(start=torch.eye(n_max + 3)[:, :1], **places(n_max + 3))
    head = {'0': s.rows(one=0.5), '1': s.rows(answer=1), '#': s.rows(ended=2)}
    head = torch.cat([head.get(word, s.rows()) for word in WORDS])
    return assemble([(heads, neurons)], tokens, positions, head, n_max)


def copy(n_max: int):
    """'10>##' -> 10 from '>' on, '#' behind it, after n <= n_max loops (Listing 2). d = 9, 1 head, 6 neurons.

    seq, ended = shift_right(seq), shift_right(ended), of which each position needs one: '>' and '#' are both
    `ended`. Position 0 keeps its own; what comes from before it never gets as far as '>'.
    """
    s = Stream(word=3, read=3, one=1, place=1, square=1)
    heads, neurons = Heads(), Neurons(s)
    shift(heads, s, s.eye('word'), s.eye('read'))
    neurons.add(s.eye('read'), 0.0, s.eye('word') - s.eye('read'))
    neurons.clear('word')
    words = torch.cat(list(embedding(zero='0', one='1', ended='>#').values()), 1)
    tokens, positions = s.rows(word=words), s.rows(**places(2 * n_max + 2))
    head = dict(zip('01#', s.eye('word').split(1), strict=True))
    head = torch.cat([head.get(word, s.rows()) for word in WORDS])
    return assemble([(heads, neurons)], tokens, positions, head, n_max)


PROGRAMS = {'parity': parity, 'copy': copy}
