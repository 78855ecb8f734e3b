"""Student's t: how far a mean may be from what it estimates, where its variance is estimated from few numbers, too."""

import math

import numpy as np

STEPS = 1000
"""Slices of the integral, enough for five digits."""


def beyond(t: float, freedom: float) -> float:
    """Return the probability that |T| is above `t` >= 0, for `freedom` >= 1 degrees, not necessarily whole."""
    assert t >= 0, t
    assert freedom >= 1, freedom
    edge = math.atan(t / math.sqrt(freedom))
    return area(edge, math.pi / 2, freedom) / area(0.0, math.pi / 2, freedom)


def area(start: float, end: float, freedom: float) -> float:
    """Return the integral of cos^(freedom - 1), to which T = sqrt(freedom) tan turns its density, by the middles."""
    width = (end - start) / STEPS
    middles = start + (np.arange(STEPS) + 0.5) * width
    return float((np.cos(middles) ** (freedom - 1)).sum() * width)


def quantile(freedom: float, level: float = 0.05) -> float:
    """Return the t beyond which |T| of `freedom` degrees is with the probability `level`, by halving."""
    low, high = 0.0, 1.0
    while beyond(high, freedom) > level:
        high *= 2
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(middle, freedom) > level else (low, middle)
    return high
