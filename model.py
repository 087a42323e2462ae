"""A decoder-only Transformer: attention, feed-forward, block, GPT, the cache of keys and values, the loss.

Blocks normalise their input (pre-norm). Neither Saunshi et al. 2025 nor Fan et al. 2025 states all of norm,
activation, biases and positions, so they are options. `config` is a ModelConfig of stages.py, or any object
with its fields. In comments on shapes: B batch, T time, C channels, nh heads, hs head size, V vocabulary,
N tokens of a whole batch.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

LOGITS_MAX = 2 ** 25  # logits that the loss holds at once: 128 MB in float32


def head_size_of(config) -> int:
    """Width of an attention head."""
    return config.head_size or config.n_embd // config.n_head


class KVCache:
    """Keys and values of earlier tokens, one slot for every application of a block (a looped block has many).

    Slots are (B, nh, T_max, hs). `length` tokens are valid; GPT.forward advances it once all are written.
    Rows may differ in length: `pad` makes the first of the coming tokens fillers, which no other token sees.
    """

    def __init__(self, n_slots: int, batch: int, length_max: int, config, device=None, dtype=None):
        shape = (n_slots, batch, config.n_head, length_max, head_size_of(config))
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.length = 0
        self.fillers = None  # (B,)
        self.hidden = None   # (B, T_max), true at fillers

    def pad(self, fillers):
        """Makes the next fillers[i] tokens of row i (B,) fillers; positions do not count them."""
        place = torch.arange(self.keys.size(3), device=fillers.device) - self.length
        self.fillers = fillers
        self.hidden = (place >= 0) & (place < fillers[:, None])  # (B, T_max)

    def positions(self, length: int, device):
        """Positions of the next `length` tokens: (T,), or (B, T) where rows differ."""
        positions = torch.arange(self.length, self.length + length, device=device)  # (T,)
        if self.fillers is None:
            return positions
        return (positions - self.fillers[:, None]).clamp(min=0)  # (B, T)

    def begin_with(self, other: 'KVCache'):
        """Starts every row of this empty cache with the tokens of the other's only row."""
        self.length = other.length
        self.keys[:, :, :, :self.length] = other.keys[:, :, :, :self.length]
        self.values[:, :, :, :self.length] = other.values[:, :, :, :self.length]

    def keep(self, rows):
        """Drops all rows but `rows` (a mask or numbers)."""
        self.keys = self.keys[:, rows]
        self.values = self.values[:, rows]
        if self.fillers is not None:
            self.fillers = self.fillers[rows]
            self.hidden = self.hidden[rows]

    def update(self, slot: int, k, v):
        """Appends k and v (B, nh, T, hs) to a slot; returns all of the slot up to and with them."""
        end = self.length + k.size(2)
        if end > self.keys.size(3):
            raise ValueError(f'the cache holds {self.keys.size(3)} tokens, {end} were given')
        self.keys[slot, :, :, self.length:end] = k
        self.values[slot, :, :, self.length:end] = v
        return self.keys[slot, :, :, :end], self.values[slot, :, :, :end]


def make_norm(config) -> nn.Module:
    if config.norm == 'none':
        return nn.Identity()
    if config.norm == 'layernorm':
        return nn.LayerNorm(config.n_embd, bias=config.bias)
    return nn.RMSNorm(config.n_embd, eps=1e-6)


def rope_table(positions, head_size: int):
    """Factors of the rotary angles t / 10000^(2i/hs) (Su et al. 2021, Eq. 15), as `rotate` takes them.

    cos for both halves of a head, sin with its sign for each: (T, 2, hs/2) for positions (T,), and
    (B, 1, T, 2, hs/2) for those of rows that differ, (B, T).
    """
    frequency = 10000.0 ** (-torch.arange(0, head_size, 2, device=positions.device).float() / head_size)
    angle = positions.float()[..., None] * frequency  # (T, hs/2) or (B, T, hs/2)
    if positions.dim() == 2:
        angle = angle[:, None]
    cos = angle.cos()
    sin = angle.sin()
    return torch.stack([cos, cos], -2), torch.stack([-sin, sin], -2)


