"""A learned table of absolute positions, added at the input.

Shapes: B batch, S tokens, L rows, W model width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ctxext.places import Places
from ctxext.refusal import check_types, require
from ctxext.seams import Position, Sizes

DEVIATION = 0.02
"""Of the initial rows, as in GPT-2."""


@dataclass(frozen=True)
class Learned(Position):
    """Learned positions as in GPT-2 (Gehring et al. 2017, 1705.03122): x + table[p], for p below `num_positions`."""

    num_positions: int

    def __post_init__(self) -> None:
        check_types(self, "position")
        require(self.num_positions > 0, f"position.num_positions must be above 0, got {self.num_positions}")

    def grown(self, sizes: Sizes, before: Position | None) -> Position:
        return LearnedPart(drawn_table(self.num_positions, sizes.hidden_size))

    def limit(self) -> int:
        return self.num_positions

    def period(self) -> int:
        return 0


class LearnedPart(nn.Module, Position):
    """What is learned: `table` [L, W]."""

    def __init__(self, table: nn.Parameter) -> None:
        super().__init__()
        self.table = table

    def embed(self, x: Tensor, places: Places) -> Tensor:
        check_positions(places.positions, self.table.shape[0], "position=learned", "use position=learned_interp")
        return x + self.table[places.positions].to(x.dtype)


def drawn_table(rows: int, width: int) -> nn.Parameter:
    """Return a fresh table [rows, width]."""
    return nn.Parameter(DEVIATION * torch.randn(rows, width))


def check_positions(positions: Tensor, limit: int, option: str, remedy: str) -> None:
    """Refuse `positions` from `limit` on, where the `option` has no row; `remedy` says what would do."""
    last = int(positions.max())  # once a pass: on a device, an index too large would end the process
    require(
        last < limit, f"{option} has rows for positions below {limit}, and a text reaches position {last}; {remedy}"
    )
