"""Root-mean-square normalisation whose backward reuses the forward's normalised rows.

Shapes: ... any leading axes, W width.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def at_least_float32(x: Tensor) -> Tensor:
    """Return `x` in float32, or as it is where it is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class Normalise(torch.autograd.Function):
    """weight x / rms(x), keeping what the backward needs and no more (docs/decisions/rms_norm.md)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        exact = at_least_float32(x)
        reciprocal = torch.rsqrt(exact.square().mean(dim=-1, keepdim=True) + epsilon)
        normal = (exact * reciprocal).to(x.dtype)
        ctx.save_for_backward(normal, reciprocal, weight)
        return normal * weight.to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        normal, reciprocal, weight = ctx.saved_tensors
        at_normal = gradient * weight.to(gradient.dtype)
        along = at_least_float32(at_normal * normal).mean(dim=-1, keepdim=True)
        at_x = ((at_least_float32(at_normal) - normal * along) * reciprocal).to(gradient.dtype)
        at_weight = at_least_float32(gradient * normal).reshape(-1, weight.shape[0]).sum(dim=0).to(weight.dtype)
        return at_x, at_weight, None


class RmsNorm(nn.Module):
    """RMSNorm (Zhang and Sennrich 2019, 1910.07467) over the last axis of `width`."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` [..., W] over its root mean square, times the weight."""
        normalised: Tensor = Normalise.apply(x, self.weight, self.epsilon)  # type: ignore[no-untyped-call]
        return normalised


class FineRmsNorm(RmsNorm):
    """As `RmsNorm`, rounded once, after the product with the weight: OLMo2's."""

    def forward(self, x: Tensor) -> Tensor:
        normalised: Tensor = Normalise.apply(at_least_float32(x), self.weight, self.epsilon)  # type: ignore[no-untyped-call]
        return normalised.to(x.dtype)


class OffsetRmsNorm(RmsNorm):
    """Times 1 + weight, rounded once: Gemma's; the weight begins at 0 and is kept as stored."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__(width, epsilon)
        nn.init.zeros_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        weight = 1 + at_least_float32(self.weight)
        normalised: Tensor = Normalise.apply(at_least_float32(x), weight, self.epsilon)  # type: ignore[no-untyped-call]
        return normalised.to(x.dtype)
