"""Thm 5.1 and Cor. 5.3 of Saunshi et al. 2025 as models of looped.py whose weights are written by hand.
`group_composition` multiplies the elements of a group, `p_hop` hops p times. The docstrings say where a
construction has to differ from the printed proof."""
from typing import NamedTuple

import torch
import torch.nn.functional as F

from looped import LoopedGPT
from proofs.lemmas import SHARP, Layer, Stream, assemble, binary_codes, places


class Construction(NamedTuple):
    """A model with hand-written weights: call model(tokens, n_loops=loops)."""
    model: LoopedGPT
    loops: int
    claimed: str  # the theorem's sizes, in the form of `used`

    def used(self) -> str:
        """The model's sizes: 'layers 1, d 42, ff 14442, heads 2 x 7', the heads' number and size."""
        config = self.model.config
        return (f'layers {len(self.model.blocks)}, d {config.n_embd}, ff {config.n_ff}, '
                f'heads {config.n_head} x {config.head_size}')


def group_composition(table, n: int) -> Construction:
    """Thm 5.1: (#, g_1 .. g_n) -> g_1 g_2 .. g_n at the last position, for the group with table[g, h] = gh.
    One layer, ceil(log2 n) loops, b bits for an element and c for one of n + 1 positions. In a loop position
    i gets the product of what positions [2i - n - 1]+ and [2i - n]+ hold: after l loops position n holds the
    product of the last 2^l elements. # has the embedding of the identity; n = 1 takes no loop.
    Other than printed: the second position is [2i - n]+, not the first again; the query is plus the wanted
    position's code, for minus it finds the complement; a head is max(b, c) wide, not ceil(log2 n), since a
    key has c bits and a value b. The wanted position scores SHARP c, others SHARP (c - 2)."""
    table = torch.as_tensor(table).long()  # (|G|, |G|)
    order = len(table)
    b = max(1, (order - 1).bit_length())
    c = n.bit_length()  # ceil(log2(n + 1)), as we read the theorem's ceil(log2 n + 1)
    stream = Stream(g=b, here=c, left=c, right=c, g_left=b, g_right=b)
    elements = binary_codes(order, b)  # (|G|, b)
    place = binary_codes(n + 1, c)  # (n + 1, c)

    # A token is an element; a position knows its own place and those of its two factors.
    identity = elements[identity_of(table)]  # (1, b)
    tokens = stream.rows(g=torch.cat([elements, identity]))
    i = torch.arange(n + 1)
    left = (2 * i - n - 1).clamp(min=0)
    right = (2 * i - n).clamp(min=0)
    positions = stream.rows(here=place, left=place[left], right=place[right])

    # An element's logit is b where it is right; that of # is 0.
    head = torch.cat([stream.rows(g=elements), stream.rows()])
    layer = composition_layer(stream, table, elements)
    loops = (n - 1).bit_length()
    claimed = f'layers 1, d {3 * (b + c)}, ff {order ** 2 + 6 * b}, heads 2 x {loops}'
    return Construction(assemble([layer], tokens, positions, head, loops), loops, claimed)


def identity_of(table):
    """The element e with eg = g for every g, (1,)."""
    same = (table == torch.arange(len(table))).all(1)  # (|G|,)
    if not same.any():
        raise ValueError('the table has no identity, so it is not that of a group')
    return same.nonzero()[0]


def composition_layer(stream: Stream, table, elements) -> Layer:
    """The layer that puts the product of its two factors at every position; elements (|G|, b) are codes."""
    layer = Layer(stream)

    # Claim 1: two heads fetch the two factors.
    here = stream['here']
    g = stream['g']
    layer.add_head(SHARP * stream['left'], here, g, stream['g_left'])
    layer.add_head(SHARP * stream['right'], here, g, stream['g_right'])

    # Claim 2: the neuron of (h, k) is 1 where these are the factors, 0 elsewhere; the old values are removed.
    order, b = elements.shape
    h = elements.repeat_interleave(order, 0)  # (|G|^2, b)
    k = elements.repeat(order, 1)
    factors = stream.rows(g_left=h, g_right=k)  # (|G|^2, size)
    products = stream.rows(g=elements[table.flatten()])
    layer.add_neurons(factors, 1 - 2 * b, products)
    for name in ('g', 'g_left', 'g_right'):
        old = stream[name]
        layer.add_linear(old, -old)
    return layer


