"""Times are those of a clock, and their growth is that of a power."""

import math
import time

import pytest
import torch

from ctxext.evaluation.costs import timing
from ctxext.evaluation.costs.timing import growth, timed

CPU = torch.device("cpu")


def test_the_median_and_the_least_of_the_tries_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 0.3, 1.0, 1.1, 2.0, 2.2])
    monkeypatch.setattr(timing, "perf_counter", lambda: next(ticks))

    assert timed(lambda: None, 3, CPU) == pytest.approx((0.2, 0.1, 3))


def test_what_takes_long_is_tried_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(float(tick) for tick in range(0, 100, 3))
    monkeypatch.setattr(timing, "perf_counter", lambda: next(ticks))

    assert timed(lambda: None, 5, CPU).tries == 3
    assert timed(lambda: None, 1, CPU).tries == 1


def test_wall_time_counts_and_not_what_the_processor_did() -> None:
    assert timed(lambda: time.sleep(0.02), 2, CPU).least >= 0.02


@pytest.mark.parametrize("power", [0.0, 1.0, 1.7, 2.0])
def test_a_power_is_found_again(power: float) -> None:
    found = growth({length: 0.003 * length**power for length in (128, 256, 1024)})

    assert found is not None
    assert found.exponent == pytest.approx(power)
    assert found.r_squared == pytest.approx(1.0)


def test_the_slope_and_its_fit_are_those_of_least_squares() -> None:
    found = growth({1: 1.0, 2: 3.0, 4: 4.0, 8: 20.0})

    xs, ys = [0.0, 1.0, 2.0, 3.0], [math.log2(y) for y in (1, 3, 4, 20)]
    mean = sum(ys) / 4
    slope = sum((x - 1.5) * (y - mean) for x, y in zip(xs, ys, strict=True)) / sum((x - 1.5) ** 2 for x in xs)
    rest = sum((y - mean - slope * (x - 1.5)) ** 2 for x, y in zip(xs, ys, strict=True))
    assert found is not None
    assert found.exponent == pytest.approx(slope)
    assert found.r_squared == pytest.approx(1 - rest / sum((y - mean) ** 2 for y in ys))


def test_two_lengths_or_near_ones_have_no_exponent() -> None:
    assert growth({}) is None
    assert growth({1: 1.0, 8: 2.0}) is None
    assert growth({10: 1.0, 20: 2.0, 39: 3.0}) is None
    assert growth({10: 1.0, 20: 2.0, 40: 3.0}) is not None
