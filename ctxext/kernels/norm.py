"""Root-mean-square normalisation whose backward reuses the forward's normalised rows.

Shapes: ... any leading axes, W width.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import rms_norm


def at_least_float32(x: Tensor) -> Tensor:
    """Return `x` in float32, or as it is where it is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def normalised(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Return weight x / rms(x) for `x` [..., W] and `weight` [W], by what is quickest where it is called."""
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        kept: Tensor = Normalise.apply(x, weight, epsilon)  # type: ignore[no-untyped-call]
        return kept
    if x.is_cpu and x.dtype == weight.dtype == torch.float32:
        return rms_norm(x, weight.shape, weight, epsilon)  # the same bits
    return scaled(x, epsilon)[0] * weight.to(x.dtype)


def scaled(x: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Return `x` [..., W] over its root mean square, and 1 over that [..., 1]."""
    exact = at_least_float32(x)
    reciprocal = torch.rsqrt(exact.square().mean(dim=-1, keepdim=True) + epsilon)
    return (exact * reciprocal).to(x.dtype), reciprocal


class Normalise(torch.autograd.Function):
    """weight x / rms(x), keeping what the backward needs and no more (docs/decisions/rms_norm.md)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        normal, reciprocal = scaled(x, epsilon)
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
        return normalised(x, self.weight, self.epsilon)


class FineRmsNorm(RmsNorm):
    """As `RmsNorm`, rounded once, after the product with the weight: OLMo2's."""

    def forward(self, x: Tensor) -> Tensor:
        return normalised(at_least_float32(x), self.weight, self.epsilon).to(x.dtype)


class OffsetRmsNorm(RmsNorm):
    """Times 1 + weight, rounded once: Gemma's; the weight begins at 0 and is kept as stored."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__(width, epsilon)
        nn.init.zeros_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        weight = 1 + at_least_float32(self.weight)
        return normalised(at_least_float32(x), weight, self.epsilon).to(x.dtype)
