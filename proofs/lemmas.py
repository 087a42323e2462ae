"""The tools for writing weights by hand, and Lemmas B.2 to B.5 of Saunshi et al. 2025.
A Stream names the coordinates of the residual stream, the heads and neurons of a Layer read and write them,
and `assemble` makes a model of layers. Its class is that of Saunshi et al. 2025, App. B.1: no norm, ReLU
feed-forward layers with biases, attention without, learned positions. Everything is exact in float32:
attention is one-hot, since a key that scores MARGIN less than the best one gets a weight of exp(-MARGIN),
which float32 rounds to 0, and the copied values are small whole numbers."""
import math
from typing import NamedTuple

import torch
import torch.nn.functional as F

from looped import LoopedGPT
from stages import ModelConfig

MARGIN = 104        # exp(-104) is 0 in float32: its least positive number is exp(-103.3)
SHARP = 256.0       # what the best key of a look-up leads by, at least; rounding costs some of it (look_up)
PLACES_MAX = 512    # most positions for which look_up keeps its margin
BOUND = 2.0 ** 40   # above any activation: keeps an inactive neuron below 0, takes a key out of the softmax


class Stream:
    """Names for the coordinates of the residual stream: Stream(letter=4, place=1) has 5 of them."""

    def __init__(self, **sizes: int):
        self.slices = {}
        self.size = 0
        for name, size in sizes.items():
            self.slices[name] = slice(self.size, self.size + size)
            self.size += size

    def rows(self, **parts):
        """(k, size): zeros but for the named coordinates, where each part is broadcast to (k, its size)."""
        counts = [len(part) for part in parts.values() if torch.as_tensor(part).dim() == 2]
        out = torch.zeros(max(counts, default=1), self.size)  # (k, size)
        for name, part in parts.items():
            out[:, self.slices[name]] = part
        return out

    def __getitem__(self, name: str):
        """The rows that pick the coordinates of `name`, (their number, size)."""
        return torch.eye(self.size)[self.slices[name]]


class Head(NamedTuple):
    """An attention head as rows over the stream: query and key (a, size), value and out (b, size)."""
    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    out: torch.Tensor


class Layer:
    """A layer written by hand: attention heads, then feed-forward neurons, at first without any.
    A head gives position i sum_j softmax_j(<query x_i, key x_j>) (value x_j), added along the rows of its
    `out` (Saunshi et al. 2025, Alg. 1). A neuron adds relu(<reads x> + bias) along its row of `outs`."""

    def __init__(self, stream: Stream):
        self.stream = stream
        self.heads = []
        self.reads = torch.zeros(0, stream.size)  # a row for each neuron
        self.biases = torch.zeros(0)
        self.outs = torch.zeros(0, stream.size)
        self.constant = stream.rows()  # added at every position, after the neurons

    def add_head(self, query, key, value, out):
        assert len(query) == len(key) and len(value) == len(out)
        self.heads.append(Head(query, key, value, out))

    def look_up(self, pointer, value, out):
        """Adds a head that reads `value` at the position that the row `pointer` gives, at 0 if negative.
        Score 2 f j - j^2 = f^2 - (f - j)^2, times SHARP, by the coordinates of `places`: the best key leads
        by SHARP. Products reach 2^27 at 512 positions, with a relative error of 2^-21 or less: two scores may
        lose SHARP / 2, still > MARGIN."""
        query = torch.cat([2 * SHARP * pointer, self.stream.rows(one=-SHARP)])  # (2, size)
        key = torch.cat([self.stream['place'], self.stream['square']])  # (2, size)
        self.add_head(query, key, value, out)

    def add_neurons(self, reads, bias, out):
        """One neuron for each row of `reads`; `bias` is a number or one for each."""
        k = len(reads)
        self.reads = torch.cat([self.reads, reads])
        self.biases = torch.cat([self.biases, torch.zeros(k) + bias])
        self.outs = torch.cat([self.outs, out.expand(k, -1)])

    def add_linear(self, reads, out):
        """Adds <reads x> as it is: x = relu(x) - relu(-x), two neurons a row."""
        self.add_neurons(torch.cat([reads, -reads]), 0.0, torch.cat([out, -out]))

    def clear(self, *names: str):
        """Sets coordinates that are never negative to 0, a neuron each."""
        for name in names:
            rows = self.stream[name]
            self.add_neurons(rows, 0.0, -rows)

    def schedule(self, counter, changes, name):
        """Adds changes[l - 1] (L, size) to `name` when `counter` is l, for l = 1 .. L; L + 2 neurons.
        1[l = i] = [l - i + 1]+ - 2 [l - i]+ + [l - i - 1]+, a hat; the proof of Thm 5.2 has half of it."""
        # Neuron j begins at the count j: there the slope changes by the second difference.
        padded = F.pad(changes.float(), (0, 0, 2, 2))  # (L + 4, size), row j + 1 is the change at j
        slopes = padded.diff(n=2, dim=0)  # (L + 2, size)
        n = len(slopes)
        reads = self.stream[counter].expand(n, -1)
        self.add_neurons(reads, -torch.arange(n), self.stream.rows(**{name: slopes}))

    def write(self, block):
        """Fills a block of zeros. Its other heads and neurons stay 0: they add nothing."""
        nh = block.attention.n_head
        hs = block.attention.head_size
        qkv = block.attention.qkv.weight.view(3, nh, hs, -1)
        proj = block.attention.proj.weight.view(-1, nh, hs)  # (C, nh, hs)
        for h, head in enumerate(self.heads):
            a = len(head.query)
            b = len(head.value)
            qkv[0, h, :a] = math.sqrt(hs) * head.query  # the model divides scores by this root
            qkv[1, h, :a] = head.key
            qkv[2, h, :b] = head.value
            proj[:, h, :b] = head.out.T

        n = len(self.reads)
        up = block.feed_forward.up
        down = block.feed_forward.down
        up.weight[:n] = self.reads
        up.bias[:n] = self.biases
        down.weight[:, :n] = self.outs.T
        down.bias.copy_(self.constant[0])


