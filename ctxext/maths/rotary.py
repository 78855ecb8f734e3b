"""Rotary arithmetic: the frequencies of the periodic family, and the turning of heads.

Shapes: B batch, H heads, S tokens, D head width; a frequency vector has D / 2 numbers, fastest first.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def frequencies(theta: float, width: int) -> Tensor:
    """Return theta^(-2i / width) for the pairs i of a head of `width` [width / 2], in radians a token (2104.09864)."""
    return 1.0 / theta ** (torch.arange(0, width, 2, dtype=torch.int64).float() / width)


def ntk_theta(theta: float, factor: float, width: int) -> float:
    """Return the base at which the slowest pair is slowed by `factor` and the fastest is unchanged (bloc97, 2023)."""
    return theta * float(factor ** (width / (width - 2)))


def pair_of_turns(turns: float, theta: float, width: int, length: int) -> float:
    """Return the pair, as a real number, that turns `turns` times over `length` tokens (2309.00071, section 3.2)."""
    return width * math.log(length / (turns * 2 * math.pi)) / (2 * math.log(theta))


def ramp(fast: float, slow: float, theta: float, width: int, length: int) -> Tensor:
    """Return YaRN's ramp [width / 2]: 0 for pairs of more than `fast` turns over `length`, 1 for fewer than `slow`."""
    low = max(math.floor(pair_of_turns(fast, theta, width, length)), 0)
    high = min(math.ceil(pair_of_turns(slow, theta, width, length)), width - 1)
    span = high - low if high != low else 0.001  # as in the reference code: an empty ramp becomes a step
    return ((torch.arange(width // 2, dtype=torch.float32) - low) / span).clamp(0, 1)


def yarn_factors(theta: float, factor: float, width: int, length: int, fast: float, slow: float) -> tuple[float, ...]:
    """Return by what YaRN divides each frequency of a head of `width`, from 1 to `factor`, rising [width / 2].

    Pairs of more than `fast` turns over `length` tokens are kept, those of fewer than `slow` divided by `factor`.
    """
    return tuple(1 / (share / factor + 1 - share) for share in ramp(fast, slow, theta, width, length).tolist())


class Waves(NamedTuple):
    """By what pairs are turned: `cosine` and `sine` [B, 1, S, D / 2] of their angles, times an amplitude."""

    cosine: Tensor
    sine: Tensor


def waves(positions: Tensor, frequencies: Tensor, amplitude: float, dtype: torch.dtype) -> Waves:
    """Return the waves of `positions` x `frequencies`, times `amplitude`, as `dtype`.

    `positions` are [B, S], or [B, S, D / 2] where pairs stand at different ones.
    Angles are float32 whatever the heads are: in bfloat16 the phase is wrong by up to pi at position 4096.
    """
    with torch.autocast(positions.device.type, enabled=False):
        by_pair = positions if positions.dim() == 3 else positions[..., None]
        angles = (by_pair.float() * frequencies)[:, None]
        return Waves((angles.cos() * amplitude).to(dtype), (angles.sin() * amplitude).to(dtype))


def turn(heads: Tensor, by: Waves) -> Tensor:
    """Return `heads` [B, H, S, D], pair (i, i + D/2) turned and stretched `by` waves."""
    if torch.compiler.is_compiling():  # which writes one loop of it
        first, second = heads.chunk(2, dim=-1)
        return torch.cat((first * by.cosine - second * by.sine, second * by.cosine + first * by.sine), dim=-1)
    if heads.requires_grad and torch.is_grad_enabled():
        differentiable: Tensor = Turn.apply(heads, *by)  # type: ignore[no-untyped-call]
        return differentiable
    return turned(heads, *by)


def turned(heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Return what `turn` returns, written once, without a gradient."""
    half = heads.shape[-1] // 2
    first, second = heads[..., :half], heads[..., half:]
    into = torch.empty_like(heads)
    torch.mul(first, cosine, out=into[..., :half]).addcmul_(second, sine, value=-1)
    torch.mul(second, cosine, out=into[..., half:]).addcmul_(first, sine)
    return into


class Turn(torch.autograd.Function):
    """The gradient is turned back: nothing of the heads is kept."""

    @staticmethod
    def forward(ctx: Any, heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        ctx.save_for_backward(cosine, sine)
        return turned(heads, cosine, sine)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        cosine, sine = ctx.saved_tensors
        return turned(gradient, cosine, -sine), None, None
