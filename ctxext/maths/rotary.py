"""Rotary arithmetic: the frequencies of the periodic family, and the turning of heads.

Shapes: B batch, H heads, S tokens, D head width; a frequency vector has D / 2 numbers, fastest first.
"""

import math

import torch
from torch import Tensor


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


def turn(heads: Tensor, positions: Tensor, frequencies: Tensor, amplitude: float) -> Tensor:
    """Return `heads` [B, H, S, D], pair (i, i + D/2) turned by `positions` x `frequencies` and x `amplitude`.

    `positions` are [B, S], or [B, S, D / 2] where pairs stand at different ones.
    Angles are float32 whatever the heads are: in bfloat16 the phase is wrong by up to pi at position 4096.
    """
    with torch.autocast(heads.device.type, enabled=False):
        by_pair = positions if positions.dim() == 3 else positions[..., None]
        angles = (by_pair.float() * frequencies)[:, None]
        cosine, sine = (angles.cos() * amplitude).to(heads.dtype), (angles.sin() * amplitude).to(heads.dtype)
    first, second = heads.chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)
