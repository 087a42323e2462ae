"""Weights by hand: named coordinates, heads and neurons that read and write them, and A's Lemmas B.2 to B.5.

A's class of models (App. B.1): no norm, ReLU feed-forward layers with biases, attention without, learned
positions. Everything is exact in float32: attention is one-hot, since a key that scores MARGIN less than the
best one gets a weight of exp(-MARGIN), which float32 rounds to 0; what is copied are small whole numbers.
"""
import math

import torch

from looped import LoopedGPT
from model import GPTConfig

MARGIN = 104        # exp(-104) is 0 in float32: its least positive number is exp(-103.3)
SHARP = 256.0       # what the best key of a look-up leads by, at least; rounding costs some of it (look_up)
PLACES_MAX = 512    # most positions for which look_up keeps its margin
BOUND = 2.0 ** 40   # above any activation: drives an inactive neuron below 0, a score out of the softmax


class Stream:
    """Names for the coordinates of the residual stream: Stream(letter=4, place=1) has 5 of them."""

    def __init__(self, **sizes: int):
        self.sizes, self.size = sizes, sum(sizes.values())
        ends = torch.tensor([0, *sizes.values()]).cumsum(0).tolist()
        self.slices = {name: slice(ends[i], ends[i + 1]) for i, name in enumerate(sizes)}

    def rows(self, **parts):
        """(k, size): zeros but for the named coordinates, each part broadcast to (k, its size)."""
        parts = {name: torch.as_tensor(part, dtype=torch.float32) for name, part in parts.items()}
        count = max([len(part) for part in parts.values() if part.dim() == 2], default=1)
        out = torch.zeros(count, self.size)
        for name, part in parts.items():
            out[:, self.slices[name]] = part
        return out

    def eye(self, name: str):
        """(k, size): a row for each coordinate of `name`, which it picks."""
        return self.rows(**{name: torch.eye(self.sizes[name])})


class Heads:
    """Heads of an attention layer, given as rows that read from and write to the stream.

    Position i takes sum_j softmax_j(<query x_i, key x_j>) (value x_j) and adds it along the rows of `out`
    (A, Alg. 1: no division by the root of the head size; `write` makes up for the model's).
    """

    def __init__(self):
        self.parts = []

    def add(self, query, key, value, out):
        assert len(query) == len(key) and len(value) == len(out)
        self.parts.append((query, key, value, out))

    def look_up(self, s: Stream, pointer, value, out):
        """Reads `value` at the position that the row `pointer` gives, at 0 where that is negative.

        Score 2 f j - j^2 = f^2 - (f - j)^2, times SHARP: the best key leads by SHARP. Products reach 2^27 at
        512 positions, with a relative error of 2^-21 or less: two scores may lose SHARP / 2, still > MARGIN.
        Needs the coordinates one, place (j) and square (j^2).
        """
        query = torch.cat([2 * SHARP * pointer, s.rows(one=-SHARP)])
        self.add(query, torch.cat([s.eye('place'), s.eye('square')]), value, out)

    def size(self) -> int:
        """The head size that holds them all."""
        return max([max(len(query), len(value)) for query, _, value, _ in self.parts], default=0)

    @torch.no_grad()
    def write(self, attention):
        """Fills a layer whose other heads stay 0: those attend evenly and add nothing."""
        hs, nh = attention.head_size, attention.n_head
        qkv = attention.qkv.weight.view(3, nh, hs, -1)
        proj = attention.proj.weight.view(-1, nh, hs)
        for h, (query, key, value, out) in enumerate(self.parts):
            qkv[0, h, :len(query)] = math.sqrt(hs) * query
            qkv[1, h, :len(key)] = key
            qkv[2, h, :len(value)] = value
            proj[:, h, :len(out)] = out.T


class Neurons:
    """Hidden neurons of a feed-forward layer: relu(<reads x> + bias), added along the rows of `out`."""

    def __init__(self, s: Stream):
        self.s, self.parts, self.constant = s, [], torch.zeros(s.size)

    def add(self, reads, bias, out):
        """One neuron for each row; `bias` a number or one for each."""
        bias = torch.as_tensor(bias, dtype=torch.float32).expand(len(reads))
        self.parts.append((reads, bias, out.expand(len(reads), -1)))

    def linear(self, reads, out):
        """Adds <reads x> as it is: x = relu(x) - relu(-x), two neurons a row."""
        self.add(torch.cat([reads, -reads]), 0.0, torch.cat([out, -out]))

    def clear(self, *names: str):
        """Sets coordinates to 0 that are never negative, a neuron each."""
        for name in names:
            self.add(self.s.eye(name), 0.0, -self.s.eye(name))

    def schedule(self, counter: str, changes, name: str):
        """Adds changes[l - 1] (L, size) to `name` when the counter is l, for l = 1 .. L; L + 2 neurons.

        1[l = i] = [l - i + 1]+ - 2 [l - i]+ + [l - i - 1]+, a hat. (A, proof of Thm 5.2, has half of it.)
        """
        changes = torch.as_tensor(changes, dtype=torch.float32)
        zeros = torch.zeros(2, changes.size(1))
        padded = torch.cat([zeros, changes, zeros])  # row j + 1 is the change at j
        slopes = padded[2:] - 2 * padded[1:-1] + padded[:-2]
        knots = torch.arange(len(slopes))
        self.add(self.s.rows(**{counter: torch.ones(len(knots), 1)}), -knots, self.s.rows(**{name: slopes}))

    def count(self) -> int:
        return sum(len(reads) for reads, _, _ in self.parts)

    @torch.no_grad()
    def write(self, feed_forward):
        """Fills a layer whose other neurons stay 0."""
        n = self.count()
        if n:
            reads, biases, outs = (torch.cat(part) for part in zip(*self.parts, strict=True))
            feed_forward.up.weight[:n], feed_forward.up.bias[:n] = reads, biases
            feed_forward.down.weight[:, :n] = outs.T
        feed_forward.down.bias.copy_(self.constant)


