"""A's theorems as models of looped.py whose weights are written by hand (A, Sec. 5 and App. B).

Each function returns a Construction: the model, its loops, and the sizes that the theorem claims for it. What
had to differ from the printed proof is said in its docstring.
"""
import math
from typing import NamedTuple

import torch

from looped import LoopedGPT
from proofs.lemmas import (
    BOUND,
    SHARP,
    Heads,
    Neurons,
    Stream,
    argmax,
    assemble,
    bits_for,
    codes,
    gate,
    places,
    shift,
)


class Construction(NamedTuple):
    """A model with hand-written weights: call model(tokens, n_loops=loops)."""
    model: LoopedGPT
    loops: int
    claimed: dict  # by the theorem, of what `used` gives: numbers, or text where there is an order only

    def used(self) -> dict:
        sizes = ('n_layer', 'n_embd', 'n_ff', 'n_head', 'head_size')
        return {name: getattr(self.model.config, name) for name in sizes}


def group_composition(table, n: int) -> Construction:
    """Thm 5.1: (#, g_1 .. g_n) -> g_1 g_2 .. g_n at the last position, for the group with table[g, h] = gh.

    One layer, ceil(log2 n) loops. With b bits for an element and c for one of n + 1 positions (the theorem's
    ceil(log2 n + 1) read as ceil(log2(n + 1))), d is 3 (b + c), d_ff |G|^2 + 6 b and there are 2 heads, as
    claimed. In a loop position i gets g_[2i-n-1]+ g_[2i-n]+: after l loops position n holds the product of
    the last 2^l elements. # is the identity, and has its embedding; n = 1 takes no loop.

    The proof as printed: the second position is [2i - n]+, printed as the first again; the query is plus the
    wanted position's code, for minus it finds the complement; a head is max(b, c) wide, not ceil(log2 n),
    since a key has c bits and a value b. Margin: the wanted position scores SHARP c, others SHARP (c - 2).
    """
    table = torch.as_tensor(table).long()
    order = len(table)
    identity = (table == torch.arange(order)).all(1).nonzero()
    if not len(identity):
        raise ValueError('the table has no identity, so it is not that of a group')
    b, c = bits_for(order), bits_for(n + 1)
    s = Stream(g=b, here=c, left=c, right=c, g_left=b, g_right=b)
    code, place, i = codes(order, b), codes(n + 1, c), torch.arange(n + 1)
    tokens = s.rows(g=torch.cat([code, code[identity[0]]]))
    positions = s.rows(here=place, left=place[(2 * i - n - 1).clamp(min=0)],
                       right=place[(2 * i - n).clamp(min=0)])
    heads, neurons = Heads(), Neurons(s)
    for side in ('left', 'right'):  # claim 1: two heads fetch the two factors
        heads.add(SHARP * s.eye(side), s.eye('here'), s.eye('g'), s.eye(f'g_{side}'))
    # Claim 2: the neuron of (h, k) is 1 where these are the factors, 0 elsewhere; then the old parts go.
    h, k = torch.cartesian_prod(torch.arange(order), torch.arange(order)).T
    neurons.add(s.rows(g_left=code[h], g_right=code[k]), 1 - 2 * b, s.rows(g=code[table[h, k]]))
    for name in ('g', 'g_left', 'g_right'):
        neurons.linear(s.eye(name), -s.eye(name))
    head = torch.cat([s.rows(g=code), s.rows()])  # an element's logit is b where it is right; #'s is 0
    loops = (n - 1).bit_length()
    claimed = dict(n_layer=1, n_embd=3 * (b + c), n_ff=order ** 2 + 6 * b, n_head=2, head_size=loops)
    return Construction(assemble([(heads, neurons)], tokens, positions, head, loops), loops, claimed)


def layers_of(base: LoopedGPT):
    """(distinct blocks, r): r[l] is the distinct block that layer l of the base is, from 0."""
    applied = [block for stage, blocks in base.stage_blocks() for _ in range(stage.loops) for block in blocks]
    distinct, r = [], []
    for block in applied:
        same = [i for i, other in enumerate(distinct) if all(
            torch.equal(a, b) for a, b in zip(block.parameters(), other.parameters(), strict=True))]
        r.append(same[0] if same else len(distinct))
        if not same:
            distinct.append(block)
    return distinct, r


