"""Two subjects' right or wrong on the same samples: the exact test, and the interval of the shares' difference."""

import math
from typing import NamedTuple

from ctxext.maths.intervals import wilson


class Agreement(NamedTuple):
    """How many samples both have right, only the first, only the second, and neither."""

    both: int
    first: int
    second: int
    neither: int

    @property
    def total(self) -> int:
        """The number of samples."""
        return sum(self)


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p-value of McNemar's test, from how many samples one alone of the two has right.

    If neither is better, each of these is a toss of a coin: the tail of Binomial(n, 1/2) twice, at most 1.
    """
    tosses = only_first + only_second
    tail = sum(math.comb(tosses, heads) for heads in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / (1 << tosses))


def newcombe(counts: Agreement) -> tuple[float, float]:
    """Return the 95% interval of first share - second share of the `counts` (Newcombe 1998, paired, method 10).

    It is made of Wilson's of each share, and so is wider than nothing where both have all right.
    """
    total, first, second = counts.total, counts.both + counts.first, counts.both + counts.second
    difference, correlation = (first - second) / total, correlation_of(counts)
    (low1, high1), (low2, high2) = wilson(first, total), wilson(second, total)
    share1, share2 = first / total, second / total
    below = reach(share1 - low1, high2 - share2, correlation)
    above = reach(share2 - low2, high1 - share1, correlation)
    return difference - below, difference + above


def reach(one: float, other: float, correlation: float) -> float:
    """Return the distance that two distances from correlated shares add up to."""
    return math.sqrt(max(0.0, one * one - 2 * correlation * one * other + other * other))


def correlation_of(counts: Agreement) -> float:
    """Return the phi coefficient of the `counts`, with Newcombe's correction where it is above 0; 0 if undefined."""
    both, first, second, neither = counts
    margins = (both + first) * (second + neither) * (both + second) * (first + neither)
    if margins == 0:
        return 0.0
    surplus = both * neither - first * second
    return (max(surplus - counts.total / 2, 0) if surplus > 0 else surplus) / math.sqrt(margins)
