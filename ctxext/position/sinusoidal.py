"""Absolute sinusoidal positions, added at the input.

Shapes: B batch, S tokens, W model width.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ctxext.maths import rotary
from ctxext.places import Places
from ctxext.refusal import check_types, require
from ctxext.seams import Position


@dataclass(frozen=True)
class Sinusoidal(Position):
    """Sinusoidal table (Vaswani et al. 2017, 1706.03762): sin, cos of p x theta^(-2i/W) on embeddings x sqrt(W)."""

    theta: float

    def __post_init__(self) -> None:
        check_types(self, "position")
        require(self.theta > 1, f"position.theta must be above 1, got {self.theta}")

    def embed(self, x: Tensor, places: Places) -> Tensor:
        angles = places.positions.float()[..., None] * frequencies_on(x.device, self.theta, x.shape[-1])
        table = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)
        # Without the square root the table would drown small embeddings.
        return x * math.sqrt(x.shape[-1]) + table.to(x.dtype)

    def period(self) -> int:
        return 0


@lru_cache(maxsize=8)
def frequencies_on(device: torch.device, theta: float, width: int) -> Tensor:
    """Return the frequencies [W / 2] on `device`."""
    return rotary.frequencies(theta, width).to(device)
