"""Attention with linear biases.

Shapes: B batch, H heads, Q queries, K keys.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ctxext.places import Places, gaps
from ctxext.seams import Position


def slopes(num_heads: int) -> list[float]:
    """Return the slope of each head: 2^(-8h/H); H not a power of 2 takes every other slope of the next higher power."""
    power = 1 << (num_heads.bit_length() - 1)
    geometric = [2.0 ** (-8.0 * head / power) for head in range(1, power + 1)]
    between = [2.0 ** (-8.0 * head / (2 * power)) for head in range(1, 2 * power, 2)]
    return geometric + between[: num_heads - power]


@lru_cache(maxsize=8)
def slopes_on(device: torch.device, num_heads: int) -> Tensor:
    """Return the slopes [H] on `device`."""
    return torch.tensor(slopes(num_heads), device=device)


@dataclass(frozen=True)
class Alibi(Position):
    """ALiBi (Press et al. 2021, 2108.12409): a logit loses slope x distance; nothing is embedded or rotated."""

    def bias(self, queries: Places, keys: Places, num_heads: int) -> Tensor:
        falling = -self.slopes(num_heads, queries.positions.device)
        return falling[:, None, None] * gaps(queries, keys).float()

    def slopes(self, num_heads: int, device: torch.device) -> Tensor:
        return slopes_on(device, num_heads)
