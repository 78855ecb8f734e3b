import itertools

import numpy as np
import pytest

from ctxext.maths.intervals import wilson
from ctxext.maths.mcnemar import Agreement, mcnemar, newcombe


def test_the_exact_p_value_is_that_of_tossing_coins() -> None:
    for first, second in itertools.product(range(6), repeat=2):
        tosses = list(itertools.product((0, 1), repeat=first + second))
        extreme = [toss for toss in tosses if abs(2 * sum(toss) - len(toss)) >= abs(first - second)]
        assert mcnemar(first, second) == pytest.approx(len(extreme) / len(tosses))


@pytest.mark.parametrize(
    ("first", "second", "p"), [(0, 0, 1.0), (5, 5, 1.0), (0, 4, 0.125), (1, 8, 0.0390625), (0, 10, 0.001953125)]
)
def test_known_p_values(first: int, second: int, p: float) -> None:
    assert mcnemar(first, second) == mcnemar(second, first) == pytest.approx(p)


def test_no_p_value_of_many_samples_overflows() -> None:
    assert mcnemar(900, 900) == 1.0
    assert 0 < mcnemar(100, 1500) < 1e-200


def test_the_interval_turns_its_sign_with_the_two() -> None:
    low, high = newcombe(Agreement(30, 6, 1, 3))
    assert newcombe(Agreement(30, 1, 6, 3)) == pytest.approx((-high, -low))


def test_two_that_have_all_right_may_still_differ_by_what_wilson_leaves_open() -> None:
    low, high = newcombe(Agreement(10, 0, 0, 0))
    assert (low, high) == pytest.approx((wilson(10, 10)[0] - 1, 1 - wilson(10, 10)[0]))


def test_an_association_makes_the_interval_narrower() -> None:
    alike, apart = newcombe(Agreement(50, 5, 5, 40)), newcombe(Agreement(30, 25, 25, 20))
    assert alike[1] - alike[0] < 0.75 * (apart[1] - apart[0])


def test_the_interval_covers_the_true_difference_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    shares = [0.5, 0.25, 0.1, 0.15]
    drawn = generator.multinomial(40, shares, size=1500)
    intervals = [newcombe(Agreement(*map(int, counts))) for counts in drawn]
    covered = np.mean([low <= shares[1] - shares[2] <= high for low, high in intervals])
    assert 0.935 <= covered <= 0.98
