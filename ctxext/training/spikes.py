"""Losses that stand out from those before them."""

from collections import deque
from collections.abc import Iterable
from math import isfinite
from statistics import fmean, pstdev

WINDOW = 128
"""How many losses the next one is compared with, at most."""
FEWEST = 16
DEVIATIONS, SHARE = 6.0, 0.1
"""A spike lies as many deviations, and as large a part of the mean, above it. The first is OLMo-core's."""


class Spikes:
    """The last losses of a run, with which the next one is compared; the same ones after a resume as without it."""

    def __init__(self, losses: Iterable[float]) -> None:
        """Begin after `losses`, the oldest first."""
        self.window = deque(losses, maxlen=WINDOW)

    def note(self, loss: float) -> str:
        """Return in words that `loss` is a spike, or nothing; if finite, the next is compared with it too."""
        if not isfinite(loss):
            return ""
        before = list(self.window)
        self.window.append(loss)
        if len(before) < FEWEST:
            return ""
        mean = fmean(before)
        over = loss - mean
        is_spike = over > DEVIATIONS * pstdev(before, mean) and over > SHARE * abs(mean)
        return f"a spike, the loss is {loss:.4g} after {mean:.4g} on average in {len(before)} steps" if is_spike else ""
