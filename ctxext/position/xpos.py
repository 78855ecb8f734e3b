"""xPos: rotation, and a decay with the distance that is the slower the slower a pair turns.

Shapes: B batch, H heads, G key-value heads, S tokens, D head width.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ctxext.places import Places
from ctxext.position.rope import Rope
from ctxext.refusal import require

GAMMA = 0.4
STEEPEST = 80.0
"""The largest power of e that a head is multiplied by: float32 and bfloat16 hold it, with room for the head itself."""


@dataclass(frozen=True)
class XPos(Rope):
    """xPos (Sun et al. 2022, 2212.10554): logits of pair i fall by zeta_i^(distance / scale_base), and rotate.

    zeta_i = (2i + 0.4 D) / 1.4 D. Queries are multiplied by zeta^((p - centre) / scale_base) and keys by its inverse.
    The centre, half of the document, is the same for both and cancels; it only keeps the powers small.
    """

    scale_base: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.scale_base > 0, f"position.scale_base must be above 0, got {self.scale_base}")

    def rotate(self, heads: Tensor, places: Places) -> Tensor:
        return self.scaled(super().rotate(heads, places), places, 1)

    def rotate_keys(self, heads: Tensor, places: Places) -> Tensor:
        return self.scaled(super().rotate(heads, places), places, -1)

    def scaled(self, heads: Tensor, places: Places, sign: int) -> Tensor:
        """Return `heads` [B, H, S, D] multiplied by zeta^(sign (p - centre) / scale_base)."""
        steps = (places.positions - places.lengths / 2) * (sign / self.scale_base)
        powers = steps.float()[..., None] * log_decays_on(heads.device, heads.shape[-1])
        scale = powers.clamp(-STEEPEST, STEEPEST).exp().repeat(1, 1, 2)[:, None]
        return (heads.float() * scale).to(heads.dtype)

    def base(self) -> Rope:
        return self

    def limit(self) -> int:
        """Return the length at whose ends the steepest pair reaches what a head can be multiplied by."""
        steepest = math.log((1 + GAMMA) / GAMMA)
        return int(2 * STEEPEST * self.scale_base / steepest)


def decays(width: int) -> Tensor:
    """Return zeta of each pair [width / 2], rising towards 1."""
    return (torch.arange(0, width, 2).float() + GAMMA * width) / ((1 + GAMMA) * width)


@lru_cache(maxsize=8)
def log_decays_on(device: torch.device, width: int) -> Tensor:
    """Return ln zeta of each pair [width / 2] on `device`."""
    return decays(width).log().to(device)
