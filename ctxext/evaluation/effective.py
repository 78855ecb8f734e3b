"""Effective length: up to which length a subject keeps what the base has at its own trained length, or a fixed score.

Shapes: N documents or samples, R resamples, S lengths.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctxext.maths.intervals import RESAMPLES, Vector, resamples_of

Row = dict[str, object]
ROUNDING = 1e-9
"""By how much a mean may miss a bar that it meets but for the rounding of its sum."""


@dataclass(frozen=True)
class Reached:
    """The longest `length` that passes, `at_least` if the sweep ended there; `low` to `high` hold 95%, or 0."""

    rule: str
    length: int
    at_least: bool
    low: int = 0
    high: int = 0

    def row(self, subject: str) -> Row:
        """Return the row of `effective_length` for `subject`."""
        bounds = {name: value for name in ("low", "high") if (value := getattr(self, name))}
        return {"subject": subject, "rule": self.rule, "length": self.length, "at_least": self.at_least} | bounds


@dataclass(frozen=True)
class Missed:
    """Why no length can be given."""

    rule: str
    reason: str

    def row(self, subject: str) -> Row:
        """Return the row of `missing` for `subject`."""
        return {"subject": subject, "what": f"effective_length {self.rule}", "reason": self.reason}


def by_nll(
    rule: str, losses: Mapping[int, Vector], counts: Vector, reference: Vector, trained_length: int, margin: float
) -> Reached | Missed:
    """Return the longest length such that all from `trained_length` to it have an nll within `margin` of the reference.

    `losses` has a subject's summed nll [N] by length, `counts` [N] the tokens of each document (equal at all lengths),
    `reference` [N] the sums at `trained_length` that they are held against. Both are resampled together.
    """
    lengths = sorted(length for length in losses if length >= trained_length)
    if not lengths:
        return Missed(rule, f"no length from {trained_length} on was measured")
    excess = np.stack([losses[length] for length in lengths]) - reference - margin * counts
    slack = ROUNDING * counts.sum()
    passes = excess.sum(1) <= slack
    drawn = np.stack([excess[:, some].sum(1) <= slack for some in resamples_of(len(counts), RESAMPLES, seed=0)])
    why = f"the nll at {lengths[0]} is already more than {margin:g} above the reference at {trained_length}"
    return reached(rule, lengths, passes, drawn, why)


class Base(NamedTuple):
    """The `scores` [N] that others are held against, at one `length`, the `low` end of their mean, and a guess's."""

    scores: Vector
    low: float
    chance: float
    length: int


def by_share(rule: str, scores: Mapping[int, Vector], base: Base, share: float) -> Reached | Missed:
    """Return the longest length up to which every mean of `scores` [N] (by length) is at least `share` of `base`."""
    if base.low <= base.chance:
        return Missed(rule, "cannot do the task at the trained length: the interval there includes chance")
    bar, bars = share * float(base.scores.mean()), share * drawn_means(base.scores, base.length)
    if bar <= base.chance:
        return Missed(rule, f"a guess reaches it: {bar:.3g} is not above chance, {base.chance:.3g}")
    return by_bar(rule, scores, bar, np.where(bars <= base.chance, np.inf, bars))


def by_threshold(rule: str, scores: Mapping[int, Vector], threshold: float, chance: float) -> Reached | Missed:
    """Return the longest length up to which every mean of `scores` [N] (by length) is at least `threshold`."""
    if threshold <= chance:
        return Missed(rule, f"a guess reaches it: chance is {chance:.3g}")
    return by_bar(rule, scores, threshold, np.full(RESAMPLES, threshold))


def by_bar(rule: str, scores: Mapping[int, Vector], bar: float, drawn_bars: Vector) -> Reached | Missed:
    """Return the longest length up to which every mean of `scores` is at least `bar`, in resamples `drawn_bars` [R]."""
    lengths = sorted(scores)
    if not lengths:
        return Missed(rule, "no length was measured")
    means = np.array([scores[length].mean() for length in lengths])
    drawn = np.stack([drawn_means(scores[length], length) >= drawn_bars - ROUNDING for length in lengths], axis=1)
    why = f"the score at {lengths[0]} is {means[0]:.3g}, already below {bar:.3g}"
    return reached(rule, lengths, means >= bar - ROUNDING, drawn, why)


def drawn_means(scores: Vector, length: int) -> Vector:
    """Return the means [R] of resamples of `scores` [N]; those at one `length` are the same for all subjects."""
    drawn = np.random.default_rng(length).integers(0, len(scores), (RESAMPLES, len(scores)))
    means: Vector = scores[drawn].mean(axis=1)
    return means


def reached(
    rule: str, lengths: list[int], passes: NDArray[np.bool_], drawn: NDArray[np.bool_], why: str
) -> Reached | Missed:
    """Return up to which of `lengths` all `passes` [S] hold, bounded by resamples `drawn` [R, S]; or `why` none."""
    count = int(prefix(passes))
    if not count:
        return Missed(rule, why)
    counts = prefix(drawn)
    low = int(np.percentile(counts, 2.5, method="lower"))
    high = int(np.percentile(counts, 97.5, method="higher"))
    ends = [lengths[number - 1] if number else 0 for number in (low, high)]
    return Reached(rule, lengths[count - 1], count == len(lengths), *ends)


def prefix(passes: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many of the last axis of `passes` hold before the first that does not."""
    counts: NDArray[np.int64] = np.logical_and.accumulate(passes, axis=-1).sum(axis=-1)
    return counts
