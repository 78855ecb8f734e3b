"""Rotary encodings that turn a share of each head, and leave the rest without positions: two different models.

Shapes: B batch, H heads, S tokens, D head width.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ctxext.maths import rotary
from ctxext.places import Places
from ctxext.position.rope import Rope
from ctxext.refusal import require


@dataclass(frozen=True)
class PartialRope(Rope):
    """Partial rotation (Black et al. 2022, 2204.06745): the first `partial_rotary_factor` x D dimensions turn.

    Frequencies are those of a head of that width; the other dimensions are the same at every position.
    """

    partial_rotary_factor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_share(self.partial_rotary_factor)

    def frequencies(self, width: int) -> Tensor:
        """Return the radians a token of each pair that turns."""
        rotated = self.partial_rotary_factor * width
        require(
            rotated >= 2 and rotated % 2 == 0,
            f"position.partial_rotary_factor x model.head_dim={width} must be an even number, got {rotated:g}",
        )
        return rotary.frequencies(self.rope_theta, int(rotated))

    def rotate(self, heads: Tensor, places: Places) -> Tensor:
        waves = self.waves(places, heads)
        rotated = 2 * waves.cosine.shape[-1]
        return torch.cat((rotary.turn(heads[..., :rotated], waves), heads[..., rotated:]), dim=-1)

    def base(self) -> Rope:
        return self


@dataclass(frozen=True)
class PRope(Rope):
    """p-RoPE (Barbero et al. 2024, 2410.06205): of the pairs, only `partial_rotary_factor` turn, the fastest.

    Frequencies are those of a whole head. The slowest pairs, which drift with the distance, stand still.
    """

    partial_rotary_factor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_share(self.partial_rotary_factor)

    def frequencies(self, width: int) -> Tensor:
        kept = int(self.partial_rotary_factor * width // 2)
        require(
            kept > 0,
            f"position.partial_rotary_factor={self.partial_rotary_factor:g} turns no pair of model.head_dim={width};"
            f" it must be at least {2 / width:g}",
        )
        frequencies = super().frequencies(width)
        frequencies[kept:] = 0
        return frequencies

    def off(self, length: int) -> "PRope":
        return replace(self, partial_rotary_factor=1.0)


def require_share(share: float) -> None:
    """Refuse a `share` of a head that is none, or more than all of it."""
    require(0 < share <= 1, f"position.partial_rotary_factor must be above 0 and at most 1, got {share}")
