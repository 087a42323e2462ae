"""Thm 5.2 and 5.4 of Saunshi et al. 2025: looped models, weights by hand, that simulate a given base model.
`simulate` makes one looped layer of a base of L layers, `think` a looped model whose loops are the base's
greedy tokens, its chain of thought. The docstrings say where they differ from the printed proofs."""
import math

import torch
from torch.nn.utils import parameters_to_vector

from looped import LoopedGPT
from model import head_size_of
from proofs.constructions import Construction
from proofs.lemmas import BOUND, Head, Layer, Stream, add_argmax, add_gate, add_shift, assemble, places


def layers_of(base: LoopedGPT) -> list:
    """The blocks in order of use; ValueError where the base is not as in Saunshi et al. 2025, App. B.1."""
    config = base.config
    choices = (config.norm, config.activation, config.positions)
    of_class = choices == ('none', 'relu', 'learned') and not config.input_injection
    for name, parameter in base.named_parameters():
        if name.endswith(('qkv.bias', 'proj.bias')) and parameter.any():
            of_class = False
    if not of_class:
        raise ValueError("the theorem is of models with norm 'none', activation 'relu', positions 'learned', "
                         'attention without biases and no input injection')

    layers = []
    for stage, blocks in base.stage_blocks():
        layers += list(blocks) * stage.loops
    return layers


def heads_of(stream: Stream, block) -> list[Head]:
    """The heads of a base's block on x, the query divided by the root of the head size."""
    nh = block.attention.n_head
    hs = block.attention.head_size
    qkv = stream.rows(x=block.attention.qkv.weight)
    query, key, value = qkv.view(3, nh, hs, -1)
    query = query / math.sqrt(hs)
    out = stream.rows(x=block.attention.proj.weight.T)
    out = out.view(nh, hs, -1)
    return list(map(Head, query, key, value, out))


def neurons_of(stream: Stream, block):
    """(reads, biases, outs, the constant after them) of the feed-forward layer of a base's block on x."""
    up = block.feed_forward.up
    down = block.feed_forward.down
    reads = stream.rows(x=up.weight)  # (n_ff, size)
    outs = stream.rows(x=down.weight.T)
    if up.bias is None:
        return reads, torch.zeros(len(reads)), outs, stream.rows()
    return reads, up.bias, outs, stream.rows(x=down.bias)


@torch.no_grad()
def simulate(base: LoopedGPT) -> Construction:
    """Thm 5.2: a base of L layers, R of them distinct, as one layer looped L times; # goes before the input.
    The stream is (x, 1_R - e_r(l), l, 1[# here]), d + R + 2 wide: x is the base's and 0 at # throughout, r(l)
    the distinct layer that loop l applies. The layer has the heads and neurons of all distinct layers, and
    `add_switched` turns off those that the loop does not apply."""
    distinct = {}  # by their weights
    r = []
    for block in layers_of(base):
        weights = parameters_to_vector(block.parameters()).numpy().tobytes()
        distinct.setdefault(weights, block)
        r.append(list(distinct).index(weights))
    config = base.config
    d = config.n_embd
    L = len(r)
    R = len(distinct)
    stream = Stream(x=d, off=R, loop=1, dummy=1)
    off = 1 - torch.eye(R)[r]  # (L, R), row l - 1 is of loop l

    # # is the last token and stands at the first position.
    zero = torch.zeros(1, d)
    embedding = torch.cat([base.token_embedding.weight, zero])  # (V + 1, d)
    position = torch.cat([zero, base.position_embedding.weight])  # (T_max + 1, d)
    dummy = torch.eye(len(position), 1)
    tokens = stream.rows(x=embedding)
    positions = stream.rows(x=position, off=off[0], loop=1, dummy=dummy)
    output = stream.rows(x=base.head.weight)
    head = torch.cat([output, stream.rows(loop=-BOUND)])  # # is never the answer

    layer = Layer(stream)
    for block, is_i in zip(distinct.values(), torch.eye(R), strict=True):
        add_switched(layer, block, is_i, L)
    layer.schedule('loop', off.diff(dim=0, append=off[-1:]), 'off')
    layer.constant += stream.rows(loop=1)
    n_ff = base.blocks[0].feed_forward.up.out_features
    claimed = (f'layers 1, d {d + R + 2}, ff {R * n_ff} + O(L), '
               f'heads {R * config.n_head} x {head_size_of(config)}')
    return Construction(assemble([layer], tokens, positions, head, L), L, claimed)


