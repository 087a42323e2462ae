"""The stage string, one notation for every model: '1x6', '6x1', '4x1+4x4+4x1' (A, Sec. 2 and 3).

A stage is k distinct blocks applied L times in a row, written kxL; stages joined by '+' follow each other.
This file needs no torch, so that a bad string is reported before torch is imported.
"""
import re
from typing import NamedTuple


class Stage(NamedTuple):
    layers: int  # k distinct blocks
    loops: int   # L applications of the whole group of k


def parse_stages(text: str) -> list[Stage]:
    """'4x1+4x4+4x1' -> [Stage(4, 1), Stage(4, 4), Stage(4, 1)]; ValueError for any other form."""
    parts = [re.fullmatch(r'\s*(\d+)x(\d+)\s*', part) for part in text.split('+')]
    if not all(parts) or any(int(number) < 1 for part in parts for number in part.groups()):
        raise ValueError(f"stages={text!r} is not of the form kxL, such as 1x6, 6x1 or 4x1+4x4+4x1, "
                         "all at least 1")
    return [Stage(int(part[1]), int(part[2])) for part in parts]


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
    return len({stage.loops for stage in stages if stage.loops > 1}) == 1


def trained_loops(stages: list[Stage]) -> int:
    """The loop count that the string itself asks for: its largest L, 1 for a plain model."""
    return max(stage.loops for stage in stages)


def distinct_layers(stages: list[Stage]) -> int:
    """Blocks that hold parameters of their own: the sum of k."""
    return sum(stage.layers for stage in stages)


def effective_depth(stages: list[Stage]) -> int:
    """Block applications from input to output: the sum of k * L."""
    return sum(stage.layers * stage.loops for stage in stages)
