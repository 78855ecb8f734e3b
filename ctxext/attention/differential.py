"""Differential attention: one softmax minus another, so that what both look at in vain is cancelled.

Shapes: B batch, H heads, G key-value heads, Q queries, D head width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm

from ctxext.kernels.gather import gather
from ctxext.kernels.norm import at_least_float32
from ctxext.places import Places
from ctxext.refusal import check_types, require
from ctxext.seams import Attention, Heads, Mask, Position, Sizes, View, Work

DEVIATION = 0.1
"""Of the vectors that lambda is made from, when they are drawn."""


@dataclass(frozen=True)
class Differential(Attention):
    """Differential attention (Ye et al. 2024, 2410.05258) as in DiffLlama: heads h and h + H/2 are a pair.

    A pair reads the values of two key-value heads, g and g + G/2, by softmax of h less lambda times softmax of h + H/2;
    what it gathers is divided by its root mean square (`rms_norm_eps` is added to the square) and multiplied by
    1 - l, where l = 0.8 - 0.6 e^(-0.3 layer). lambda = e^(q1 . k1) - e^(q2 . k2) + l; q1, k1, q2, k2 are learned.
    """

    rms_norm_eps: float

    def __post_init__(self) -> None:
        check_types(self, "attention")
        require(self.rms_norm_eps > 0, f"attention.rms_norm_eps must be above 0, got {self.rms_norm_eps}")

    def grown(self, sizes: Sizes, before: Attention | None) -> Attention:
        groups = sizes.num_key_value_heads
        require(
            groups % 2 == 0,
            f"attention=differential pairs heads: model.num_key_value_heads must be even, got {groups};"
            " use an even number, or attention=softmax",
        )
        return DifferentialPart(self.rms_norm_eps, sizes)


def initial_lambda(layer: int) -> float:
    """Return the lambda that layer `layer` begins near: 0.8 - 0.6 e^(-0.3 layer)."""
    return 0.8 - 0.6 * math.exp(-0.3 * layer)


class DifferentialPart(nn.Module, Attention):
    """What the layers learn."""

    def __init__(self, epsilon: float, sizes: Sizes) -> None:
        super().__init__()
        count, width = sizes.num_hidden_layers, sizes.head_dim
        self.layers = nn.ModuleList(DifferentialLayer(epsilon, initial_lambda(i), width) for i in range(count))

    def layer(self, index: int, count: int) -> Attention:
        layer: DifferentialLayer = self.layers[index]  # type: ignore[assignment]
        return layer


class DifferentialLayer(nn.Module, Attention):
    """The vectors [D] that the lambda of one layer is made from; their names are DiffLlama's."""

    def __init__(self, epsilon: float, initial: float, width: int) -> None:
        super().__init__()
        self.epsilon, self.initial = epsilon, initial
        self.lambda_q1, self.lambda_k1, self.lambda_q2, self.lambda_k2 = (
            nn.Parameter(torch.randn(width) * DEVIATION) for _ in range(4)
        )

    def subtracted(self) -> Tensor:
        """Return lambda [], float32."""
        # Not `@`, which autocast makes in bfloat16.
        first = (self.lambda_q1 * self.lambda_k1).sum().exp()
        second = (self.lambda_q2 * self.lambda_k2).sum().exp()
        return first - second + self.initial

    def scored(self, mask: Mask) -> tuple[View, ...]:
        return mask.views()

    def work(self, mask: Mask, length: int, width: int) -> Work:
        return Work(tuple((view, 3 * width) for view in mask.views()))  # the values are those of two heads

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        views = mask.views()
        halves = [
            gather(heads.q, heads.k, torch.cat((values, values), dim=1), queries, keys, views, position, None)
            for values in heads.v.chunk(2, dim=1)
        ]
        one, other = at_least_float32(torch.cat(halves, dim=-1)).chunk(2, dim=1)
        rest = one - self.subtracted() * other
        normal = rms_norm(rest, rest.shape[-1:], eps=self.epsilon) * (1 - self.initial)
        # A pair's 2 D numbers stand where the heads 2 h and 2 h + 1 would.
        parted = torch.stack(normal.chunk(2, dim=-1), dim=2).flatten(1, 2)
        return parted.to(heads.v.dtype)
