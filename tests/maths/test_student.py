import math

import pytest

from ctxext.maths.student import beyond, quantile


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 2.5, 9.0])
def test_the_tails_of_one_and_two_degrees_are_those_of_their_closed_forms(t: float) -> None:
    assert beyond(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(t), rel=1e-4)
    assert beyond(t, 2) == pytest.approx(1 - t / math.sqrt(2 + t * t), rel=1e-4)


@pytest.mark.parametrize(("freedom", "bound"), [(1, 12.706), (2, 4.303), (10, 2.228), (120, 1.980)])
def test_the_bounds_are_those_of_the_printed_tables(freedom: float, bound: float) -> None:
    assert quantile(freedom) == pytest.approx(bound, abs=1e-3)


def test_degrees_need_not_be_whole() -> None:
    assert quantile(2) > quantile(2.7) > quantile(3)
