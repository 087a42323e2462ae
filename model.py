"""A decoder-only Transformer of k layers: norm, attention, feed-forward, block, GPT, key-value cache.

Pre-norm blocks. Neither paper states norm, activation or biases, so they are options. Names of tensor sizes:
B batch, T time, C channels, nh heads, hs head size, V vocabulary.
"""
import math
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

from cross_entropy import linear_cross_entropy, loss_and_slope


@dataclass
class GPTConfig:
    """Sizes and choices of a model; `n_layer` counts distinct blocks."""
    vocab_size: int
    block_size: int               # most tokens in a sequence (binding for learned positions)
    n_layer: int
    n_head: int
    n_embd: int
    n_ff: int = 0                 # 0: 4 * n_embd
    activation: str = 'gelu'      # gelu (tanh form, as GPT-2), relu, geglu (gated: a third matrix)
    positions: str = 'rope'       # rope, learned, none
    norm: str = 'rmsnorm'         # rmsnorm, layernorm, none
    bias: bool = False            # biases in linear layers and layer norms
    tie_embeddings: bool = False
    dropout: float = 0.0
    init_std: float = 0.02
    head_size: int = 0            # 0: n_embd / n_head


class KVCache:
    """Keys and values of earlier tokens, one slot for every application of a block (a looped block has many).

    Slots are (B, nh, T_max, hs). `length` tokens are valid; GPT.forward advances it once all are written.
    Rows may differ in length: `pad` makes the first of the coming tokens fillers, which no other token sees.
    """

    def __init__(self, n_slots: int, batch: int, length_max: int, config: GPTConfig, device=None, dtype=None):
        shape = (n_slots, batch, config.n_head, length_max, head_size_of(config))
        self.keys, self.values = (torch.zeros(shape, device=device, dtype=dtype) for _ in range(2))
        self.length, self.fillers, self.hidden = 0, None, None

    def pad(self, fillers):
        """The next fillers[i] tokens of row i (B,) do not count, nor do positions go on over them."""
        place = torch.arange(self.keys.size(3), device=fillers.device) - self.length
        self.fillers, self.hidden = fillers, (place >= 0) & (place < fillers[:, None])  # (B, T_max)

    def positions(self, length: int, device):
        """Of the next `length` tokens: (T,), or (B, T) where rows differ."""
        positions = torch.arange(self.length, self.length + length, device=device)
        if self.fillers is None:
            return positions
        return (positions - self.fillers[:, None]).clamp(min=0)

    def begin_with(self, other: 'KVCache'):
        """Every row of this empty cache starts with the tokens of the other's only row."""
        self.length = other.length
        self.keys[:, :, :, :self.length] = other.keys[:, :, :, :self.length]
        self.values[:, :, :, :self.length] = other.values[:, :, :, :self.length]

    def keep(self, rows):
        """Drops all rows but `rows` (a mask or numbers)."""
        self.keys, self.values = self.keys[:, rows], self.values[:, rows]
        if self.fillers is not None:
            self.fillers, self.hidden = self.fillers[rows], self.hidden[rows]

    def update(self, slot: int, k, v):
        """Appends k and v (B, nh, T, hs) to a slot; returns all of the slot up to and with them."""
        end = self.length + k.size(2)
        if end > self.keys.size(3):
            raise ValueError(f'the cache holds {self.keys.size(3)} tokens, {end} were given')
        self.keys[slot, :, :, self.length:end] = k
        self.values[slot, :, :, self.length:end] = v
        return self.keys[slot, :, :, :end], self.values[slot, :, :, :end]


def head_size_of(config: GPTConfig) -> int:
    """Width of a head; only the constructions of theory.py set it apart from n_embd / n_head."""
    return config.head_size or config.n_embd // config.n_head


def make_norm(config: GPTConfig) -> nn.Module:
    if config.norm == 'none':
        return nn.Identity()
    if config.norm == 'layernorm':
        return nn.LayerNorm(config.n_embd, bias=config.bias)
    return nn.RMSNorm(config.n_embd, eps=1e-6)