def p_hop(p: int, n: int, n_letters=4, n_head=3) -> Construction:
    """Cor. 5.3: (none, v_1 .. v_n) -> hop_p of every prefix, by one layer looped floor(log2 p) + 2 times.
    Loop 1 finds f = find_1 (Def. A.1), the number of a position, 0 for none. Loop k + 2 looks up position f =
    find_(2^k). Its f is find_(2^(k+1)) of this position. Its `token`, at first the letter there, is 2^k hops
    beyond the token of this position, which takes it if bit k of p is 1. Loop 1 takes n_head - 1 heads: with
    the 3 heads of the corollary d is O(sqrt(n)), with 1 + log2(n + 1) heads it is O(log n), as claimed. We
    know no construction that has both."""
    if p < 1 or n_head < 2:
        raise ValueError(f'p={p}, n_head={n_head}: a hop takes at least p = 1 and 2 heads')
    loops = p.bit_length() + 1
    n_digits = n_head - 1
    base = 2  # the least in which n has no more than n_digits digits
    while base ** n_digits <= n:
        base += 1
    stream = hop_stream(n_letters, n_digits, base)

    letters = torch.eye(n_letters + 1, n_letters)
    tokens = stream.rows(letter=letters, token=letters)
    head = torch.cat([stream['token'], stream.rows(one=0.5)])  # none where there is no token

    layer = Layer(stream)
    for t in range(n_digits):
        add_find(layer, t, base, 2 * SHARP * (n + 2))
    value = torch.cat([stream['f'], stream['token']])
    out = torch.cat([stream['read_f'], stream['read']])
    layer.look_up(stream['f'], value, out)
    add_hop(layer, n)
    bits = [p >> k & 1 for k in range(loops - 1)]
    bits = torch.tensor([0, *bits, 0])[:, None]  # (loops + 1, 1), row l - 1 is of loop l
    layer.schedule('loop', bits.diff(dim=0), 'bit')

    model = assemble([layer], tokens, hop_positions(stream, n, base), head, loops)
    return Construction(model, loops, 'layers 1, d O~(1), ff O~(1), heads 3 x O~(1)')


def hop_stream(n_letters, n_digits, base) -> Stream:
    return Stream(
        letter=n_letters,        # of this position
        token=n_letters,         # the letter at the end of the hops so far; none: 0
        read=n_letters,          # `token` at position f
        f=1,                     # the position 2^k hops away, 0 for none
        read_f=1,                # `f` at position f
        found=n_digits,          # what each head of loop 1 finds
        digits=n_digits * base,  # of the position's number, lowest first, one-hot
        one=1,
        place=1,                 # the position's number
        square=1,                # its square
        after=1,                 # the number of the next position
        start=1,                 # 1 at position 0
        loop=1,                  # the loop's number
        bit=1,                   # the bit of p that belongs to the loop
    )


def hop_positions(stream: Stream, n: int, base: int):
    """The position embeddings (n + 1, size). Position 0, of 'none', shares no digit with others."""
    i = torch.arange(n + 1)[:, None]  # (n + 1, 1)
    later = i > 0
    digits = i // base ** torch.arange(len(stream['found'])) % base  # (n + 1, n_digits)
    one_hot = F.one_hot(digits, base).flatten(1)  # (n + 1, n_digits * base)
    return stream.rows(digits=one_hot * later, after=(i + 1) * later, start=~later, loop=1, **places(n + 1))


def add_find(layer: Layer, t: int, base: int, unit: float):
    """Adds head t of the first loop: the last equal letter where digit t differs and no higher digit does.
    find_1 is one after the last equal letter strictly before position i, but causal attention sees i too, and
    letters shifted by one in a loop before cost that loop. So a head looks where digit t differs, never at i:
    the digit is smaller there, and heads of lower t see nearer positions. It writes the position after.
    The letter, each shared digit above t and a different digit t count `unit`, the position SHARP a step, and
    0, which means none, half a unit less than all of these. With unit = 2 SHARP (n + 2) any two keys that
    matter are SHARP apart, at scores of which float32 loses less than 8 up to n = 512."""
    stream = layer.stream
    letter = stream['letter']
    digits = stream['digits']  # (n_digits * base, size)
    differs = digits[t * base:(t + 1) * base]
    same = digits[(t + 1) * base:]
    wanted = 1 + len(same) / base  # units of an equal letter and equal digits above t

    query = torch.cat([
        unit * letter,
        unit * same,
        -unit * differs,
        stream.rows(one=unit * (wanted - 0.5)),
        stream.rows(one=SHARP),
    ])
    key = torch.cat([
        letter,
        same,
        differs,
        stream['start'],
        stream['place'],
    ])
    found = stream['found']
    layer.add_head(query, key, stream['after'], found[t:t + 1])


def add_hop(layer: Layer, n: int):
    """Adds what a loop does with the values that its heads read. In loop 1 f is 0, and position 0 holds 0."""
    stream = layer.stream
    f = stream['f']
    read = stream['read']
    token = stream['token']

    # In loop 1 alone: f becomes the find of the first head that has one.
    n_digits = len(stream['found'])
    wall = n + 2  # above any find
    nearer = torch.ones(n_digits, n_digits).tril(-1)  # heads that go before head t
    first = torch.eye(n_digits) - wall * nearer
    layer.add_neurons(stream.rows(found=first, loop=-wall), wall, f)

    # In every loop f becomes read_f, and where bit is 1 token becomes read. The values read are cleared.
    layer.add_linear(stream['read_f'] - f, f)
    added = torch.cat([read, token]) + stream.rows(bit=1)
    layer.add_neurons(added, -1.0, torch.cat([token, -token]))
    layer.clear('found', 'read_f', 'read')
    layer.constant += stream.rows(loop=1)
