"""The n-RASP-L programs for parity and copy as weights of one looped layer (Fan et al. 2025, Prop. 3.2, 3.3).
One loop is one iteration of the program in problems/rasp.py (Fan et al. 2025, App. A), T(n) = n of them.
Tokens are those of problems/lengths.py, and full-answer prediction reads the answer from '>' on. The
embedding and the head do what the programs do before and after their loops. shift_right compares positions,
so the models have positional embeddings, which the trained models of the paper do without."""
import torch

from looped import LoopedGPT
from proofs.lemmas import Layer, Stream, add_shift, assemble, places

WORDS = ('0', '1', '>', '#', '.')  # the vocabulary of both tasks


def parity_model(n_max: int) -> LoopedGPT:
    """'1011>##' -> 1 at '>', '#' behind it, after n <= n_max loops (Listing 1). d = 8, 1 head, 4 neurons.
    bits = shift_right(bits) is Lemma B.5 of Saunshi et al. 2025, but position 0 gets 0; answer ^= bits is
    answer + r - 2 [answer + r - 1]+ of the bit r that has arrived."""
    stream = Stream(
        bit=1,     # moves to the right
        read=1,    # `bit` of the predecessor
        answer=1,  # the parity of the bits that have passed
        ended=1,   # 1 at '#'
        one=1,
        place=1,   # the position's number
        square=1,  # its square
        start=1,   # 1 at position 0
    )
    tokens = stream.rows(bit=is_one_of('1'), ended=is_one_of('#'))
    start = torch.eye(n_max + 3, 1)
    positions = stream.rows(start=start, **places(n_max + 3))

    layer = Layer(stream)
    add_shift(layer, stream.rows(bit=1), stream.rows(read=1))
    arrived = stream.rows(read=1, start=-1)
    layer.add_neurons(arrived, 0.0, stream.rows(bit=1, answer=1))
    both = stream.rows(answer=1, read=1, start=-2)
    layer.add_neurons(both, -1.0, stream.rows(answer=-2))
    layer.clear('bit', 'read')

    zero = stream.rows()
    head = [stream.rows(one=0.5), stream.rows(answer=1), zero, stream.rows(ended=2), zero]  # as in WORDS
    return assemble([layer], tokens, positions, torch.cat(head), n_max)


def copy_model(n_max: int) -> LoopedGPT:
    """'10>##' -> 10 from '>' on, '#' behind it, after n <= n_max loops (Listing 2). d = 9, 1 head, 6 neurons.
    A loop shifts seq and ended to the right, of which each position needs one: '>' and '#' are both `ended`.
    Position 0 keeps its bit, and further copies of it stay before '>'."""
    stream = Stream(
        word=3,    # 0, 1 or ended, one-hot, moves to the right
        read=3,    # `word` of the predecessor
        one=1,
        place=1,   # the position's number
        square=1,  # its square
    )
    words = [is_one_of('0'), is_one_of('1'), is_one_of('>#')]
    tokens = stream.rows(word=torch.cat(words, 1))
    positions = stream.rows(**places(2 * n_max + 2))

    layer = Layer(stream)
    word = stream['word']
    read = stream['read']
    add_shift(layer, word, read)
    layer.add_neurons(read, 0.0, word - read)
    layer.clear('word')

    zero = stream.rows()
    head = torch.cat([word[:2], zero, word[2:], zero])  # as in WORDS
    return assemble([layer], tokens, positions, head, n_max)


def is_one_of(signs: str):
    """(words, 1): 1 at the words among `signs`."""
    return torch.tensor([[word in signs] for word in WORDS])


RASP_MODELS = {'parity': parity_model, 'copy': copy_model}
