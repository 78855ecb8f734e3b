"""Positions as digits, each on rotary pairs of its own: a token stands on a grid.

Shapes: B batch, H heads, S tokens, D head width.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ctxext.places import Places
from ctxext.position.rope import Rope
from ctxext.refusal import require


@dataclass(frozen=True)
class GridRope(Rope):
    """Rotation by digits, as in HiRoPE (Zhang et al. 2024, 2403.19115): a position counts `dims` digits of `radix`.

    Pair i turns by digit i mod `dims`, the lowest first, at the frequency that it has in plain rotation; the top digit
    has no end. A distance is seen as the difference of the digits, so that carries make it depend on the place.
    """

    radix: int
    dims: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.radix > 1, f"position.radix must be at least 2, got {self.radix}")
        require(self.dims > 1, f"position.dims must be at least 2 digits, got {self.dims}; one is position=rope")

    def turns(self, places: Places, width: int) -> Tensor:
        pairs = width // 2
        require(pairs >= self.dims, f"position.dims={self.dims} digits need as many pairs, and there are {pairs}")
        digits = self.digits(places.positions)
        return digits[..., torch.arange(pairs, device=digits.device) % self.dims]

    def digits(self, positions: Tensor) -> Tensor:
        """Return the digits of `positions` [B, S], lowest first [B, S, dims]; those of -n are those of n, negated."""
        powers = powers_on(positions.device, self.radix, self.dims)
        quotients = torch.div(positions[..., None], powers, rounding_mode="trunc")
        return torch.cat((quotients[..., :-1].fmod(self.radix), quotients[..., -1:]), dim=-1)

    def base(self) -> Rope:
        return self

    def period(self) -> int:
        return int(self.radix ** (self.dims - 1))


@lru_cache(maxsize=8)
def powers_on(device: torch.device, radix: int, count: int) -> Tensor:
    """Return the first `count` powers of `radix` [count], from 1 on, on `device`."""
    return torch.tensor([radix**power for power in range(count)], device=device)
