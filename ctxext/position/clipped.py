"""Clipped rotation: the slowest pairs taper off to none.

Shapes: D head width.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ctxext.position.rope import Rope
from ctxext.refusal import require


@dataclass(frozen=True)
class ClippedRope(Rope):
    """Clipped RoPE, CoPE in the paper (Li et al. 2026, 2602.05258): a share of the pairs, the slowest, is tapered.

    The j-th of these k pairs turns at 1/2 (1 + cos(pi j / (k - 1))) of its frequency: the first as ever, the last
    never. k is `share` of the pairs, rounded, and at least 2, so that the slowest stands still.
    """

    share: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.share <= 1, f"position.share must be above 0 and at most 1, got {self.share}")

    def frequencies(self, width: int) -> Tensor:
        require(width > 2, f"position=clipped_rope needs model.head_dim above 2, got {width}")
        tapered = max(2, round(self.share * width / 2))
        taper = 0.5 * (1 + torch.cos(math.pi * torch.arange(tapered, dtype=torch.float64) / (tapered - 1)))
        taper[-1] = 0
        frequencies = super().frequencies(width)
        frequencies[-tapered:] *= taper.float()
        return frequencies
