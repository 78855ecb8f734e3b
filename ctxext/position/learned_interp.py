"""A learned table of positions, stretched over a longer text.

Shapes: B batch, S tokens, L rows, W model width.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ctxext.places import Places
from ctxext.position.learned import Learned, LearnedPart, check_positions, drawn_table
from ctxext.refusal import check_types, require
from ctxext.seams import Position, Sizes


@dataclass(frozen=True)
class LearnedInterp(Position):
    """Interpolated learned positions (for images: Dosovitskiy et al. 2020, 2010.11929): x + table at p (L-1) / (C-1).

    Both ends are aligned: position 0 has the first of the L = `num_positions` rows, position C - 1 the last, where C is
    `context_length`. A grid by the text's own length would change the past as the text grows.
    """

    num_positions: int
    context_length: int

    def __post_init__(self) -> None:
        check_types(self, "position")
        rows, length = self.num_positions, self.context_length
        require(rows > 0, f"position.num_positions must be above 0, got {rows}")
        require(
            length >= rows,
            f"position.context_length must be at least position.num_positions={rows}, got {length};"
            " use position=learned",
        )

    def base(self) -> Position:
        return Learned(self.num_positions)

    def off(self, length: int) -> Position:
        return replace(self, context_length=self.num_positions)

    def grown(self, sizes: Sizes, before: Position | None) -> Position:
        if isinstance(before, LearnedPart) and before.table.shape[0] == self.num_positions:
            return LearnedInterpPart(before.table, self.context_length)
        return LearnedInterpPart(drawn_table(self.num_positions, sizes.hidden_size), self.context_length)

    def limit(self) -> int:
        return self.context_length

    def period(self) -> int:
        return 0


class LearnedInterpPart(LearnedPart):
    """What is learned: `table` [L, W], the base's own where there is a base."""

    def __init__(self, table: nn.Parameter, context_length: int) -> None:
        super().__init__(table)
        self.context_length = context_length

    def embed(self, x: Tensor, places: Places) -> Tensor:
        option = "position=learned_interp"
        check_positions(places.positions, self.context_length, option, "choose a larger context_length")
        last, steps = self.table.shape[0] - 1, max(self.context_length - 1, 1)
        scaled = places.positions * last  # whole numbers, so that rows that are met are taken to the bit
        low = scaled // steps
        share = ((scaled % steps).float() / steps)[..., None]
        rows = torch.lerp(self.table[low], self.table[(low + 1).clamp(max=last)], share)
        return x + rows.to(x.dtype)
