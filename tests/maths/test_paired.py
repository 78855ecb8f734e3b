import math

import numpy as np
import pytest

from ctxext.maths.intervals import paired_bootstrap
from ctxext.maths.paired import FLIPS, paired_difference


def normal_p(z: float) -> float:
    return math.erfc(abs(z) / math.sqrt(2))


@pytest.mark.parametrize("shift", [0.0, 0.1, -0.15, 0.2])
def test_many_normal_differences_have_the_interval_and_the_p_value_of_the_normal_law(shift: float) -> None:
    generator = np.random.default_rng(5)
    second = generator.normal(3.0, 1.0, 200)
    noise = generator.normal(0.0, 1.0, 200)
    first = second + (noise - noise.mean()) / noise.std() + shift  # of mean `shift` and deviation 1, exactly
    error = 1 / math.sqrt(200)

    found = paired_difference(first, second, np.ones(200))

    assert found.value == pytest.approx(shift)
    assert (found.low, found.high) == pytest.approx((shift - 1.96 * error, shift + 1.96 * error), abs=0.012)
    assert found.p == pytest.approx(normal_p(shift / error), abs=0.03)


def test_it_is_the_interval_of_the_reports() -> None:
    generator = np.random.default_rng(1)
    first, second, counts = generator.normal(5, 1, 20), generator.normal(4, 1, 20), generator.uniform(1, 3, 20)
    found = paired_difference(first, second, counts)
    assert (found.low, found.high) == pytest.approx(paired_bootstrap(first, second, counts))
    assert found.value == pytest.approx((first.sum() - second.sum()) / counts.sum())


def test_the_same_twice_differs_by_nothing_for_certain() -> None:
    values = np.arange(12.0)
    assert paired_difference(values, values, np.ones(12)) == (0.0, 0.0, 0.0, 1.0)


def test_the_order_turns_the_sign_and_nothing_else() -> None:
    generator = np.random.default_rng(2)
    first, second = generator.normal(5, 1, 30), generator.normal(4.8, 1, 30)
    one, other = (paired_difference(*pair, np.ones(30)) for pair in ((first, second), (second, first)))
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))
    assert one.p == other.p


def test_no_p_value_is_0_and_it_agrees_with_the_interval() -> None:
    generator = np.random.default_rng(3)
    noise = generator.normal(0.0, 1.0, 40)
    for shift in np.linspace(-1, 1, 41):
        found = paired_difference(noise + shift, np.zeros(40), np.ones(40))
        assert 1 / (FLIPS + 1) <= found.p <= 1
        if abs(found.p - 0.05) > 0.03:
            assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


@pytest.mark.parametrize("documents", [1, 2, 3, 5, 8, 13])
def test_few_documents_of_one_sign_have_the_p_value_of_coins(documents: int) -> None:
    found = paired_difference(np.arange(1.0, documents + 1), np.zeros(documents), np.ones(documents))
    assert found.p == pytest.approx(2 / 2**documents)


@pytest.mark.parametrize("documents", [2, 3, 5, 10, 20])
def test_no_difference_is_called_one_more_often_than_promised(documents: int) -> None:
    generator = np.random.default_rng(documents)
    called = [
        paired_difference(noise, np.zeros(documents), np.ones(documents)).p <= 0.05
        for noise in generator.normal(0.0, 1.0, (400, documents))
    ]
    assert np.mean(called) < 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5