def rope_table(positions, head_size: int):
    """Factors of the rotary angles t / 10000^(2i/hs) (Su et al. 2021, Eq. 15), as `rotate` takes them.

    cos for both halves of a head, sin with its sign for each: (T, 2, hs/2) for positions (T,), and for those
    of rows that differ, (B, T), (B, 1, T, 2, hs/2).
    """
    frequency = 10000.0 ** (-torch.arange(0, head_size, 2, device=positions.device).float() / head_size)
    angle = positions.float()[..., None] * frequency
    angle = angle[:, None] if positions.dim() == 2 else angle
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos, cos], -2), torch.stack([-sin, sin], -2)


def rotate(x, cos, sin):
    """Turns the pairs (x_i, x_{i + hs/2}) of a head by the angle of their position; x is (B, nh, T, hs).

    The halves change places by a flip: a compiler for CPUs makes vector code of it, but not of slices joined.
    """
    halves = x.unflatten(-1, (2, -1))
    return (halves * cos + halves.flip(-2) * sin).flatten(-2).type_as(x)


def causal_attention(q, k, v, dropout_p: float = 0.0, hidden=None):
    """Softmax attention; query t of T sees the first S - T + t + 1 of S keys; q (B, nh, T, hs) -> the same.

    Keys where `hidden` (B, >= S) is true are seen by none. On a CPU the fused kernel is slow for short
    sequences; there the plain form, compiled, is faster.
    """
    B, nh, T, hs = q.shape
    S = k.size(2)
    if T == S and hidden is None and (q.is_cuda or T > 512):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout_p)
    if T == 1 and hidden is None:
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout_p)  # it sees all keys
    q, k, v = (heads.reshape(B * nh, -1, hs) for heads in (q, k, v))
    parts = []
    for chunk in range((T + 127) // 128):  # a chunk of queries leaves out the keys after its last one
        first, last = 128 * chunk, min(128 * chunk + 128, T)
        seen = S - T + last
        future = torch.full((last - first, seen), -torch.inf, dtype=q.dtype, device=q.device)
        future = future.triu(S - T + first + 1)
        scores = torch.baddbmm(future, q[:, first:last], k[:, :seen].transpose(1, 2), alpha=hs ** -0.5)
        if hidden is not None:  # not by -inf: a filler that sees nothing would become NaN, and spread
            mask = hidden[:, None, None, :seen].expand(B, nh, 1, seen).reshape(B * nh, 1, seen)
            scores = scores.masked_fill(mask, torch.finfo(scores.dtype).min)
        parts.append(F.dropout(scores.softmax(-1), dropout_p) @ v[:, :seen])  # (B * nh, chunk, hs)
    return torch.cat(parts, 1).view(B, nh, T, hs)


class Attention(nn.Module):
    """Causal multi-head self-attention."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.n_head, self.head_size, self.dropout = config.n_head, head_size_of(config), config.dropout
        width = self.n_head * self.head_size
        self.qkv = nn.Linear(config.n_embd, 3 * width, bias=config.bias)
        self.proj = nn.Linear(width, config.n_embd, bias=config.bias)

    def forward(self, x, rope=None, cache=None, slot=None):
        B, T, _ = x.shape
        q, k, v = (heads.view(B, T, self.n_head, self.head_size).transpose(1, 2)  # each (B, nh, T, hs)
                   for heads in self.qkv(x).chunk(3, dim=-1))
        if rope is not None:
            q, k = rotate(q, *rope), rotate(k, *rope)
        if cache is not None:
            k, v = cache.update(slot, k, v)
        hidden = cache.hidden if cache is not None else None
        y = causal_attention(q, k, v, self.dropout if self.training else 0.0, hidden)
        return self.proj(y.transpose(1, 2).reshape(B, T, self.n_head * self.head_size))


def gelu(x):
    """The tanh form of GELU (Hendrycks and Gimpel 2016, Sec. 2).

    Compiled for a CPU, the same function by way of the sigmoid is faster: its exp is cheaper than a tanh.
    """
    if torch.compiler.is_compiling() and not x.is_cuda:
        return x * torch.sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))
    return F.gelu(x, approximate='tanh')


class FeedForward(nn.Module):
    """Two linear layers with gelu or relu between, or the gated form with gelu (Shazeer 2020, geglu)."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        width = config.n_ff or 4 * config.n_embd
        self.activation = config.activation
        self.up = nn.Linear(config.n_embd, width, bias=config.bias)
        self.gate = nn.Linear(config.n_embd, width, bias=config.bias) if self.activation == 'geglu' else None
        self.down = nn.Linear(width, config.n_embd, bias=config.bias)

    def forward(self, x):
        if self.activation == 'relu':
            return self.down(F.relu(self.up(x)))
        if self.gate is not None:
            return self.down(gelu(self.gate(x)) * self.up(x))
        return self.down(gelu(self.up(x)))


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.norm1, self.attention = make_norm(config), Attention(config)
        self.norm2, self.feed_forward = make_norm(config), FeedForward(config)
        self.dropout = config.dropout

    def forward(self, x, rope=None, cache=None, slot=None):
        p = self.dropout if self.training else 0.0
        x = x + F.dropout(self.attention(self.norm1(x), rope, cache, slot), p)
        return x + F.dropout(self.feed_forward(self.norm2(x)), p)


class GPT(nn.Module):
    """A plain Transformer of n_layer blocks; LoopedGPT overrides only the way through the blocks.

    `depth` is the number of block applications, by which the initial residual branches are scaled (GPT-2's
    rule, std / sqrt(2 * depth)). Weights are drawn from `generator`, on a CPU: the same seed gives the same
    model everywhere.
    """

    def __init__(self, config: GPTConfig, generator: torch.Generator | None = None, depth: int | None = None):
        super().__init__()
        self.loss_and_slope = loss_and_slope
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.n_embd)
        if config.positions == 'learned':
            self.position_embedding = nn.Embedding(config.block_size, config.n_embd)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.n_layer)])
        self.final_norm = make_norm(config)
        self.head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.head.weight = self.token_embedding.weight
        if self.head.weight.device.type != 'meta':
            self.init_weights(generator, depth or config.n_layer)

    @torch.no_grad()
    def init_weights(self, generator, depth: int):
        """Normal(0, init_std) for every matrix, zeros for biases; norms keep their ones."""
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                residual = name.endswith(('proj.weight', 'down.weight'))
                std = self.config.init_std / math.sqrt(2 * depth if residual else 1)
                parameter.normal_(0, std, generator=generator)
            elif name.endswith('bias'):
                parameter.zero_()

    def forward(self, tokens, targets=None, n_loops=None, cache: KVCache | None = None, last_only=False):
        """Logits (B, T, V) of tokens (B, T); with targets (B, T) the summed cross entropy, -100 left out.

        With a cache, `tokens` continue what it holds, and it is advanced by them. last_only: of the last
        token alone, (B, 1, V).
        """
        positions = self.positions(tokens, cache)
        x = self.through_blocks(self.embed(tokens, positions), self.rope(positions), n_loops, cache)
        if cache is not None:
            cache.length += tokens.size(1)
        if targets is None:
            return self.readout(x[:, -1:] if last_only else x)
        return self.loss(self.last_norm(x), targets)

    def positions(self, tokens, cache: KVCache | None = None):
        """Those of tokens (B, T), (T,), or (B, T) after a cache whose rows differ in length."""
        if cache is not None:
            return cache.positions(tokens.size(1), tokens.device)
        return torch.arange(tokens.size(1), device=tokens.device)

    def embed(self, tokens, positions):
        """Token (and learned position) embeddings, (B, T) -> (B, T, C)."""
        x = self.token_embedding(tokens)
        if self.config.positions == 'learned':
            x = x + self.position_embedding(positions)
        return F.dropout(x, self.config.dropout if self.training else 0.0)

    def rope(self, positions):
        """cos and sin of the positions, or None."""
        if self.config.positions != 'rope':
            return None
        return rope_table(positions, head_size_of(self.config))

    def through_blocks(self, x, rope, n_loops=None, cache=None):
        assert n_loops is None, 'a plain GPT takes no loop count'
        for slot, block in enumerate(self.blocks):
            x = block(x, rope, cache, slot)
        return x

    def last_norm(self, x):
        return self.final_norm(x)

    def readout(self, x):
        return self.head(self.last_norm(x))

    def loss(self, x, targets):
        """Summed cross entropy of normed states x (B, T, C), -100 left out."""
        return linear_cross_entropy(x.flatten(0, 1), self.head.weight, targets.flatten(), self.loss_and_slope)
