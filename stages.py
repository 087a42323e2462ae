"""The stage string, one notation for every model, and the options of a model.

'1x6', '6x1', '4x1+4x4+4x1': a stage is k distinct blocks applied L times in a row, written kxL; stages joined
by '+' follow each other (Saunshi et al. 2025, Sec. 2 and 3). This file needs no torch, so that a bad string
or option is reported before torch is imported.
"""
import math
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple


class Stage(NamedTuple):
    layers: int  # k distinct blocks
    loops: int   # L applications of the whole group of k


def parse_stages(text: str) -> list[Stage]:
    """'4x1+4x4+4x1' -> [Stage(4, 1), Stage(4, 4), Stage(4, 1)]; ValueError for any other form."""
    stages = []
    for part in text.split('+'):
        match = re.fullmatch(r'\s*(\d+)x(\d+)\s*', part)
        if not match or int(match[1]) < 1 or int(match[2]) < 1:
            raise ValueError(f"stages={text!r} is not of the form kxL, such as 1x6, 6x1 or 4x1+4x4+4x1, "
                             "all at least 1")
        stages.append(Stage(layers=int(match[1]), loops=int(match[2])))
    return stages


def is_looped(stages: list[Stage]) -> bool:
    """Whether any stage loops: only such a string takes a loop count."""
    return any(stage.loops > 1 for stage in stages)


def with_loops(stages: list[Stage], n_loops: int | None) -> list[Stage]:
    """The stages with n_loops in place of every L > 1; None keeps the loops of the string."""
    if n_loops is None:
        return stages
    if not is_looped(stages):
        raise ValueError('these stages hold no loop, so they take no loop count')
    if n_loops < 0:
        raise ValueError(f'a stage cannot run {n_loops} times')
    return [Stage(stage.layers, n_loops if stage.loops > 1 else 1) for stage in stages]


def sweepable(stages: list[Stage]) -> bool:
    """Whether one loop count can stand for the string's own: all stages that loop do so equally often."""
    counts = {stage.loops for stage in stages if stage.loops > 1}
    return len(counts) == 1


def trained_loops(stages: list[Stage]) -> int:
    """The loop count that the string itself asks for: its largest L, 1 for a plain model."""
    return max(stage.loops for stage in stages)


def distinct_layers(stages: list[Stage]) -> int:
    """Blocks that hold parameters of their own: the sum of k."""
    return sum(stage.layers for stage in stages)


def effective_depth(stages: list[Stage]) -> int:
    """Block applications from input to output: the sum of k * L."""
    return sum(stage.layers * stage.loops for stage in stages)


@dataclass
class ModelConfig:
    # --- model
    stages: str = '1x6'              # kxL: k layers run L times; 6x1 is plain, 4x1+4x4+4x1 loops the middle
    vocab_size: int = 0              # tokens in the vocabulary; in training 0 takes what the task needs
    block_size: int = 0              # most tokens in a sequence; in training 0 takes what the task needs
    n_embd: int = 128                # width of the residual stream
    n_head: int = 8                  # attention heads
    head_size: int = 0               # width of a head; 0 takes n_embd / n_head
    n_ff: int = 0                    # width of the feed-forward layer; 0 takes 4 * n_embd
    activation: Literal['gelu', 'relu', 'geglu'] = 'gelu'           # gelu in its tanh form; geglu has a gate
    positions: Literal['rope', 'learned', 'none'] = 'rope'          # positional encoding
    norm: Literal['rmsnorm', 'layernorm', 'none'] = 'rmsnorm'       # before attention, feed-forward and head
    bias: bool = False               # biases in linear layers and layer norms
    tie_embeddings: bool = False     # the head shares the weights of the token embedding
    dropout: float = 0.0             # in training only
    init_std: float = 0.02           # of weights; residual branches get it / sqrt(2 * effective depth)
    # --- looping
    input_injection: bool = False    # looped stages add their input before every iteration
    norm_each_loop: bool = False     # the final norm ends every iteration, instead of coming once at the end
    checkpoint_loops: bool = False   # recompute activations in the backward pass: less memory, 1/3 more work

    def check(self):
        """Raises ValueError for values that make no model."""
        stages = parse_stages(self.stages)
        for name in ('n_embd', 'n_head'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name}={getattr(self, name)} must be at least 1')
        for name in ('vocab_size', 'block_size', 'head_size', 'n_ff'):
            if getattr(self, name) < 0:
                raise ValueError(f'{name}={getattr(self, name)} must not be negative')
        if not self.head_size and self.n_embd % self.n_head:
            raise ValueError(f'n_embd={self.n_embd} is not a multiple of n_head={self.n_head}')
        head_size = self.head_size or self.n_embd // self.n_head
        if self.positions == 'rope' and head_size % 2:
            raise ValueError(f'positions=rope needs an even head size, not {head_size}')
        if not 0 <= self.dropout < 1:
            raise ValueError(f'dropout={self.dropout} is not in [0, 1)')
        if not 0 < self.init_std < math.inf:
            raise ValueError(f'init_std={self.init_std} must be positive')
        if (self.input_injection or self.norm_each_loop) and not is_looped(stages):
            raise ValueError(f'stages={self.stages} holds no loop for input_injection or norm_each_loop')
