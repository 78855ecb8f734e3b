"""CoPE: positions that are counted by content.

Shapes: B batch, H heads, Q queries, K keys, D head width, P positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ctxext.refusal import check_types, require
from ctxext.seams import Position, Sizes


@dataclass(frozen=True)
class Cope(Position):
    """Contextual position encoding (Golovneva et al. 2024, 2405.18719): a logit opens the gate that counts its key.

    A key's position is the sum of the gates sigma(z) from it to the query, up to `num_positions` - 1; the logit gains
    q . e at this position, between whole ones by interpolation. Every layer learns e, for all its heads, from 0 on.
    """

    num_positions: int

    def __post_init__(self) -> None:
        check_types(self, "position")
        require(self.num_positions >= 2, f"position.num_positions must be at least 2, got {self.num_positions}")

    def grown(self, sizes: Sizes, before: Position | None) -> Position:
        return CopePart(self.num_positions, sizes)


class CopePart(nn.Module, Position):
    """What the layers learn."""

    def __init__(self, num_positions: int, sizes: Sizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList(CopeLayer(num_positions, sizes.head_dim) for _ in range(sizes.num_hidden_layers))

    def layer(self, index: int, count: int) -> Position:
        layer: CopeLayer = self.layers[index]  # type: ignore[assignment]
        return layer


class CopeLayer(nn.Module, Position):
    """What one layer learns: `table` [P, D]."""

    def __init__(self, num_positions: int, head_dim: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(num_positions, head_dim))

    def products(self, width: int) -> int:
        return self.table.shape[0] * width

    def contextual_bias(self, q: Tensor, logits: Tensor, visible: Tensor) -> Tensor:
        with torch.autocast(q.device.type, enabled=False):
            # Shut before they are summed, or gates of the future would count.
            gates = logits.float().sigmoid() * visible
            counts = gates.flip(-1).cumsum(-1).flip(-1).clamp(max=self.table.shape[0] - 1)
            scores = q.float() @ self.table.float().T
            low = counts.floor()
            below, above = (scores.gather(-1, whole.long()) for whole in (low, counts.ceil()))
            return torch.lerp(below, above, counts - low)
