"""Effective length: up to which length a subject keeps what the base has at its own trained length.

Shapes: N documents. The rules are those of the protocol: `nll(0.05)` and `score(0.85)`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctxext.maths.intervals import Vector, resamples_of

Row = dict[str, object]


@dataclass(frozen=True)
class Reached:
    """The longest `length` that passes, `at_least` if the sweep ended there, `low` its 95% lower bound (0 for none)."""

    rule: str
    length: int
    at_least: bool
    low: int = 0

    def row(self, subject: str) -> Row:
        """Return the row of `effective_length` for `subject`."""
        row: Row = {"subject": subject, "rule": self.rule, "length": self.length, "at_least": self.at_least}
        return row | {"low": self.low} if self.low else row


@dataclass(frozen=True)
class Missed:
    """Why no length can be given."""

    rule: str
    reason: str

    def row(self, subject: str) -> Row:
        """Return the row of `missing` for `subject`."""
        return {"subject": subject, "what": f"effective_length {self.rule}", "reason": self.reason}


def by_nll(
    losses: Mapping[int, Vector], counts: Vector, reference: Vector, trained_length: int, margin: float = 0.05
) -> Reached | Missed:
    """Return the longest length such that all from `trained_length` to it have an nll within `margin` of the base's.

    `losses` has a subject's summed nll [N] by length, `counts` [N] the tokens of each document (equal at all lengths),
    `reference` [N] the base's sums at `trained_length`. Subject and base are resampled together.
    """
    rule = f"nll({margin:g})"
    lengths = sorted(length for length in losses if length >= trained_length)
    if not lengths:
        return Missed(rule, f"no length from {trained_length} on was measured")
    table = np.stack([losses[length] for length in lengths])
    passed = prefix(table.sum(1) <= reference.sum() + margin * counts.sum())
    if passed == 0:
        return Missed(
            rule, f"the nll at {lengths[0]} is already more than {margin:g} above the base at {trained_length}"
        )
    drawn_passes = [
        prefix(table[:, drawn].sum(1) <= reference[drawn].sum() + margin * counts[drawn].sum())
        for drawn in resamples_of(len(counts), 2000, seed=0)
    ]
    low = int(np.percentile(drawn_passes, 2.5, method="lower"))
    return Reached(rule, lengths[passed - 1], passed == len(lengths), lengths[low - 1] if low else 0)


def by_score(
    scores: Mapping[int, float], base_score: float, base_low: float, chance: float, share: float = 0.85
) -> Reached | Missed:
    """Return the longest length up to which every score of `scores` (by length) is at least `share` of `base_score`.

    `base_score` is the base's at its trained length with the lower bound `base_low`, which must be above `chance`.
    """
    rule = f"score({share:g})"
    if base_low <= chance:
        return Missed(rule, "the base cannot do the task at its own length: its interval includes chance")
    lengths = sorted(scores)
    if not lengths:
        return Missed(rule, "no length was measured")
    passed = prefix(np.array([scores[length] for length in lengths]) >= share * base_score)
    if passed == 0:
        return Missed(rule, f"the score at {lengths[0]} is already below {share:g} of the base's {base_score:.3g}")
    return Reached(rule, lengths[passed - 1], passed == len(lengths))


def prefix(passes: NDArray[np.bool_]) -> int:
    """Return how many of `passes` hold before the first that does not."""
    return int(np.logical_and.accumulate(passes).sum())