@torch.no_grad()
def assemble(layers: list[Layer], tokens, positions, head, loops: int) -> LoopedGPT:
    """The model that loops these layers; tokens and head are (V, size), positions (T_max, size).
    Loops of 0 and 1 need n_loops in the call: a stage string cannot say them of a stage that loops."""
    # All layers get as many heads and neurons as the one that needs most.
    n_head = 1
    head_size = 1
    n_ff = 0
    for layer in layers:
        n_head = max(n_head, len(layer.heads))
        n_ff = max(n_ff, len(layer.reads))
        for query, _, value, _ in layer.heads:
            head_size = max(head_size, len(query), len(value))

    config = ModelConfig(stages=f'{len(layers)}x{max(2, loops)}', vocab_size=len(tokens),
                         block_size=len(positions), n_embd=tokens.size(1), n_head=n_head, head_size=head_size,
                         n_ff=n_ff, norm='none', activation='relu', positions='learned', bias=True)
    model = LoopedGPT(config).requires_grad_(False).eval()
    for parameter in model.parameters():
        parameter.zero_()
    model.token_embedding.weight.copy_(tokens)
    model.position_embedding.weight.copy_(positions)
    model.head.weight.copy_(head)
    for block, layer in zip(model.blocks, layers, strict=True):
        layer.write(block)
    return model


def binary_codes(n: int, bits: int):
    """(n, bits): the numbers 0 .. n - 1 in binary, lowest bit first, with -1 and 1 for the digits."""
    numbers = torch.arange(n)[:, None]  # (n, 1)
    digits = numbers >> torch.arange(bits) & 1  # (n, bits)
    return 2.0 * digits - 1


def places(n: int) -> dict:
    """The coordinates of positions 0 .. n - 1 that look_up needs."""
    if n > PLACES_MAX:
        raise ValueError(f'{n} positions: look-ups are exact in float32 up to {PLACES_MAX}')
    i = torch.arange(n)[:, None]  # (n, 1)
    return dict(one=1, place=i, square=i ** 2)


def add_argmax(first: Layer, second: Layer, scores, gaps: str, out, precision=20):
    """Lemma B.2: adds row k of `out` (V, size), k the argmax of the linear `scores` (V, size) of the stream.
    The first layer adds u_i = sum_j relu(score_j - score_i) to `gaps`, exactly 0 for the argmax. The second
    adds relu(1 - 2^precision u_i) times row i, right where the best score leads by 2^-precision, and clears
    `gaps`. With the token embedding as `out` it is Lemma B.3, decode and embed."""
    gap = first.stream[gaps]  # (V, size)
    for i, score in enumerate(scores):
        others = torch.cat([scores[:i], scores[i + 1:]])  # (V - 1, size)
        first.add_neurons(others - score, 0.0, gap[i:i + 1])
    second.add_neurons(-2.0 ** precision * gap, 1.0, out)
    second.clear(gaps)


def add_gate(layer: Layer, closed: str, x, out):
    """Adds x along `out` where `closed` is 0, nothing where it is 1: x is rows, of values within BOUND.
    Lemma B.4, M x + (1 - M) y, is one gate closed by 1 - M and one by M, two neurons for each row. The lemma
    has M alone and relu(x - 2^p + 2^p M): in floating point the bias of 2^p rounds away the low bits of x."""
    reads = torch.cat([x, -x]) - BOUND * layer.stream[closed]
    layer.add_neurons(reads, 0.0, torch.cat([out, -out]))


def add_shift(layer: Layer, value, out, head_size_max=0):
    """Lemma B.5: each position gets what its predecessor has, the first what itself has.
    One head, or as many as the value takes where `head_size_max` limits their size. The lemma has one more
    for the position, which the residual stream keeps, and prints queries as keys."""
    size = head_size_max or len(value)
    predecessor = layer.stream.rows(place=1, one=-1)
    for first in range(0, len(value), size):
        part = slice(first, first + size)
        layer.look_up(predecessor, value[part], out[part])
