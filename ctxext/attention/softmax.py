"""Softmax attention, and the form of all that rearrange its pairs or scale its logits.

Shapes: B batch, H heads, Q queries, D head width.
"""

from dataclasses import dataclass

from torch import Tensor

from ctxext.kernels.gather import gather
from ctxext.places import Places
from ctxext.seams import Attention, Heads, Mask, Position, View


@dataclass(frozen=True)
class Softmax(Attention):
    """Scaled dot-product attention (Vaswani et al. 2017, 1706.03762)."""

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        views = self.views(mask)
        scale = self.scale(queries, keys, views)
        return gather(heads.q, heads.k, heads.v, queries, keys, views, position, scale)

    def scored(self, mask: Mask) -> tuple[View, ...]:
        return self.views(mask)

    def views(self, mask: Mask) -> tuple[View, ...]:
        """Return the views of `mask` as this mechanism scores them."""
        return mask.views()

    def scale(self, queries: Places, keys: Places, views: tuple[View, ...]) -> Tensor | None:
        """Return what the logits of each query are multiplied by, [1 or B, 1 or H, Q], or None for nothing."""
        return None
