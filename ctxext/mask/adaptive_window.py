"""A window that grows with what stands before the token.

Shapes: B batch, Q queries, K keys.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places, distances
from ctxext.refusal import check_types, require
from ctxext.seams import Mask, Reach, View


@dataclass(frozen=True)
class AdaptiveWindow(Mask):
    """The n-th token sees the last ceil(L (n / L)^gamma) tokens, and all up to the trained length L.

    With gamma 0 it is a window of L, with gamma 1 the causal mask. The window follows n, the query's own count, and not
    the length of the text, so that appended tokens change nothing before them.
    """

    trained_length: int
    gamma: float

    def __post_init__(self) -> None:
        check_types(self, "mask")
        require(self.trained_length >= 1, f"mask.trained_length must be at least 1 token, got {self.trained_length}")
        require(0 <= self.gamma <= 1, f"mask.gamma must be from 0 to 1, got {self.gamma}")

    def views(self) -> tuple[View, ...]:
        if self.gamma == 1:
            return IntraDocument().views()
        near = SlidingWindow(self.trained_length).views()
        far = View(self.visible, Reach("causal", beyond=self.trained_length))
        return (*near, far) if self.gamma else near

    def visible(self, queries: Places, keys: Places) -> Tensor:
        """Return bool [B, 1, Q, K]: the key is farther than the trained length, and in the query's window."""
        distance, widths = distances(queries, keys), self.widths(queries.ordinals + 1)
        return (distance >= self.trained_length) & (distance < widths[:, None, :, None])

    def widths(self, counts: Tensor) -> Tensor:
        """Return the window of the n-th token for each n of `counts`, in tokens."""
        widths = self.trained_length * (counts.double() / self.trained_length) ** self.gamma
        # A power that should be whole may come out a rounding error above it.
        return torch.where(counts > self.trained_length, (widths * (1 - 1e-12)).ceil().long(), counts)

    def base(self) -> Mask:
        return IntraDocument()

    def off(self, length: int) -> Mask:
        return replace(self, gamma=1.0)
