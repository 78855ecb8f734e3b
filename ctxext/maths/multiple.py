"""Several tests of one question: what their p-values are worth together."""

from collections.abc import Sequence

FEWEST = 6
"""Of fewer pairs, no two-sided test by flipped signs comes below 5%."""


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's corrected `p_values`, in their order: one below 0.05 holds at 5% for the whole family."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected, floor = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = floor
    return corrected
