"""Looping: a block of k layers applied L times (Saunshi et al. 2025, Sec. 2), and what Fan et al. 2025 add.

LoopedGPT with stages 'kx1' computes what a GPT of k layers computes; with 'kxL' what a GPT of k * L layers
with copied weights computes. The loop itself is `LoopedGPT.iterations`.
"""
import torch
from torch.utils.checkpoint import checkpoint

from model import GPT, KVCache, head_size_of, loss_and_slope
from stages import ModelConfig, Stage, distinct_layers, effective_depth, is_looped, parse_stages, with_loops

RECOMPUTED = 4  # most blocks whose activations are there at once with checkpoint_loops


class LoopedGPT(GPT):
    """A GPT whose blocks are grouped in stages, each run L times.

    n_loops, in every call: None for the L of the string, an int in place of every L > 1, or a tensor (B,)
    with a count for each sample.
    input_injection: a looped stage with input e computes h_0 = 0, h_{t+1} = f(h_t + e) (Fan et al. 2025,
    Sec. 4.2.1; h_0 as in their code). norm_each_loop is as in their code too.
    """

    def __init__(self, config: ModelConfig, generator: torch.Generator | None = None):
        self.stages = parse_stages(config.stages)
        super().__init__(config, distinct_layers(self.stages), generator, effective_depth(self.stages))

    def through_blocks(self, x, rope, n_loops=None, cache=None):
        """Runs all stages, (B, T, C) -> the same. Each application of a block has its own cache slot."""
        if n_loops is not None and not is_looped(self.stages):
            raise ValueError('these stages hold no loop, so they take no loop count')
        slot = 0  # of the cache
        for stage, blocks in self.stage_blocks():
            loops = stage.loops
            if stage.loops > 1 and n_loops is not None:
                loops = n_loops
            if isinstance(loops, torch.Tensor):  # a count for each sample
                assert cache is None, 'cached decoding uses one loop count for all tokens'
                x = self.run_each_sample(stage, blocks, x, rope, loops)
                continue

            h = self.first_state(stage, x)  # the state after no loop
            for state in self.iterations(stage, blocks, x, rope, loops, cache, slot):
                h = state
            x = h
            slot += len(blocks) * loops
        return x

    def stage_blocks(self):
        """Yields (stage, its blocks) in order."""
        first = 0
        for stage in self.stages:
            yield stage, self.blocks[first:first + stage.layers]
            first += stage.layers

    def iterations(self, stage: Stage, blocks, x, rope, loops: int, cache=None, slot=0):
        """The loop: the blocks of a stage applied `loops` times with the same weights, x (B, T, C).

        Yields the state after every iteration.
        """
        h = self.first_state(stage, x)
        for t in range(loops):
            h = self.iterate(stage, blocks, h, x, rope, cache, slot + t * len(blocks))
            yield h  # (B, T, C)

    def first_state(self, stage: Stage, x):
        """h_0 of a stage with input x: x itself, or with input injection 0."""
        return torch.zeros_like(x) if self.injects(stage) else x

    def injects(self, stage: Stage) -> bool:
        return self.config.input_injection and stage.loops > 1

    def iterate(self, stage: Stage, blocks, h, x, rope, cache=None, slot=0):
        """One pass of the state h through the blocks of a stage with input x, both (B, T, C)."""
        if self.injects(stage):
            h = h + x  # (B, T, C)
        if self.config.checkpoint_loops and cache is None and torch.is_grad_enabled():
            for first in range(0, len(blocks), RECOMPUTED):
                part = blocks[first:first + RECOMPUTED]
                # Reentrant checkpointing of a block used in several loops gives wrong gradients under DDP.
                h = checkpoint(self.run_blocks, part, h, rope, use_reentrant=False)
        else:
            h = self.run_blocks(blocks, h, rope, cache, slot)
        if self.config.norm_each_loop and stage.loops > 1:
            h = self.final_norm(h)
        return h

    def run_blocks(self, blocks, h, rope, cache=None, slot=0):
        for i, block in enumerate(blocks):
            h = block(h, rope, cache, slot + i)
        return h

    def run_each_sample(self, stage: Stage, blocks, x, rope, counts):
        """Loops every sample of x (B, T, C) as often as its own count of counts (B,) says.

        Samples that are done leave the batch, so the cost is the sum of the counts.
        """
        # Longest first: the samples that still run are always the first ones of the batch.
        order = counts.argsort(descending=True, stable=True)
        ordered = counts[order].tolist()
        x = x[order.to(x.device)]  # (B, T, C)
        h = self.first_state(stage, x)
        done = []
        for t in range(max(ordered)):
            running = sum(count > t for count in ordered)
            if running < len(h):
                done.append(h[running:])
                h = h[:running]
                x = x[:running]
            h = self.iterate(stage, blocks, h, x, rope)

        if done:
            h = torch.cat([h] + done[::-1])  # (B, T, C), longest first
        return h[order.argsort().to(h.device)]  # in the order of the batch

    def last_norm(self, x):
        """The norm before the head; with norm_each_loop a last stage that loops has already been normed."""
        if self.config.norm_each_loop and self.stages[-1].loops > 1:
            return x
        return super().last_norm(x)

    def logits_by_loop(self, tokens, loops_max: int):
        """Yields (t, logits) for t = 1 .. loops_max; one pass serves them all when a single stage loops."""
        groups = list(self.stage_blocks())
        looped = [i for i, stage in enumerate(self.stages) if stage.loops > 1]
        if not looped:  # a plain model has one answer
            yield 1, self(tokens)
            return
        if len(looped) > 1:  # several loops that grow together: one pass for each count
            for t in range(1, loops_max + 1):
                yield t, self(tokens, n_loops=t)
            return

        # The stages before the loop run once, those after it once for every state that the loop yields.
        positions = self.positions(tokens)
        rope = self.rope(positions)
        x = self.embed(tokens, positions)  # (B, T, C)
        for stage, blocks in groups[:looped[0]]:
            x = self.iterate(stage, blocks, x, x, rope)
        stage, blocks = groups[looped[0]]
        for t, h in enumerate(self.iterations(stage, blocks, x, rope, loops_max), start=1):
            for later_stage, later_blocks in groups[looped[0] + 1:]:
                h = self.iterate(later_stage, later_blocks, h, h, rope)
            yield t, self.readout(h)  # (B, T, V)

    def new_cache(self, batch: int, length_max: int, n_loops: int | None = None) -> KVCache:
        """An empty cache with a slot for every (stage, loop, layer), of the dtype of the weights."""
        slots = effective_depth(with_loops(self.stages, n_loops))
        weight = self.head.weight
        return KVCache(slots, batch, length_max, self.config, weight.device, weight.dtype)

    def compile_blocks(self, fixed_size=True):
        """Compiles the block, not the unrolled model: one graph serves every depth and loop count.

        Where batches differ in size or length, fixed_size=False makes one graph that serves them all. What
        the loss does with the logits of a large vocabulary is compiled too.
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
        uses = self.head.weight.numel() + sum(p.numel() for p in self.final_norm.parameters())
        for stage, (_, blocks) in zip(stages, self.stage_blocks(), strict=True):
            uses += stage.loops * sum(p.numel() for p in blocks.parameters())
        width = self.config.n_head * head_size_of(self.config)
        return 6 * uses + 12 * length * width * effective_depth(stages)
