"""How long something takes, as one waits for it, and how that grows with the length."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import correlation, linear_regression, median
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch

FEWEST, SPAN = 3, 4
"""Lengths, and the factor from the shortest to the longest, from which an exponent may be told."""

LEAST, ENOUGH = 3, 4.0
"""Tries at least, and the seconds after which there are no more."""


class Timing(NamedTuple):
    """Wall time of something in seconds: the `median` of `tries`, and the `least`, which others disturb least."""

    median: float
    least: float
    tries: int


def timed(action: Callable[[], object], repeats: int, device: torch.device) -> Timing:
    """Return how long `action` takes on `device`, done `repeats` times, or as often as ENOUGH seconds hold.

    It is warm already, and done LEAST times at least, unless `repeats` are fewer.
    """
    seconds = list[float]()
    while len(seconds) < min(repeats, LEAST) or (len(seconds) < repeats and sum(seconds) < ENOUGH):
        synchronise(device)
        started = perf_counter()
        action()
        synchronise(device)
        seconds.append(perf_counter() - started)
    return Timing(median(seconds), min(seconds), len(seconds))


def synchronise(device: torch.device) -> None:
    """Wait until `device` has done what it was told."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


class Growth(NamedTuple):
    """Time as a power of the length: 1 is linear, 2 quadratic; `r_squared` is 1 where it follows a power exactly."""

    exponent: float
    r_squared: float


def growth(seconds: Mapping[int, float]) -> Growth | None:
    """Return how `seconds` by length grow: the slope of ln(time) on ln(length) by least squares; None of too few."""
    if len(seconds) < FEWEST or max(seconds) < SPAN * min(seconds):
        return None
    lengths, times = np.log(list(seconds)).tolist(), np.log(list(seconds.values())).tolist()
    steady = max(times) == min(times)
    return Growth(linear_regression(lengths, times).slope, 1.0 if steady else correlation(lengths, times) ** 2)
