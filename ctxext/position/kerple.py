"""KERPLE: kernels of the distance with two learned numbers for each head.

Shapes: B batch, H heads, Q queries, K keys.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ctxext.places import Places, gaps
from ctxext.refusal import check_types, require
from ctxext.seams import Position, Sizes

KINDS = ("log", "power")
LEAST = 0.01
"""Of the initial rates: at 0 the gradient of a softplus vanishes."""


@dataclass(frozen=True)
class Kerple(Position):
    """KERPLE (Chi et al. 2022, 2205.09921): z - r1 ln(1 + r2 distance), or, with kind `power`, z - r1 distance^r2.

    Each head of each layer learns its r1 and r2. The reference clamps them inside the forward pass, where they then
    stall; here r1, and r2 of the logarithm, are the softplus of what is learned, and the exponent is 2 sigma of it.
    """

    kind: str

    def __post_init__(self) -> None:
        check_types(self, "position")
        require(self.kind in KINDS, f"position.kind must be {' or '.join(KINDS)}, got {self.kind!r}")

    def grown(self, sizes: Sizes, before: Position | None) -> Position:
        return KerplePart(self.kind, sizes)


class KerplePart(nn.Module, Position):
    """What the layers learn."""

    def __init__(self, kind: str, sizes: Sizes) -> None:
        super().__init__()
        layer = LogKernel if kind == "log" else PowerKernel
        self.layers = nn.ModuleList(layer(sizes.num_attention_heads) for _ in range(sizes.num_hidden_layers))

    def layer(self, index: int, count: int) -> Position:
        layer: Position = self.layers[index]  # type: ignore[assignment]
        return layer


class LogKernel(nn.Module, Position):
    """What one layer learns: `scale` and `rate` [H], each before its softplus; drawn as U(0, 2) and U(0, 1)."""

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(before_softplus(2 * torch.rand(num_heads)))
        self.rate = nn.Parameter(before_softplus(torch.rand(num_heads)))

    def bias(self, queries: Places, keys: Places, num_heads: int) -> Tensor:
        scale, rate = (softplus(part.float())[:, None, None] for part in (self.scale, self.rate))
        return -scale * torch.log1p(rate * distance(queries, keys))


class PowerKernel(nn.Module, Position):
    """What one layer learns [H]: `scale` before its softplus, `exponent` before 2 sigma: at first U(0, 1), U(0, 2)."""

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(before_softplus(torch.rand(num_heads)))
        self.exponent = nn.Parameter(torch.logit(torch.rand(num_heads), eps=LEAST))

    def bias(self, queries: Places, keys: Places, num_heads: int) -> Tensor:
        scale, exponent = softplus(self.scale.float()), 2 * self.exponent.float().sigmoid()
        return -scale[:, None, None] * distance(queries, keys) ** exponent[:, None, None]


def distance(queries: Places, keys: Places) -> Tensor:
    """Return how far each key stands before each query, float32 [B, 1, Q, K]; 0 in the future, which has no kernel."""
    return gaps(queries, keys).clamp(min=0).float()


def before_softplus(rates: Tensor) -> Tensor:
    """Return what the softplus turns into `rates`, or into `LEAST` where these are less."""
    return rates.clamp(min=LEAST).expm1().log()