def add_switched(layer: Layer, block, is_i, L: int):
    """Adds distinct layer i, which acts where off_i is 0, and not at #; is_i (R,) is the unit vector e_i.
    A head that is off must see # alone, whose value is 0, and one that is on must not see it. (In the proof #
    scores -B in a head that is off, which is the wrong sign, and 0 in one that is on.) One dimension more,
    where only # has a key, and the query BOUND ((L + 1) off_i - l) does both: # scores BOUND or more, or
    -BOUND or less. A neuron also reads -BOUND off_i - BOUND 1[# here]; so does one more neuron, for the
    constant that the proof leaves on. What is on gets only zeros added: no precision is lost."""
    stream = layer.stream
    switch = stream.rows(off=BOUND * (L + 1) * is_i, loop=-BOUND)
    dummy = stream['dummy']
    for head in heads_of(stream, block):
        query = torch.cat([head.query, switch])
        key = torch.cat([head.key, dummy])
        layer.add_head(query, key, head.value, head.out)

    shut = stream.rows(off=-BOUND * is_i, dummy=-BOUND)
    reads, biases, outs, constant = neurons_of(stream, block)
    layer.add_neurons(reads + shut, biases, outs)
    layer.add_neurons(shut, 1.0, constant)


@torch.no_grad()
def think(base: LoopedGPT, m: int) -> Construction:
    """Thm 5.4: n tokens and m dummies # -> the same tokens and the base's m greedy thoughts, in m loops.
    The block is the base's L layers and 3 more (`hand_on`), the same for any n and m: `open` is 1 at dummies,
    so the weights need not know n, which the mask of the proof has to. A mask needs both x and `kept`. After
    the last loop a thought is an input embedding, which the base's output layer cannot read: hence `told`.
    By the paper's recursion TF^m is the m-th token: the answer after m - 1 thoughts."""
    config = base.config
    d = config.n_embd
    V = config.vocab_size
    hs = head_size_of(config)
    stream = thought_stream(d, V)

    # The base's layers act on x, three more end the loop.
    layers = []
    for block in layers_of(base):
        layer = Layer(stream)
        layer.heads = heads_of(stream, block)
        reads, biases, outs, constant = neurons_of(stream, block)
        layer.add_neurons(reads, biases, outs)
        layer.constant += constant
        layers.append(layer)
    claimed = (f'layers {len(layers)} + O(1), d {d} + O(1), ff {len(reads)} + O(1), '
               f'heads {config.n_head} + O(1) x {hs} + O(1)')
    layers += hand_on(stream, base, hs)

    embedding = torch.cat([base.token_embedding.weight, torch.zeros(1, d)])  # (V + 1, d), # is the last
    one_hot = torch.eye(V + 1)
    tokens = stream.rows(x=embedding, kept=embedding, told=one_hot[:, :V], open=one_hot[:, V:])
    position = base.position_embedding.weight  # (T_max, d)
    positions = stream.rows(x=position, kept=position, **places(len(position)))
    head = torch.cat([stream['told'], stream['open']])
    return Construction(assemble(layers, tokens, positions, head, m), m, claimed)


def thought_stream(d: int, V: int) -> Stream:
    return Stream(
        x=d,            # what the layers make of the input embedding
        kept=d,         # the input embedding
        told=V,         # the token, one-hot
        gaps=V,         # for the argmax (Lemma B.2)
        guess=V,        # the next token, one-hot
        before=V,       # `guess` of the predecessor
        open=1,         # 1 at dummies without a thought
        open_before=1,  # `open` of the predecessor
        go=1,           # 1 at the dummy that takes its thought in this loop
        shut=1,         # 1 - go
        one=1,
        place=1,        # the position's number
        square=1,       # its square
    )


def hand_on(stream: Stream, base: LoopedGPT, head_size: int) -> list[Layer]:
    """The three layers that end a loop: next tokens go to the right, and the first dummy takes what it gets.
    The mask of the proof, 1[i >= n + t] in loop t, lets all dummies take what they get, which is right at
    n + t only. Here go = open_i - open_(i-1) is 1 at that dummy, which is open no more afterwards."""
    first = Layer(stream)
    second = Layer(stream)
    third = Layer(stream)
    is_open = stream['open']
    open_before = stream['open_before']
    before = stream['before']
    guess = stream['guess']
    x = stream['x']
    kept = stream['kept']

    # The first dummy is the dummy whose predecessor is no dummy.
    add_shift(first, is_open, open_before)
    first.add_neurons(is_open - open_before, 0.0, stream.rows(go=1, shut=-1))
    first.constant += stream.rows(shut=1)

    # Lemma B.2: every position guesses the next token, and x is cleared.
    add_argmax(first, second, stream.rows(x=base.head.weight), 'gaps', guess)
    second.add_linear(x, -x)

    # Lemmas B.5 and B.4: guesses go to the right, the first dummy takes its guess, x starts again from kept.
    add_shift(third, guess, before, head_size)
    add_gate(third, 'shut', before, stream['told'])
    add_gate(third, 'shut', stream.rows(before=base.token_embedding.weight.T), kept + x)
    third.add_linear(kept, x)
    third.add_neurons(stream['go'], 0.0, -is_open)
    third.clear('guess', 'before', 'open_before', 'go', 'shut')
    return [first, second, third]