def check_class(base: LoopedGPT):
    """ValueError unless the base is of A's class (App. B.1)."""
    c = base.config
    biases = [layer.bias for block in base.blocks for layer in (block.attention.qkv, block.attention.proj)]
    if (c.norm, c.activation, c.positions) != ('none', 'relu', 'learned') or base.input_injection or any(
            bias is not None and bias.any() for bias in biases):
        raise ValueError("the theorem is of models with norm 'none', activation 'relu', positions 'learned', "
                         'attention without biases and no input injection')


def head_parts(block):
    """Query (with the base's 1 / sqrt(hs)), key, value and output rows (hs, d) of each head of a block."""
    attention = block.attention
    nh, hs = attention.n_head, attention.head_size
    query, key, value = attention.qkv.weight.detach().view(3, nh, hs, -1)
    out = attention.proj.weight.detach().T.reshape(nh, hs, -1)
    return zip(query / math.sqrt(hs), key, value, out, strict=True)


def feed_forward_parts(block):
    """Incoming rows, biases, outgoing rows, and the constant of a block's feed-forward layer."""
    up, down = block.feed_forward.up, block.feed_forward.down
    bias, constant = (torch.zeros(layer.out_features) if layer.bias is None else layer.bias.detach()
                      for layer in (up, down))
    return up.weight.detach(), bias, down.weight.detach().T, constant


def hidden(base: LoopedGPT) -> int:
    """Neurons of a layer."""
    return base.blocks[0].feed_forward.up.out_features


def simulate(base: LoopedGPT) -> Construction:
    """Thm 5.2: a base of L layers, R of them distinct, as one layer looped L times; # goes before the input.

    The stream is (x, 1_R - e_r(l), l, 1[# here]), d + R + 2 wide: x is the base's and 0 at # throughout, r(l)
    the distinct layer that loop l applies. Heads and neurons are those of all distinct layers, and `switched`
    keeps off those of others. d_ff is R (d_ff + 1) + L + 2, and a head one dimension wider than the base's.
    """
    check_class(base)
    distinct, r = layers_of(base)
    L, R, d = len(r), len(distinct), base.config.n_embd
    s = Stream(x=d, off=R, loop=1, dummy=1)
    heads, neurons = Heads(), Neurons(s)
    for i, block in enumerate(distinct):
        switched(heads, neurons, block, i, L)
    off = 1 - torch.eye(R)[r]  # (L, R)
    neurons.schedule('loop', torch.cat([off[1:] - off[:-1], torch.zeros(1, R)]), 'off')
    neurons.constant += s.rows(loop=1)[0]
    tokens, positions = (table.weight.detach() for table in (base.token_embedding, base.position_embedding))
    tokens = s.rows(x=torch.cat([tokens, torch.zeros(1, d)]))
    positions = s.rows(x=torch.cat([torch.zeros(1, d), positions]), off=off[0], loop=1,
                       dummy=torch.eye(len(positions) + 1)[:, :1])
    head = torch.cat([s.rows(x=base.head.weight.detach()), s.rows(loop=-BOUND)])  # # is never the answer
    claimed = dict(n_layer=1, n_embd=d + R + 2, n_ff=f'{R * hidden(base)} + O(L)',
                   n_head=R * base.config.n_head, head_size=base.blocks[0].attention.head_size)
    return Construction(assemble([(heads, neurons)], tokens, positions, head, L), L, claimed)


def switched(heads: Heads, neurons: Neurons, block, i: int, L: int):
    """Adds distinct layer i, which acts where off_i is 0, and not at #.

    A head that is off must see # alone, whose value is 0, and one that is on must not see it. (In the proof #
    scores -B in a head that is off, which is the wrong sign, and 0 in one that is on.) One dimension more,
    where only # has a key, and the query BOUND ((L + 1) off_i - l) does both: as l counts from 1, # scores
    BOUND or more, or -BOUND or less. A neuron reads -BOUND off_i - BOUND 1[# here] besides; so does one more,
    for the constant that follows the neurons, which the proof leaves on. To what is on only zeros are
    added: no precision is lost, however large BOUND is.
    """
    s, one = neurons.s, torch.eye(neurons.s.sizes['off'])[i]
    switch = s.rows(off=BOUND * (L + 1) * one, loop=-BOUND)
    for query, key, value, out in head_parts(block):
        heads.add(torch.cat([s.rows(x=query), switch]), torch.cat([s.rows(x=key), s.eye('dummy')]),
                  s.rows(x=value), s.rows(x=out))
    reads, biases, out, constant = feed_forward_parts(block)
    shut = s.rows(off=-BOUND * one, dummy=-BOUND)
    neurons.add(s.rows(x=reads) + shut, biases, s.rows(x=out))
    neurons.add(shut, 1.0, s.rows(x=constant))


