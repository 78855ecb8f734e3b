"""CoPE: positions that are counted by content.

Shapes: B batch, H heads, Q queries, K keys, D head width, P positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

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
            scores = q.float() @ self.table.float().T
            found: Tensor = Counted.apply(scores, logits.float(), visible)  # type: ignore[no-untyped-call]
            return found


class Counted(torch.autograd.Function):
    """From `scores` [B, H, Q, P] of all positions to those at which `logits` [B, H, Q, K] count the `visible` keys.

    By hand, since a step spends most of its time on passes over all pairs, of which autograd makes twice as many.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, logits: Tensor, visible: Tensor) -> Tensor:
        """Return the interpolated scores [B, H, Q, K]."""
        # Shut before they are summed, or gates of the future would count.
        gates = logits.sigmoid().mul_(visible)
        counts = gates.flip(-1).cumsum_(-1).flip(-1).clamp_(max=scores.shape[-1] - 1)
        low = counts.long()
        share = counts.sub_(low)
        steps = pad(scores.diff(dim=-1), (0, 1)).gather(-1, low)
        ctx.save_for_backward(gates, low, share, steps)
        ctx.count = scores.shape[-1]
        return scores.gather(-1, low).addcmul_(share, steps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """Return the gradients of scores and logits."""
        gates, low, share, steps = ctx.saved_tensors
        of_steps = gradient * share
        of_scores, of_next = (
            part.new_zeros(*part.shape[:-1], ctx.count).scatter_add_(-1, low, part)
            for part in (gradient - of_steps, of_steps)
        )
        of_scores[..., 1:] += of_next[..., :-1]
        # Beyond the last position there are no steps, so that what is cut off takes no gradient.
        of_gates = (gradient * steps).cumsum_(-1)
        return of_scores, of_gates.mul_(gates).mul_(1 - gates), None