def rotate(x, cos, sin):
    """Turns the pairs (x_i, x_{i + hs/2}) of a head by the angle of their position; x is (B, nh, T, hs).

    The halves change places by a flip: a compiler for CPUs makes vector code of it, but not of slices joined.
    """
    halves = x.unflatten(-1, (2, -1))  # (B, nh, T, 2, hs/2)
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
    if T == 1 and hidden is None:  # a single query sees all keys
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout_p)

    # The plain form: a product for each head, (B * nh) of them.
    q = q.reshape(B * nh, T, hs)
    k = k.reshape(B * nh, S, hs)
    v = v.reshape(B * nh, S, hs)
    parts = []
    for chunk in range((T + 127) // 128):  # a chunk of queries leaves out the keys after its last one
        first = 128 * chunk
        last = min(first + 128, T)
        seen = S - T + last
        future = torch.full((last - first, seen), -torch.inf, dtype=q.dtype, device=q.device)
        future = future.triu(S - T + first + 1)
        scores = torch.baddbmm(future, q[:, first:last], k[:, :seen].transpose(1, 2), alpha=hs ** -0.5)
        if hidden is not None:  # not by -inf: a filler that sees nothing would become NaN, and spread
            mask = hidden[:, None, None, :seen].expand(B, nh, 1, seen).reshape(B * nh, 1, seen)
            scores = scores.masked_fill(mask, torch.finfo(scores.dtype).min)
        weights = F.dropout(scores.softmax(-1), dropout_p)  # (B * nh, chunk, seen)
        parts.append(weights @ v[:, :seen])  # (B * nh, chunk, hs)
    return torch.cat(parts, 1).view(B, nh, T, hs)


class Attention(nn.Module):
    """Causal multi-head self-attention."""

    def __init__(self, config):
        super().__init__()
        self.n_head = config.n_head
        self.head_size = head_size_of(config)
        self.dropout = config.dropout
        width = self.n_head * self.head_size
        self.qkv = nn.Linear(config.n_embd, 3 * width, bias=config.bias)  # queries, keys, values in one
        self.proj = nn.Linear(width, config.n_embd, bias=config.bias)

    def forward(self, x, rope=None, cache=None, slot=None):
        B, T, _ = x.shape
        q, k, v = self.qkv(x).chunk(3, dim=-1)  # each (B, T, nh * hs)
        q = q.view(B, T, self.n_head, self.head_size).transpose(1, 2)  # (B, nh, T, hs)
        k = k.view(B, T, self.n_head, self.head_size).transpose(1, 2)
        v = v.view(B, T, self.n_head, self.head_size).transpose(1, 2)
        if rope is not None:
            q = rotate(q, *rope)
            k = rotate(k, *rope)

        hidden = None
        if cache is not None:
            k, v = cache.update(slot, k, v)  # (B, nh, S, hs): those of earlier tokens too
            hidden = cache.hidden
        y = causal_attention(q, k, v, self.dropout if self.training else 0.0, hidden)  # (B, nh, T, hs)
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

    def __init__(self, config):
        super().__init__()
        width = config.n_ff or 4 * config.n_embd
        self.activation = config.activation
        self.up = nn.Linear(config.n_embd, width, bias=config.bias)
        self.gate = None
        if self.activation == 'geglu':
            self.gate = nn.Linear(config.n_embd, width, bias=config.bias)
        self.down = nn.Linear(width, config.n_embd, bias=config.bias)

    def forward(self, x):
        if self.activation == 'relu':
            return self.down(F.relu(self.up(x)))
        if self.gate is not None:
            return self.down(gelu(self.gate(x)) * self.up(x))
        return self.down(gelu(self.up(x)))


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config):
        super().__init__()
        self.norm1 = make_norm(config)
        self.attention = Attention(config)
        self.norm2 = make_norm(config)
        self.feed_forward = FeedForward(config)
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

    def __init__(self, config, n_layer: int, generator: torch.Generator | None = None,
                 depth: int | None = None):
        super().__init__()
        self.config = config
        self.loss_and_slope = loss_and_slope  # in training a compiled one takes its place
        self.token_embedding = nn.Embedding(config.vocab_size, config.n_embd)
        if config.positions == 'learned':
            self.position_embedding = nn.Embedding(config.block_size, config.n_embd)
        self.blocks = nn.ModuleList([Block(config) for _ in range(n_layer)])
        self.final_norm = make_norm(config)
        self.head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.head.weight = self.token_embedding.weight
        if self.head.weight.device.type != 'meta':  # there only sizes are counted
            self.init_weights(generator, depth or n_layer)

    @torch.no_grad()
    def init_weights(self, generator, depth: int):
        """Normal(0, init_std) for every matrix, zeros for biases; norms keep their ones."""
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                std = self.config.init_std
                if name.endswith(('proj.weight', 'down.weight')):  # the residual branches
                    std = std / math.sqrt(2 * depth)
                parameter.normal_(0, std, generator=generator)
            elif name.endswith('bias'):
                parameter.zero_()

    def forward(self, tokens, targets=None, n_loops=None, cache: KVCache | None = None, last_only=False):
        """Logits (B, T, V) of tokens (B, T); with targets (B, T) the summed cross entropy, -100 left out.

        With a cache, `tokens` continue what it holds, and it is advanced by them. last_only: logits of the
        last token alone, (B, 1, V).
        """
        positions = self.positions(tokens, cache)
        x = self.embed(tokens, positions)  # (B, T, C)
        x = self.through_blocks(x, self.rope(positions), n_loops, cache)  # (B, T, C)
        if cache is not None:
            cache.length += tokens.size(1)
        if targets is not None:
            return self.loss(self.last_norm(x), targets)
        return self.readout(x[:, -1:] if last_only else x)

    def positions(self, tokens, cache: KVCache | None = None):
        """Positions of tokens (B, T): (T,), or (B, T) after a cache whose rows differ in length."""
        if cache is not None:
            return cache.positions(tokens.size(1), tokens.device)
        return torch.arange(tokens.size(1), device=tokens.device)

    def embed(self, tokens, positions):
        """Token (and learned position) embeddings, (B, T) -> (B, T, C)."""
        x = self.token_embedding(tokens)  # (B, T, C)
        if self.config.positions == 'learned':
            x = x + self.position_embedding(positions)
        return F.dropout(x, self.config.dropout if self.training else 0.0)

    def rope(self, positions):
        """cos and sin of the positions, or None."""
        if self.config.positions != 'rope':
            return None
        return rope_table(positions, head_size_of(self.config))

    def through_blocks(self, x, rope, n_loops=None, cache=None):
        """All blocks in order, (B, T, C) -> the same."""
        assert n_loops is None, 'a plain GPT takes no loop count'
        for slot, block in enumerate(self.blocks):
            x = block(x, rope, cache, slot)
        return x

    def last_norm(self, x):
        return self.final_norm(x)

    def readout(self, x):
        """Logits of the states after the last block, (B, T, C) -> (B, T, V)."""
        return self.head(self.last_norm(x))

    def loss(self, x, targets):
        """Summed cross entropy of normed states x (B, T, C), -100 left out."""
        return linear_cross_entropy(x.flatten(0, 1), self.head.weight, targets.flatten(), self.loss_and_slope)


