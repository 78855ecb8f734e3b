"""T5's learned bias: one number for each head and each bucket of distances.

Shapes: B batch, H heads, Q queries, K keys.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from ctxext.places import Places, gaps
from ctxext.refusal import check_types, require
from ctxext.seams import Position, Sizes

DEVIATION = 0.02
"""Of the initial biases, which are drawn small, so that a fresh model hardly tells distances apart."""


def edges(num_buckets: int, max_distance: int) -> list[int]:
    """Return the first distance of every bucket but the first.

    Half of the buckets hold one distance each, from 0 on; the others grow evenly in the logarithm up to `max_distance`,
    and the last holds all beyond. Reckoned in whole numbers, since a logarithm in floating point may miss an edge.
    """
    exact = num_buckets // 2
    steps, first = num_buckets - exact, exact
    found = list(range(1, exact + 1))
    for step in range(1, steps):
        # The least distance d with (d / exact)^steps >= (max_distance / exact)^step.
        while first**steps * exact**step < max_distance**step * exact**steps:
            first += 1
        found.append(first)
    return found


@dataclass(frozen=True)
class T5Bias(Position):
    """Relative position bias (Raffel et al. 2019, 1910.10683): z + b_h[bucket(distance)], shared by all layers.

    T5 leaves out the 1 / sqrt(D) on its logits; here they keep it.
    """

    num_buckets: int
    max_distance: int

    def __post_init__(self) -> None:
        check_types(self, "position")
        count, farthest = self.num_buckets, self.max_distance
        require(count >= 2 and count % 2 == 0, f"position.num_buckets must be even and at least 2, got {count}")
        require(
            farthest > count // 2,
            f"position.max_distance must be above half of position.num_buckets={count}, got {farthest}",
        )

    def grown(self, sizes: Sizes, before: Position | None) -> Position:
        return T5BiasPart(self, sizes.num_attention_heads)


class T5BiasPart(nn.Module, Position):
    """What all layers learn together: `table` [buckets, H]."""

    edges: Tensor

    def __init__(self, settings: T5Bias, num_heads: int) -> None:
        super().__init__()
        self.table = nn.Parameter(DEVIATION * torch.randn(settings.num_buckets, num_heads))
        first = torch.tensor(edges(settings.num_buckets, settings.max_distance))
        self.register_buffer("edges", first, persistent=False)

    def bias(self, queries: Places, keys: Places, num_heads: int) -> Tensor:
        buckets = torch.bucketize(gaps(queries, keys)[:, 0], self.edges, right=True)
        return embedding(buckets, self.table).permute(0, 3, 1, 2)
