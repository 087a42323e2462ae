"""A's theorems as models of looped.py whose weights are written by hand (A, Sec. 5 and App. B).

Each function returns a Construction: the model, its loops, and the sizes that the theorem claims for it. What
had to differ from the printed proof is said in its docstring.
"""
import math
from typing import NamedTuple

import torch

from looped import LoopedGPT
from theory_lemmas import (
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

    One layer, ceil(log2 n) loops. With b bits for an element and c = ceil(log2(n + 1)) for a position, d is
    3 (b + c), d_ff |G|^2 + 6 b, as claimed, and there are 2 heads. In each loop position i gets
    g_[2i-n-1]+ g_[2i-n]+: after l loops the last position holds the product of the last 2^l elements.

    The proof as printed: the second position is [2i - n]+, printed as the first again; the query is plus the
    wanted position's code (minus it would find the complement); a head is max(b, c) wide, not ceil(log2 n),
    for a key has c bits and a value b. # is the identity, of which it has the embedding; n = 1 takes no loop.
    Margin: the code of the wanted position scores SHARP c, any other at most SHARP (c - 2).
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


def simulate(base: LoopedGPT) -> Construction:
    """Thm 5.2: a base of L layers, R of them distinct, as one layer looped L times; # goes before the input.

    The stream is (x, 1_R - e_r(l), l, 1[# here]), d + R + 2 wide; x is the base's, and 0 at # throughout.
    A head for every head of a distinct layer, a neuron for every neuron; in loop l those of r(l) are on.

    The proof as printed: an inactive head must be drawn to #, whose value is 0, and an active one kept from
    it; printed is the opposite for the first, nothing for the second. Here a head has one more dimension,
    where # alone has a key, and the query there is BOUND ((L + 1) off_r - l): l counts from 1, so that an
    active head sees # at -BOUND l, an inactive one at BOUND or more. Hats of the schedule are not halved.
    The bias after a distinct layer's neurons is to be switched too: a neuron each. So d_ff is
    R (d_ff + 1) + L + 2. Nothing of B or C is added to what is on: no precision is lost, whatever BOUND is.
    """
    check_class(base)
    distinct, r = layers_of(base)
    L, R, config = len(r), len(distinct), base.config
    s = Stream(x=config.n_embd, off=R, loop=1, dummy=1)
    off = 1 - torch.eye(R)[r]  # (L, R)
    heads, neurons = Heads(), Neurons(s)
    for i, block in enumerate(distinct):
        one = torch.eye(R)[i]
        switch = s.rows(off=BOUND * (L + 1) * one, loop=-BOUND)
        for query, key, value, out in head_parts(block):
            heads.add(torch.cat([s.rows(x=query), switch]), torch.cat([s.rows(x=key), s.eye('dummy')]),
                      s.rows(x=value), s.rows(x=out))
        reads, biases, out, constant = feed_forward_parts(block)
        shut = s.rows(off=-BOUND * one, dummy=-BOUND)
        neurons.add(s.rows(x=reads) + shut, biases, s.rows(x=out))
        neurons.add(shut, 1.0, s.rows(x=constant))
    neurons.schedule('loop', torch.cat([off[1:] - off[:-1], torch.zeros(1, R)]), 'off')
    neurons.constant += s.rows(loop=1)[0]
    d = config.n_embd
    tokens = s.rows(x=torch.cat([base.token_embedding.weight.detach(), torch.zeros(1, d)]))
    positions = s.rows(x=torch.cat([torch.zeros(1, d), base.position_embedding.weight.detach()]), off=off[0],
                       loop=1, dummy=torch.eye(config.block_size + 1)[:, :1])
    head = torch.cat([s.rows(x=base.head.weight.detach()), s.rows(loop=-BOUND)])  # never #
    n_ff = distinct[0].feed_forward.up.out_features
    claimed = dict(n_layer=1, n_embd=d + R + 2, n_ff=f'{R * n_ff} + O(L)', n_head=R * config.n_head,
                   head_size=base.blocks[0].attention.head_size)
    return Construction(assemble([(heads, neurons)], tokens, positions, head, L), L, claimed)


def p_hop(p: int, n: int, n_letters=4, n_head=3) -> Construction:
    """Cor. 5.3: (none, v_1 .. v_n) -> hop_p of every prefix, by one layer looped floor(log2 p) + 2 times.

    Loop 1 finds f = find_1 (A, Def. A.1) as a number, which is 0 for none. Loop k + 2 looks up position f,
    where f is find_(2^k): what it has as f gives find_(2^(k+1)), what it has as `token`, at first its own
    letter, is hop of 2^k more hops, taken if bit k of p is 1. Three kinds of layer: find, bit 0, bit 1.

    Shifting letters by one and then finding them takes 2 loops until f, and ceil(log2 p) + 2 in all, which
    is one more than claimed unless p is a power of 2. To find in one loop a position must look for the last
    equal letter strictly before it, while attention sees the position itself; no single score of few
    dimensions grows with j up to i - 1 and is least at i. So positions are written in n_head - 1 digits, and
    head t looks among those that share the digits above t and differ in digit t (of which attention, being
    causal, sees the smaller): the lower t, the nearer, so the first head with a find is right. With the 3
    heads of the corollary d is O(sqrt n), with 1 + log2(n + 1) heads it is O(log n), the claim's O~(1).
    Margins: SHARP between equal letters, 2 SHARP between those, the position 0 that means none, and others.
    """
    if p < 1 or n_head < 2:
        raise ValueError(f'p={p}, n_head={n_head}: a hop takes at least p = 1 and 2 heads')
    c = n_head - 1
    base = next(b for b in range(2, n + 2) if b ** c > n)
    loops = p.bit_length() + 1
    s = Stream(letter=n_letters, token=n_letters, read=n_letters, f=1, read_f=1, found=c, digits=c * base,
               one=1, place=1, square=1, after=1, start=1, loop=1, bit=1)
    i = torch.arange(n + 1)[:, None]
    digits = torch.nn.functional.one_hot(i // base ** torch.arange(c) % base, base).flatten(1)
    later = i > 0  # position 0, of 'none', matches nothing
    letters = torch.eye(n_letters + 1, n_letters)
    tokens = s.rows(letter=letters, token=letters)
    positions = s.rows(digits=digits * later, after=(i + 1) * later, start=~later, loop=1, **places(n + 1))
    heads, neurons = Heads(), Neurons(s)
    for t in range(c):
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
    """The last equal letter among the positions that differ first in digit t; writes its successor's number.

    The letter, each shared digit above t and a different digit t count `unit`, the position SHARP; position
    0 half a unit less than all of these.
    """
    digit = s.eye('digits')
    same, differs = digit[(t + 1) * base:], digit[t * base:(t + 1) * base]
    wanted = 1 + len(same) / base
    query = torch.cat([unit * s.eye('letter'), unit * same, -unit * differs,
                       s.rows(one=unit * (wanted - 0.5)), s.rows(one=SHARP)])
    key = torch.cat([s.eye('letter'), same, differs, s.eye('start'), s.eye('place')])
    heads.add(query, key, s.eye('after'), s.eye('found')[t:t + 1])


def take(neurons: Neurons, n: int):
    """What a loop does with what its heads bring; in loop 1 f is 0, and reads 0 at position 0."""
    s, wall = neurons.s, n + 2
    c = s.sizes['found']
    nearer = torch.ones(c, c).tril(-1)
    first = s.rows(found=torch.eye(c) - wall * nearer, loop=-wall)
    neurons.add(first, wall, s.eye('f'))  # in loop 1 alone: the find of the first head that has one
    neurons.linear(s.eye('read_f') - s.eye('f'), s.eye('f'))
    read, token = s.eye('read'), s.eye('token')
    neurons.add(torch.cat([read, token]) + s.rows(bit=1), -1.0, torch.cat([token, -token]))  # where bit is 1
    neurons.clear('found', 'read_f', 'read')
    neurons.constant += s.rows(loop=1)[0]


def think(base: LoopedGPT, m: int) -> Construction:
    """Thm 5.4: n tokens and m dummies # -> the same tokens and the base's m greedy thoughts, in m loops.

    The block is the base's L layers and 3 more, for any n and m. `kept` is a position's input embedding, x
    what the layers make of it, `told` the token itself, `open` 1 where it is a dummy still. A loop runs the
    base, decodes every position (Lemma B.2), hands the results to the right (B.5) and lets the first dummy
    take it (B.4), which is then open no more: the mask moves by one.

    The proof as printed: its mask needs n, which no weight knows; here the dummies carry it. The mask needs
    the block's input next to its output, so `kept`: the dimensions added are d + 4 V + 7, constant in n and
    m. After the last loop a thought is there as an input embedding, which the output layer cannot read:
    hence `told`. TF^m is, by the paper's recursion, the m-th token, the answer after m - 1 thoughts.
    """
    check_class(base)
    distinct, r = layers_of(base)
    d, V, hs = base.config.n_embd, base.config.vocab_size, base.blocks[0].attention.head_size
    s = Stream(x=d, kept=d, told=V, gaps=V, guess=V, before=V, open=1, open_before=1, go=1, shut=1,
               one=1, place=1, square=1)
    layers = [same_layer(s, distinct[i]) for i in r] + [(Heads(), Neurons(s)) for _ in range(3)]
    (heads1, first), (_, second), (heads3, third) = layers[-3:]
    embedding, out = base.token_embedding.weight.detach(), base.head.weight.detach()
    told, before = s.eye('told'), s.eye('before')
    shift(heads1, s, s.eye('open'), s.eye('open_before'), hs)
    first.add(s.eye('open') - s.eye('open_before'), 0.0, s.rows(go=1, shut=-1))  # go: the first dummy alone
    first.constant += s.rows(shut=1)[0]
    argmax(first, second, s.rows(x=out), 'gaps', s.eye('guess'))
    second.linear(s.eye('x'), -s.eye('x'))
    shift(heads3, s, s.eye('guess'), before, hs)
    gate(third, 'go', 'shut', before, None, told)
    gate(third, 'go', 'shut', s.rows(before=embedding.T), None, s.eye('kept') + s.eye('x'))
    third.linear(s.eye('kept'), s.eye('x'))
    third.add(s.eye('go'), 0.0, -s.eye('open'))
    third.clear('guess', 'before', 'open_before', 'go', 'shut')
    padded = torch.cat([embedding, torch.zeros(1, d)])
    tokens = s.rows(x=padded, kept=padded, told=torch.eye(V + 1, V), open=torch.eye(V + 1)[:, V:])
    position = base.position_embedding.weight.detach()
    positions = s.rows(x=position, kept=position, **places(len(position)))
    head = torch.cat([told, s.eye('open')])
    n_ff = base.blocks[0].feed_forward.up.out_features
    claimed = dict(n_layer=f'{len(r)} + O(1)', n_embd=f'{d} + O(1)', n_ff=f'{n_ff} + O(1)',
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