# --- the loss over a large vocabulary, without ever holding all of its logits

def loss_and_slope(logits, targets):
    """Cross entropy (N, 1), nats, and its derivative by the logits (N, V), in their dtype; targets (N, 1)."""
    log_p = F.log_softmax(logits.float(), -1)  # (N, V)
    loss = -log_p.gather(1, targets)  # (N, 1)
    hit = torch.arange(logits.shape[1], device=logits.device) == targets  # (N, V)
    return loss, log_p.exp_().add_(hit, alpha=-1).to(logits.dtype)


def linear_cross_entropy(x, weight, targets, loss_and_slope=loss_and_slope):
    """Summed cross entropy, nats, of the logits x @ weight.T; targets of -100 are left out.

    x (N, C), weight (V, C), targets (N,). Products have the dtype of autocast where that is on.
    `loss_and_slope` may be the compiled one: five passes over the logits become one, 1.3 times as fast.
    """
    size = max(1, LOGITS_MAX // len(weight))  # tokens whose logits are held at once
    if len(x) <= size:  # a small vocabulary: the plain way
        return F.cross_entropy(F.linear(x, weight).float(), targets, reduction='sum')
    if torch.is_grad_enabled():
        return LinearCrossEntropy.apply(x, weight, targets, loss_and_slope, size)

    total = 0
    for start in range(0, len(x), size):
        logits = F.linear(x[start:start + size], weight).float()  # (size, V)
        total = total + F.cross_entropy(logits, targets[start:start + size], reduction='sum')
    return total


class LinearCrossEntropy(torch.autograd.Function):
    """A chunk of tokens at a time, whose gradients are computed while its logits are there.

    So nothing is computed twice, as in checkpointing (Hsu et al. 2024, Sec. 3.2): 1.4 times as fast.
    """

    @staticmethod
    def forward(ctx, x, weight, targets, loss_and_slope, size: int):
        dtype = x.dtype  # of the products
        device = x.device.type
        if torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)

        total = torch.zeros((), device=x.device)
        x_gradient = torch.empty_like(x)
        weight_gradient = torch.zeros_like(weight)
        with torch.autocast(device, enabled=False):
            w = weight.to(dtype)
            for start in range(0, len(x), size):
                part = x[start:start + size].to(dtype)  # (size, C)
                target = targets[start:start + size]
                scored = (target >= 0)[:, None]
                # (size, 1) and (size, V); a target of -100 counts as 0 and is masked after
                loss, slope = loss_and_slope(part @ w.t(), target.clamp(min=0)[:, None])
                total += (loss * scored).sum()
                x_gradient[start:start + size] = (slope @ w) * scored
                weight_gradient += slope.t() @ (part * scored)
        ctx.save_for_backward(x_gradient, weight_gradient)
        return total

    @staticmethod
    def backward(ctx, gradient):
        x_gradient, weight_gradient = ctx.saved_tensors
        return x_gradient * gradient, weight_gradient * gradient, None, None, None
