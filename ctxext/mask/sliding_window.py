"""The sliding window.

Shapes: Q queries, K keys.
"""

from dataclasses import dataclass, replace

from torch import Tensor

from ctxext.mask.document import IntraDocument
from ctxext.places import Places, distances
from ctxext.refusal import check_types, require
from ctxext.seams import Mask, Reach, View


@dataclass(frozen=True)
class SlidingWindow(Mask):
    """A token sees the last `window` tokens, its own counted (Longformer, 2004.05150; Mistral, 2310.06825)."""

    window: int

    def __post_init__(self) -> None:
        check_types(self, "mask")
        require(self.window >= 1, f"mask.window must be at least 1 token, got {self.window}")

    def views(self) -> tuple[View, ...]:
        return (View(self.visible, Reach("band", self.window, is_whole=True, is_full=True)),)

    def visible(self, queries: Places, keys: Places) -> Tensor:
        """Return bool [1, 1, Q, K]: the key is one of the last `window` up to the query."""
        distance = distances(queries, keys)
        return (distance >= 0) & (distance < self.window)

    def base(self) -> Mask:
        return IntraDocument()

    def off(self, length: int) -> Mask:
        return replace(self, window=length)