def assemble(layers: list[tuple[Heads, Neurons]], tokens, positions, head, loops: int) -> LoopedGPT:
    """The model whose block is these layers, looped; tables are (vocabulary or positions, size).

    Loops of 0 and 1 need n_loops in the call: a stage string cannot say them of a stage that loops.
    """
    config = GPTConfig(
        vocab_size=len(tokens), block_size=len(positions), n_layer=0, n_embd=tokens.size(1),
        n_head=max(max(len(heads.parts) for heads, _ in layers), 1),
        head_size=max(max(heads.size() for heads, _ in layers), 1),
        n_ff=max(neurons.count() for _, neurons in layers),
        norm='none', activation='relu', positions='learned', bias=True)
    model = LoopedGPT(config, f'{len(layers)}x{max(2, loops)}')
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.token_embedding.weight.copy_(tokens)
        model.position_embedding.weight.copy_(positions)
        model.head.weight.copy_(head)
    for block, (heads, neurons) in zip(model.blocks, layers, strict=True):
        heads.write(block.attention)
        neurons.write(block.feed_forward)
    return model.requires_grad_(False).eval()


def bits_for(n: int) -> int:
    """Bits that tell n things apart, at least 1."""
    return max(1, (n - 1).bit_length())


def codes(n: int, bits: int):
    """(n, bits): the numbers 0 .. n - 1 in binary, lowest bit first, with -1 and 1 for the digits."""
    return 2.0 * (torch.arange(n)[:, None] >> torch.arange(bits) & 1) - 1


def places(n: int) -> dict:
    """What look_up needs to know of positions 0 .. n - 1."""
    if n > PLACES_MAX:
        raise ValueError(f'{n} positions: look-ups are exact in float32 up to {PLACES_MAX}')
    i = torch.arange(n)[:, None]
    return dict(one=1, place=i, square=i ** 2)


# --- A, Lemmas B.2 to B.5

def argmax(first: Neurons, second: Neurons, scores, gaps: str, out, precision=20):
    """Lemma B.2: adds row k of `out` (V, size), k the argmax of the linear `scores` (V, size) of the stream.

    The first layer adds u_i = sum_j relu(score_j - score_i) to `gaps`, V (V - 1) neurons: 0 for the argmax.
    The second adds relu(1 - 2^precision u_i) times row i, and clears `gaps`. Exact where the best score
    leads by 2^-precision; then u_k is exactly 0, for computed differences keep their sign under exchange.
    Rows of the unit matrix make it Lemma B.2, rows of the token embedding Lemma B.3: decode and embed.
    """
    s, n = first.s, len(scores)
    for i in range(n):
        others = torch.arange(n) != i
        first.add(scores[others] - scores[i], 0.0, s.eye(gaps)[i:i + 1])
    second.add(-2.0 ** precision * s.eye(gaps), 1.0, out)
    second.clear(gaps)


def gate(neurons: Neurons, on: str, off: str, x, y, out):
    """Lemma B.4: adds M x + (1 - M) y along `out`; x and y are rows, of values within BOUND, or None.

    Two neurons for each row. `on` holds M, `off` 1 - M. The lemma has M alone and relu(x - 2^p + 2^p M): in
    floating point a bias of 2^p takes with it what of x is smaller than its last bit.
    """
    for rows, shut in ((x, off), (y, on)):
        if rows is not None:
            block = -BOUND * neurons.s.eye(shut)
            neurons.add(torch.cat([rows, -rows]) + block, 0.0, torch.cat([out, -out]))


def shift(heads: Heads, s: Stream, value, out, size_max=0):
    """Lemma B.5: each position gets what its predecessor has, the first what itself has.

    One head: the residual stream keeps the position, for which the lemma has a second. Where `size_max`
    limits the size of a head, as many heads as the value takes. (Printed are keys i and keys [i - 1]+; the
    second are queries.)
    """
    size = size_max or len(value)
    for rows, to in zip(value.split(size), out.split(size), strict=True):
        heads.look_up(s, s.rows(place=1, one=-1), rows, to)
