import numpy as np
import pytest

from ctxext.maths.intervals import paired_bootstrap, ratio_bootstrap, wilson


def test_wilson_gives_the_known_interval_of_38_of_40():
    low, high = wilson(38, 40)
    assert low == pytest.approx(0.835, abs=5e-4)
    assert high == pytest.approx(0.986, abs=5e-4)


@pytest.mark.parametrize("trials", [1, 7, 40, 1000])
def test_wilson_bounds_are_the_shares_from_which_the_observed_one_is_z_standard_errors_away(trials):
    for successes in {0, 1, trials // 2, trials}:
        for bound in wilson(successes, trials):
            distance = (successes / trials - bound) ** 2
            assert distance == pytest.approx(1.96**2 * bound * (1 - bound) / trials, abs=1e-9)


def test_wilson_is_symmetric_and_stays_within_0_and_1():
    low, high = wilson(0, 20)
    assert low == 0.0
    assert (1 - high, 1.0) == pytest.approx(wilson(20, 20))


def test_ratio_bootstrap_weighs_documents_by_their_tokens():
    sums, counts = np.array([10.0, 300.0]), np.array([10.0, 100.0])
    assert ratio_bootstrap(sums, counts) == pytest.approx((1.0, 3.0))


def test_ratio_bootstrap_agrees_with_the_normal_interval_for_many_equal_documents():
    means = np.random.default_rng(3).normal(2.0, 0.5, 400)
    low, high = ratio_bootstrap(means * 64, np.full(400, 64.0))
    reach = 1.96 * means.std() / 20
    assert low == pytest.approx(means.mean() - reach, abs=0.01)
    assert high == pytest.approx(means.mean() + reach, abs=0.01)


def test_ratio_bootstrap_gives_the_same_for_the_same_seed_and_another_for_another():
    sums, counts = np.arange(1.0, 31.0), np.full(30, 8.0)
    assert ratio_bootstrap(sums, counts) == ratio_bootstrap(sums, counts)
    assert ratio_bootstrap(sums, counts) != ratio_bootstrap(sums, counts, seed=1)


def test_pairing_removes_what_both_subjects_share():
    shared = np.random.default_rng(0).normal(100.0, 30.0, 50)
    counts = np.full(50, 10.0)
    low, high = paired_bootstrap(shared + 2.0, shared, counts)
    assert (low, high) == pytest.approx((0.2, 0.2))
    unpaired_low, unpaired_high = ratio_bootstrap(shared, counts)
    assert unpaired_high - unpaired_low > 1.0


def test_the_difference_turns_its_sign_with_its_subjects():
    generator = np.random.default_rng(1)
    first, second, counts = generator.normal(5, 1, 20), generator.normal(4, 1, 20), np.full(20, 2.0)
    low, high = paired_bootstrap(first, second, counts)
    assert paired_bootstrap(second, first, counts) == pytest.approx((-high, -low))
