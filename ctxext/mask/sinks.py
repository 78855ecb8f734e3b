"""Attention sinks with keys re-indexed.

Shapes: B batch, Q queries, K keys, S tokens.
"""

from dataclasses import dataclass, replace

from torch import Tensor

from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places, distances
from ctxext.refusal import check_types, require
from ctxext.seams import Mask, Reach, View


@dataclass(frozen=True)
class Sinks(Mask):
    """StreamingLLM (Xiao et al. 2023, 2309.17453): the first `sinks` tokens and the last `window`, at cache distances.

    A recent key keeps its distance; a sink j is scored as if it stood right before the window, at distance
    min(q, sinks + window - 1) - j. The bare mask without this re-indexing is not the method.
    """

    window: int
    sinks: int

    def __post_init__(self) -> None:
        check_types(self, "mask")
        require(self.window >= 1, f"mask.window must be at least 1 token, got {self.window}")
        require(self.sinks >= 1, f"mask.sinks must be at least 1 token, got {self.sinks}")

    def views(self) -> tuple[View, ...]:
        recent = SlidingWindow(self.window).views()
        return (
            *recent,
            View(
                self.visible,
                Reach("head", self.sinks, beyond=self.window, is_full=True),
                turn_queries=self.slot,
                turn_keys=self.ordinals,
            ),
        )

    def visible(self, queries: Places, keys: Places) -> Tensor:
        """Return bool [B, 1, Q, K]: the key is a sink that the window has left behind."""
        return (distances(queries, keys) >= self.window) & (keys.ordinals < self.sinks)[:, None, None, :]

    def slot(self, queries: Places) -> Tensor:
        """Return the cache slot [B, S] at which each query stands."""
        return queries.ordinals.clamp(max=self.sinks + self.window - 1)

    def ordinals(self, keys: Places) -> Tensor:
        """Return the cache slot [B, S] at which each sink stands: its place in the document."""
        return keys.ordinals

    def base(self) -> Mask:
        return IntraDocument()

    def off(self, length: int) -> Mask:
        return replace(self, window=length)
