"""The difference of two subjects over the same documents or samples, with its interval and its p-value.

Shapes: N documents, R resamples, F combinations of signs. What is drawn is a whole document, with both its sums.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctxext.maths.intervals import RESAMPLES, Vector, resamples_of

FLIPS = 9999
FEW = 13
"""Up to so many documents all combinations of signs are tried."""
ROUNDING = 1e-12
AT_ONCE = 1 << 22
"""Signs that are drawn and held at once."""


class Difference(NamedTuple):
    """First - second, its 95% interval, and the two-sided p-value of no difference."""

    value: float
    low: float
    high: float
    p: float


def paired_difference(first: Vector, second: Vector, counts: Vector) -> Difference:
    """Return (Σ `first` - Σ `second`) ÷ Σ `counts`, sums of two subjects and what both are of [N].

    The interval is that of a paired bootstrap. The p-value is that of flipped signs: how often their sum
    is as large or larger if each difference has either sign with the same chance. It holds for few documents, too.
    """
    assert len(first) == len(second) == len(counts) > 0, (len(first), len(second), len(counts))
    draws = draws_of(len(counts))
    differences = first - second
    drawn = (draws @ differences) / (draws @ counts)
    low, high = np.percentile(drawn, [2.5, 97.5])
    total = float(differences.sum())
    least = abs(total) * (1 - ROUNDING)
    as_large = [np.abs(signs @ differences) >= least for signs in signs_of(len(counts))]
    p = float(np.concatenate(as_large).mean())
    return Difference(total / float(counts.sum()), float(low), float(high), p)


def signs_of(documents: int) -> Iterator[NDArray[np.float64]]:
    """Yield all signs that `documents` differences may have [F, N]; of many, the true ones and FLIPS drawn ones."""
    if documents <= FEW:
        bits = (np.arange(1 << documents)[:, None] >> np.arange(documents)) & 1
        yield 1.0 - 2.0 * bits.astype(np.float64)
        return
    yield np.ones((1, documents))
    draw = np.random.default_rng(0)
    for part in np.array_split(np.arange(FLIPS), -(-FLIPS * documents // AT_ONCE)):
        yield 1.0 - 2.0 * draw.integers(0, 2, (len(part), documents)).astype(np.float64)


@lru_cache(maxsize=4)
def draws_of(documents: int) -> NDArray[np.float64]:
    """Return how often each of `documents` is in each resample [R, N], the resamples of every other interval."""
    return np.stack(
        [np.bincount(drawn, minlength=documents) for drawn in resamples_of(documents, RESAMPLES, 0)]
    ).astype(np.float64)
