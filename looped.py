"""Looping: the stages of `stages.py` run over the blocks of a GPT (A, Sec. 2), and what B adds to it.

LoopedGPT with 'kx1' computes what GPT computes; with 'kxL' what a kL-layer GPT with copied weights computes.
"""
from dataclasses import fields, replace

import torch
from torch.utils.checkpoint import checkpoint

from cross_entropy import loss_and_slope
from model import GPT, GPTConfig, KVCache, head_size_of
from stages import Stage, distinct_layers, effective_depth, is_looped, parse_stages, with_loops

RECOMPUTED = 4  # most blocks whose activations are there at once with checkpoint_loops


class LoopedGPT(GPT):
    """A GPT whose blocks are grouped in stages, each run L times.

    n_loops, in every call: None for the L of the string, an int in place of every L > 1, or a tensor (B,)
    with a count for each sample. Samples that are done leave the batch, so the cost is the sum of the counts.

    input_injection: a looped stage with input e computes h_0 = 0, h_{t+1} = f(h_t + e) (B, Sec. 4.1).
    norm_each_loop: the final norm ends every iteration, as in B's code, instead of coming once at the end.
    truncate_loops: gradients flow through the last so many iterations only; 0 means all.
    checkpoint_loops: activations are computed again in the backward pass instead of kept, an iteration, or
    RECOMPUTED blocks of a longer one, at a time.
    """

    def __init__(self, config: GPTConfig, stages: str, generator: torch.Generator | None = None,
                 input_injection=False, norm_each_loop=False, truncate_loops=0, checkpoint_loops=False):
        self.stages = parse_stages(stages)
        config = replace(config, n_layer=distinct_layers(self.stages))
        super().__init__(config, generator, depth=effective_depth(self.stages))
        self.input_injection, self.norm_each_loop = input_injection, norm_each_loop
        self.truncate_loops, self.checkpoint_loops = truncate_loops, checkpoint_loops

    def through_blocks(self, x, rope, n_loops=None, cache=None):
        """Runs all stages, (B, T, C) -> the same. Each application of a block has its own cache slot."""
        if n_loops is not None and not is_looped(self.stages):
            raise ValueError('these stages hold no loop, so they take no loop count')
        slot = 0
        for stage, blocks in self.stage_blocks():
            count = n_loops if stage.loops > 1 and n_loops is not None else stage.loops
            x = self.run_stage(stage, blocks, x, rope, count, cache, slot)
            slot += len(blocks) * count if cache is not None else 0
        return x

    def stage_blocks(self):
        """(stage, its blocks) in order."""
        first = 0
        for stage in self.stages:
            yield stage, list(self.blocks[first:first + stage.layers])
            first += stage.layers

    def run_stage(self, stage: Stage, blocks, x, rope, count, cache=None, slot=0):
        """`count` iterations, an int or one for each sample (B,), over x (B, T, C).

        Samples are sorted by count, longest first: those still running are always a prefix of the batch.
        """
        order = None
        if isinstance(count, torch.Tensor):
            assert cache is None, 'cached decoding uses one loop count for all tokens'
            order = count.argsort(descending=True, stable=True)
            x, counts = x[order.to(x.device)], count[order].tolist()
        else:
            counts = [count] * x.size(0)
        e = x
        if self.input_injection and stage.loops > 1:
            x = torch.zeros_like(e)
        done = []
        for t in range(max(counts)):
            running = sum(c > t for c in counts)
            if running < x.size(0):
                done.append(x[running:])
                x, e = x[:running], e[:running]
            x = self.truncate(x, [c - t for c in counts[:running]])
            inject = e if self.input_injection and stage.loops > 1 else None
            x = self.iterate(stage, blocks, x, inject, rope, cache, slot + t * len(blocks))
        x = torch.cat([x] + done[::-1]) if done else x
        return x if order is None else x[order.argsort().to(x.device)]

    def iterate(self, stage, blocks, x, inject, rope, cache=None, slot=0):
        """One pass through the blocks of a stage."""
        if inject is not None:
            x = x + inject
        if not self.checkpoint_loops or cache is not None or not torch.is_grad_enabled():
            x = self.run_blocks(blocks, x, rope, cache, slot)
        else:  # reentrant checkpointing of a block used in several loops gives wrong gradients under DDP
            for first in range(0, len(blocks), RECOMPUTED):
                part = blocks[first:first + RECOMPUTED]
                x = checkpoint(self.run_blocks, part, x, rope, use_reentrant=False)
        return self.final_norm(x) if self.norm_each_loop and stage.loops > 1 else x

    def run_blocks(self, blocks, x, rope, cache=None, slot=0):
        for i, block in enumerate(blocks):
            x = block(x, rope, cache, slot + i)
        return x

    def truncate(self, x, left: list[int]):
        """Cuts the gradient where exactly truncate_loops iterations are left (`left` is longest first)."""
        if not self.truncate_loops or self.truncate_loops not in left:
            return x
        if left[0] == left[-1]:
            return x.detach()
        cut = torch.tensor([n == self.truncate_loops for n in left], device=x.device)
        return torch.where(cut[:, None, None], x.detach(), x)

    def last_norm(self, x):
        """The norm before the head; with norm_each_loop a last stage that loops has already been normed."""
        return x if self.norm_each_loop and self.stages[-1].loops > 1 else super().last_norm(x)

    def logits_by_loop(self, tokens, loops_max: int):
        """Yields (t, logits) for t = 1 .. loops_max; one pass serves them all when a single stage loops."""
        looped = [i for i, stage in enumerate(self.stages) if stage.loops > 1]
        if len(looped) != 1:
            for t in range(1, loops_max + 1 if looped else 2):
                yield t, self(tokens, n_loops=t if looped else None)
            return
        positions = self.positions(tokens)
        rope, x = self.rope(positions), self.embed(tokens, positions)
        groups = list(self.stage_blocks())
        for stage, blocks in groups[:looped[0]]:
            x = self.run_stage(stage, blocks, x, rope, 1)
        stage, blocks = groups[looped[0]]
        inject = x if self.input_injection else None
        x = torch.zeros_like(x) if self.input_injection else x
        for t in range(1, loops_max + 1):
            x = self.iterate(stage, blocks, x, inject, rope)
            y = x
            for after, after_blocks in groups[looped[0] + 1:]:
                y = self.run_stage(after, after_blocks, y, rope, 1)
            yield t, self.readout(y)

    def new_cache(self, batch: int, length_max: int, n_loops: int | None = None) -> KVCache:
        """An empty cache with a slot for every (stage, loop, layer), of the dtype of the weights."""
        slots, weight = effective_depth(with_loops(self.stages, n_loops)), self.head.weight
        return KVCache(slots, batch, length_max, self.config, weight.device, weight.dtype)

    def compile_blocks(self, fixed_size=True):
        """Compiles the block, not the unrolled model: one graph serves every depth and loop count.

        Where batches differ in size or length, fixed_size=False makes one graph that serves them all. Over a
        large vocabulary what the loss does with the logits is compiled too.
        """
        for block in self.blocks:
            block.compile(dynamic=None if fixed_size else True)
        self.loss_and_slope = torch.compile(loss_and_slope, dynamic=True)

    def count_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    def flops_per_token(self, length: int, n_loops: int | None = None) -> int:
        """Training FLOPs a token: 6 x (parameters, once per use) + full-square attention over `length`.

        The head is included; the embedding table is a lookup and costs nothing, a tied one counts as head.
        Attention: two products of 2 * length * width FLOPs forward, twice that backward, at every block use.
        """
        stages = with_loops(self.stages, n_loops)
        uses = sum(stage.loops * sum(p.numel() for block in blocks for p in block.parameters())
                   for stage, (_, blocks) in zip(stages, self.stage_blocks(), strict=True))
        uses += self.head.weight.numel() + sum(p.numel() for p in self.final_norm.parameters())
        width = self.config.n_head * head_size_of(self.config)
        return 6 * uses + 12 * length * width * effective_depth(stages)


def build_model(config, vocab_size: int, block_size: int, generator=None) -> LoopedGPT:
    """The model of a training configuration (any object with its fields)."""
    names = [field.name for field in fields(GPTConfig) if hasattr(config, field.name)]
    sizes = {name: getattr(config, name) for name in names}
    sizes |= dict(vocab_size=vocab_size, block_size=block_size, n_layer=0)
    return LoopedGPT(GPTConfig(**sizes), config.stages, generator, config.input_injection,
                     config.norm_each_loop, config.truncate_loops, config.checkpoint_loops)
