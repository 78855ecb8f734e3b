"""The mask shaped like a Lambda, with a ceiling on distances.

Shapes: B batch, Q queries, K keys, S tokens.
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
class LambdaMask(Mask):
    """LM-Infinite (Han et al. 2023, 2308.16137): the first `global_tokens` and the last `window` tokens.

    A first token that the window has left behind is scored at distance `window`, the ceiling; without it this is
    another method.
    """

    window: int
    global_tokens: int

    def __post_init__(self) -> None:
        check_types(self, "mask")
        require(self.window >= 1, f"mask.window must be at least 1 token, got {self.window}")
        require(self.global_tokens >= 1, f"mask.global_tokens must be at least 1 token, got {self.global_tokens}")

    def views(self) -> tuple[View, ...]:
        reach = Reach("head", self.global_tokens, beyond=self.window, is_full=True)
        far = View(self.visible, reach, turn_queries=self.ceiling, turn_keys=self.ground)
        return (*SlidingWindow(self.window).views(), far)

    def visible(self, queries: Places, keys: Places) -> Tensor:
        """Return bool [B, 1, Q, K]: the key is among the first tokens and the window has left it behind."""
        return (distances(queries, keys) >= self.window) & (keys.ordinals < self.global_tokens)[:, None, None, :]

    def ceiling(self, queries: Places) -> Tensor:
        """Return where every query stands when it meets the first tokens [B, S]."""
        return torch.full_like(queries.positions, self.window)

    def ground(self, keys: Places) -> Tensor:
        """Return where all first tokens stand [B, S]."""
        return torch.zeros_like(keys.positions)

    def base(self) -> Mask:
        return IntraDocument()

    def off(self, length: int) -> Mask:
        return replace(self, window=length)