def p_hop(p: int, n: int, n_letters=4, n_head=3) -> Construction:
    """Cor. 5.3: (none, v_1 .. v_n) -> hop_p of every prefix, by one layer looped floor(log2 p) + 2 times.

    Loop 1 finds f = find_1 (A, Def. A.1), a number, 0 for none. Loop k + 2 looks up position f = find_(2^k):
    what stands there as f is find_(2^(k+1)); what stands there as `token`, at first its letter, is the hop of
    what this one has and 2^k more, which it takes if bit k of p is 1. So there are three kinds of loop: find,
    bit 0, bit 1. `find` takes n_head - 1 heads: with the 3 heads of the corollary d is O(sqrt(n)), with
    1 + log2(n + 1) of them it is O(log n), as claimed. The two together are more than we know how to have.
    """
    if p < 1 or n_head < 2:
        raise ValueError(f'p={p}, n_head={n_head}: a hop takes at least p = 1 and 2 heads')
    n_digits, loops = n_head - 1, p.bit_length() + 1
    base = next(base for base in range(2, n + 2) if base ** n_digits > n)
    s = Stream(letter=n_letters, token=n_letters, read=n_letters, f=1, read_f=1, found=n_digits,
               digits=n_digits * base, one=1, place=1, square=1, after=1, start=1, loop=1, bit=1)
    i = torch.arange(n + 1)[:, None]
    digits = torch.nn.functional.one_hot(i // base ** torch.arange(n_digits) % base, base).flatten(1)
    later = i > 0  # position 0, of 'none', shares nothing with others
    letters = torch.eye(n_letters + 1, n_letters)
    tokens = s.rows(letter=letters, token=letters)
    positions = s.rows(digits=digits * later, after=(i + 1) * later, start=~later, loop=1, **places(n + 1))
    heads, neurons = Heads(), Neurons(s)
    for t in range(n_digits):
        find(heads, s, t, base, 2 * SHARP * (n + 2))
    heads.look_up(s, s.eye('f'), torch.cat([s.eye('f'), s.eye('token')]),
                  torch.cat([s.eye('read_f'), s.eye('read')]))
    take(neurons, n)
    bits = torch.tensor([0] + [p >> k & 1 for k in range(loops - 1)] + [0])[:, None]  # of loops 1, 2, ..
    neurons.schedule('loop', bits[1:] - bits[:-1], 'bit')
    head = torch.cat([s.eye('token'), s.rows(one=0.5)])  # none where there is no token
    claimed = dict(n_layer=1, n_embd='O~(1)', n_ff='O~(1)', n_head=3, head_size='O~(1)')
    return Construction(assemble([(heads, neurons)], tokens, positions, head, loops), loops, claimed)


def find(heads: Heads, s: Stream, t: int, base: int, unit: float):
    """Head t of the first loop: the last equal letter among the positions that differ in digit t, not above.

    find_1 is one after the last equal letter strictly before a position, which attention is not kept from
    seeing. Letters shifted by one in a loop of its own, as usual, cost a loop: ceil(log2 p) + 2 in all. A
    single score that grows up to i - 1 and is least at i we know only with n dimensions, or numbers as large
    as e^n. So a head looks where digit t differs: never at i itself. Attention is causal, so the digit is
    smaller there, and heads of lower t see nearer positions. Written is the number of the position after.

    The letter, each shared digit above t and a different digit t count `unit`, the position SHARP a step, and
    0, which means none, half a unit less than all of these. With unit = 2 SHARP (n + 2) any two keys that
    matter are SHARP apart, at scores of which float32 loses less than 8 up to n = 512.
    """
    digit = s.eye('digits')
    same, differs = digit[(t + 1) * base:], digit[t * base:(t + 1) * base]
    wanted = 1 + len(same) / base
    query = torch.cat([unit * s.eye('letter'), unit * same, -unit * differs,
                       s.rows(one=unit * (wanted - 0.5)), s.rows(one=SHARP)])
    key = torch.cat([s.eye('letter'), same, differs, s.eye('start'), s.eye('place')])
    heads.add(query, key, s.eye('after'), s.eye('found')[t:t + 1])


def take(neurons: Neurons, n: int):
    """What a loop does with what its heads bring; in loop 1 f is 0, and 0 is what stands at position 0."""
    s, wall = neurons.s, n + 2
    n_digits, read, token = s.sizes['found'], s.eye('read'), s.eye('token')
    nearer = torch.ones(n_digits, n_digits).tril(-1)  # heads that go before head t
    first = s.rows(found=torch.eye(n_digits) - wall * nearer, loop=-wall)
    neurons.add(first, wall, s.eye('f'))  # in loop 1 alone: the find of the first head that has one
    neurons.linear(s.eye('read_f') - s.eye('f'), s.eye('f'))
    neurons.add(torch.cat([read, token]) + s.rows(bit=1), -1.0, torch.cat([token, -token]))  # where bit is 1
    neurons.clear('found', 'read_f', 'read')
    neurons.constant += s.rows(loop=1)[0]


def think(base: LoopedGPT, m: int) -> Construction:
    """Thm 5.4: n tokens and m dummies # -> the same tokens and the base's m greedy thoughts, in m loops.

    The block is the base's L layers and 3 more (`hand_on`), the same for any n and m: `open` is 1 at dummies,
    so the weights need not know n, as the mask of the proof does. `kept` is a position's input embedding, x
    what the layers make of it: a mask needs both. After the last loop a thought is there as an input
    embedding, which the base's output layer cannot read: hence `told`, the token itself. That is d + 4 V + 7
    dimensions more, constant in n and m. TF^m is, by the paper's recursion, the m-th token: the answer after
    m - 1 thoughts.
    """
    check_class(base)
    distinct, r = layers_of(base)
    d, V, hs = base.config.n_embd, base.config.vocab_size, base.blocks[0].attention.head_size
    s = Stream(x=d, kept=d, told=V, gaps=V, guess=V, before=V, open=1, open_before=1, go=1, shut=1,
               one=1, place=1, square=1)
    embedding, position = (table.weight.detach() for table in (base.token_embedding, base.position_embedding))
    layers = [same_layer(s, distinct[i]) for i in r] + hand_on(s, embedding, base.head.weight.detach(), hs)
    padded = torch.cat([embedding, torch.zeros(1, d)])
    tokens = s.rows(x=padded, kept=padded, told=torch.eye(V + 1, V), open=torch.eye(V + 1)[:, V:])
    positions = s.rows(x=position, kept=position, **places(len(position)))
    head = torch.cat([s.eye('told'), s.eye('open')])
    claimed = dict(n_layer=f'{len(r)} + O(1)', n_embd=f'{d} + O(1)', n_ff=f'{hidden(base)} + O(1)',
                   n_head=f'{base.config.n_head} + O(1)', head_size=f'{hs} + O(1)')
    return Construction(assemble(layers, tokens, positions, head, m), m, claimed)


def same_layer(s: Stream, block) -> tuple[Heads, Neurons]:
    """A layer of the base that acts on x as it does there."""
    heads, neurons = Heads(), Neurons(s)
    for parts in head_parts(block):
        heads.add(*(s.rows(x=part) for part in parts))
    reads, biases, out, constant = feed_forward_parts(block)
    neurons.add(s.rows(x=reads), biases, s.rows(x=out))
    neurons.constant += s.rows(x=constant)[0]
    return heads, neurons


def hand_on(s: Stream, embedding, output, head_size: int) -> list[tuple[Heads, Neurons]]:
    """The three layers that end a loop: next tokens are handed to the right, where the first dummy takes it.

    The mask of the proof, 1[i >= n + t] in loop t, lets all dummies take it, of which n + t is right; here go
    = open_i - open_(i-1) is that one, and it is open no more. shut = 1 - go is written out for Lemma B.4.
    """
    (heads1, first), (heads2, second), (heads3, third) = layers = [(Heads(), Neurons(s)) for _ in range(3)]
    shift(heads1, s, s.eye('open'), s.eye('open_before'))
    first.add(s.eye('open') - s.eye('open_before'), 0.0, s.rows(go=1, shut=-1))
    first.constant += s.rows(shut=1)[0]
    argmax(first, second, s.rows(x=output), 'gaps', s.eye('guess'))  # Lemma B.2
    second.linear(s.eye('x'), -s.eye('x'))
    shift(heads3, s, s.eye('guess'), s.eye('before'), head_size)  # Lemma B.5
    gate(third, 'go', 'shut', s.eye('before'), None, s.eye('told'))  # Lemma B.4
    gate(third, 'go', 'shut', s.rows(before=embedding.T), None, s.eye('kept') + s.eye('x'))
    third.linear(s.eye('kept'), s.eye('x'))
    third.add(s.eye('go'), 0.0, -s.eye('open'))
    third.clear('guess', 'before', 'open_before', 'go', 'shut')
    return layers
