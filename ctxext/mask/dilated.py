"""Windows with holes, by head.

Shapes: H heads, Q queries, K keys.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor, nn

from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places, distances
from ctxext.refusal import check_types, require
from ctxext.seams import Mask, Reach, Sizes, View


@dataclass(frozen=True)
class Dilated(Mask):
    """Dilated windows (Longformer, 2004.05150): each head sees `window` tokens, every r-th one up to its own.

    The `dilations` r are dealt to the heads in turn.
    """

    window: int
    dilations: list[int]

    def __post_init__(self) -> None:
        check_types(self, "mask")
        require(self.window >= 1, f"mask.window must be at least 1 token, got {self.window}")
        rising = len(self.dilations) > 0 and min(self.dilations) >= 1
        require(rising, f"mask.dilations must be one or more numbers of at least 1, got {self.dilations}")
        without = f"mask.dilations={self.dilations} have no 1, so that no token could ever learn of the one before it"
        require(1 in self.dilations, f"{without}; put a 1 among them")

    def views(self) -> tuple[View, ...]:
        widest = max(self.dilations)
        if widest == 1:
            return SlidingWindow(self.window).views()
        return (View(self.visible, Reach("band", (self.window - 1) * widest + 1)),)

    def visible(self, queries: Places, keys: Places) -> Tensor:
        """Return bool [1, H, Q, K]: the key is in the query's window and on its grid."""
        distance = distances(queries, keys)
        dilation = dilations_on(distance.device, tuple(self.dilations))
        return (distance >= 0) & (distance < self.window * dilation) & (distance % dilation == 0)

    def grown(self, sizes: Sizes, before: Mask | None) -> Mask:
        count = sizes.num_attention_heads
        return DilatedHeads(replace(self, dilations=(list(self.dilations) * count)[:count]))

    def base(self) -> Mask:
        return IntraDocument()

    def off(self, length: int) -> Mask:
        return Dilated(length, [1])


class DilatedHeads(nn.Module, Mask):
    """The mask with a dilation for each head."""

    def __init__(self, mask: Dilated) -> None:
        super().__init__()
        self.mask = mask

    def views(self) -> tuple[View, ...]:
        return self.mask.views()


@lru_cache(maxsize=8)
def dilations_on(device: torch.device, dilations: tuple[int, ...]) -> Tensor:
    """Return the `dilations` [H, 1, 1] on `device`."""
    return torch.tensor(dilations, device=device)[:, None, None]
