"""The difference of two subjects over the same documents or samples, with its interval and its p-value.

Shapes: N documents, R resamples. What is drawn is a document with all its tokens, and both subjects' sums with it.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctxext.maths.intervals import Vector, resamples_of

RESAMPLES = 2000


class Difference(NamedTuple):
    """First - second, its 95% interval, and the two-sided p-value of no difference."""

    value: float
    low: float
    high: float
    p: float


def paired_difference(first: Vector, second: Vector, counts: Vector) -> Difference:
    """Return (Σ `first` - Σ `second`) ÷ Σ `counts`, sums of two subjects and what both are of [N], by paired bootstrap.

    The p-value is that of the percentile interval: twice the share of resamples on the other side of 0, or on it. Its
    least value is 2 in R + 1.
    """
    assert len(first) == len(second) == len(counts) > 0, (len(first), len(second), len(counts))
    draws = draws_of(len(counts))
    differences = first - second
    drawn = (draws @ differences) / (draws @ counts)
    low, high = np.percentile(drawn, [2.5, 97.5])
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    p = min(1.0, 2 * (1 + beyond) / (RESAMPLES + 1))
    return Difference(float(differences.sum() / counts.sum()), float(low), float(high), p)


@lru_cache(maxsize=4)
def draws_of(documents: int) -> NDArray[np.float64]:
    """Return how often each of `documents` is in each resample [R, N], the resamples of every other interval."""
    return np.stack(
        [np.bincount(drawn, minlength=documents) for drawn in resamples_of(documents, RESAMPLES, 0)]
    ).astype(np.float64)
