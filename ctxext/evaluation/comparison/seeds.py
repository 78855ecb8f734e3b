"""What the spread over seeds takes from a difference: more documents make it surer, but not of another seed.

Shapes: K seeds, N items.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctxext.evaluation.comparison.scores import Score
from ctxext.maths.paired import Difference
from ctxext.maths.student import beyond, quantile

Items = Sequence[tuple[Score, Score]]


class Part(NamedTuple):
    """A part of the variance of a difference, and the degrees of freedom that it was estimated with."""

    variance: float
    freedom: int


def widened(found: Difference, items: Items, is_same_run: bool, is_trained: tuple[bool, bool]) -> Difference:
    """Return `found`, a difference of means over seeds by `items`, with interval and p-value for seeds, too.

    The variance over items and that over seeds are added, which counts what is of both twice, and Student's t takes
    the place of the normal curve. Seeds of one run are paired; one of two arms that `is_trained` with one seed alone
    is taken to spread like the other.
    """
    parts = over_seeds(items, is_same_run, is_trained)
    if not parts:
        return found
    parts.append(over_items(items))
    variance = sum(part.variance for part in parts)
    if variance == 0:
        return found
    freedom = variance**2 / sum(part.variance**2 / part.freedom for part in parts if part.variance)
    deviation = variance**0.5
    reach = quantile(freedom) * deviation
    low, high = min(found.low, found.value - reach), max(found.high, found.value + reach)
    return Difference(found.value, low, high, max(found.p, beyond(abs(found.value) / deviation, freedom)))


def over_seeds(items: Items, is_same_run: bool, is_trained: tuple[bool, bool]) -> list[Part]:
    """Return the parts of the variance that seeds have; nothing if neither side has several."""
    first, second = (means([pair[side] for pair in items]) for side in (0, 1))
    if is_same_run:
        return [part(first - second, 1)] if len(first) > 1 else []
    for alone, other, is_alone_trained in ((first, second, is_trained[0]), (second, first, is_trained[1])):
        if len(alone) == 1 and len(other) > 1 and is_alone_trained:
            return [part(other, 1 + len(other))]
    return [part(one, 1) for one in (first, second) if len(one) > 1]


def part(values: NDArray[np.float64], times: int) -> Part:
    """Return the variance of the mean of `values` [K], or `times` that."""
    return Part(float(values.var(ddof=1)) / len(values) * times, len(values) - 1)


def means(scores: Sequence[Score]) -> NDArray[np.float64]:
    """Return the value of each seed over all `scores` [K]; of one run one."""
    sums = np.array([score.seeds or (score.value,) for score in scores]).sum(axis=0)
    return np.asarray(sums / sum(score.weight for score in scores))


def over_items(items: Items) -> Part:
    """Return the variance of the ratio of sums over `items`, each drawn by itself."""
    differences = np.array([first.value - second.value for first, second in items])
    counts = np.array([first.weight for first, _ in items])
    residuals = differences - differences.sum() / counts.sum() * counts
    freedom = max(1, len(items) - 1)
    return Part(float((residuals**2).sum()) * len(items) / freedom / float(counts.sum()) ** 2, freedom)
