"""Effective length by each rule: golden cases, monotony, and intervals against exact probabilities."""

from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ctxext.evaluation.effective import Base, Missed, Reached, by_nll, by_share, by_threshold, prefix

COUNTS = np.full(30, 10.0)


def documents(nll: float) -> NDArray[np.float64]:
    """Per-document sums that all have the same mean `nll`."""
    return np.full(30, nll * 10.0)


def samples(right: int, of: int = 40) -> NDArray[np.float64]:
    """Scores of which `right` are 1 and the others 0."""
    return np.repeat([1.0, 0.0], [right, of - right])


def near(losses: dict[int, Any], reference: Any = None, margin: float = 0.05) -> Reached | Missed:
    """By nll, on documents of 10 tokens, from 256 on, against a reference of 3 nats."""
    return by_nll("nll", losses, COUNTS, documents(3.0) if reference is None else reference, 256, margin)


def base(right: int = 40, of: int = 40, low: float = 0.91, length: int = 256) -> Base:
    return Base(samples(right, of), low, 0.1, length)


def test_the_longest_length_within_the_margin_is_reached() -> None:
    losses = {256: documents(3.0), 512: documents(3.04), 1024: documents(3.06)}
    assert near(losses) == Reached("nll", 512, at_least=False, low=512, high=512)


def test_an_nll_at_exactly_the_margin_passes() -> None:
    assert near({256: documents(3.0), 512: documents(3.05)}) == Reached("nll", 512, True, 512, 512)


def test_a_length_that_passes_after_one_that_fails_does_not_count() -> None:
    losses = {256: documents(3.0), 512: documents(3.2), 1024: documents(3.0)}
    assert near(losses) == Reached("nll", 256, False, 256, 256)


def test_lengths_below_the_trained_one_do_not_count() -> None:
    losses = {128: documents(9.0), 256: documents(3.0), 512: documents(3.0)}
    assert near(losses) == Reached("nll", 512, at_least=True, low=512, high=512)


def test_failing_at_the_trained_length_is_missing_with_a_reason_that_names_it() -> None:
    missed = near({256: documents(3.2)})
    assert isinstance(missed, Missed)
    assert "the nll at 256 is already more than 0.05 above" in missed.reason
    assert missed.row("zero_shot")["what"] == "effective_length nll"


def test_without_a_length_to_judge_that_is_said() -> None:
    assert near({128: documents(3.0)}) == Missed("nll", "no length from 256 on was measured")
    assert by_threshold("score", {}, 0.5, 0.1) == Missed("score", "no length was measured")


def test_a_stricter_margin_reaches_less_far() -> None:
    losses = {256: documents(3.0), 512: documents(3.03)}
    assert near(losses, margin=0.02) == Reached("nll", 256, False, 256, 256)


def test_the_bounds_fall_apart_where_documents_disagree() -> None:
    spread = np.random.default_rng(0).normal(0.0, 5.0, 30)
    losses = {256: documents(3.0), 512: documents(3.03) + spread - spread.mean()}
    assert near(losses) == Reached("nll", 512, True, low=256, high=512)


def test_the_reference_is_resampled_with_the_subject() -> None:
    spread = np.random.default_rng(0).normal(0.0, 5.0, 30)
    losses = {256: documents(3.0) + spread, 512: documents(3.03) + spread}
    assert near(losses, documents(3.0) + spread) == Reached("nll", 512, True, 512, 512)


def test_a_bound_is_absent_from_the_row_when_too_many_resamples_pass_nowhere() -> None:
    spread = np.random.default_rng(0).normal(0.0, 5.0, 30)
    reached = near({256: documents(3.04) + spread - spread.mean()})
    assert "low" not in reached.row("extended")
    assert reached.row("extended")["high"] == 256


def test_every_shorter_length_must_have_the_score_too() -> None:
    scores = {128: samples(20), 256: samples(40), 512: samples(40)}
    missed = by_share("score", scores, base(), 0.85)
    assert missed == Missed("score", "the score at 128 is 0.5, already below 0.85")


@pytest.mark.parametrize(("last", "length", "at_least"), [(34, 1024, True), (33, 512, False)])
def test_a_score_passes_at_exactly_the_share_of_the_base(last: int, length: int, at_least: bool) -> None:
    found = by_share("score", {256: samples(40), 512: samples(40), 1024: samples(last)}, base(), 0.85)
    assert isinstance(found, Reached)
    assert (found.length, found.at_least) == (length, at_least)


def test_a_share_is_of_the_base_and_a_threshold_of_nothing() -> None:
    scores = {256: samples(20), 512: samples(18), 1024: samples(12)}
    share = by_share("score", scores, base(right=20, low=0.3), 0.85)
    assert isinstance(share, Reached)
    assert share.length == 512
    fixed = by_threshold("score", scores, 0.5, 0.1)
    assert isinstance(fixed, Reached)
    assert fixed.length == 256


def test_a_base_at_chance_makes_its_share_missing_and_the_threshold_stays() -> None:
    missed = by_share("score", {256: samples(40)}, base(low=0.09), 0.85)
    assert isinstance(missed, Missed)
    assert "cannot do the task" in missed.reason
    assert by_threshold("score", {256: samples(40)}, 0.75, 0.1) == Reached("score", 256, True, 256, 256)


def test_a_threshold_that_a_guess_meets_says_nothing() -> None:
    assert by_threshold("score", {256: samples(40)}, 0.5, 0.5) == Missed("score", "a guess reaches it: chance is 0.5")


def fewer_than_30_of_40(chance: float) -> float:
    return sum(comb(40, k) * chance**k * (1 - chance) ** (40 - k) for k in range(30))


@pytest.mark.parametrize("right", [31, 32, 33, 34, 35, 36, 37])
def test_the_lower_bound_is_where_the_exact_chance_of_a_resample_to_fail_crosses_one_in_forty(right: int) -> None:
    # A resample of 40 samples has a binomial number of right ones, and passes from 30 on.
    fails = fewer_than_30_of_40(right / 40)
    assert abs(fails - 0.025) > 0.004, "too near to the limit to be told by 2000 resamples"

    found = by_threshold("score", {256: samples(40), 512: samples(right)}, 0.75, 0.1)

    assert isinstance(found, Reached)
    assert (found.length, found.low, found.high) == (512, 256 if fails > 0.025 else 512, 512)


def test_the_upper_bound_lies_beyond_a_length_that_only_just_failed() -> None:
    assert fewer_than_30_of_40(29 / 40) < 0.7

    found = by_threshold("score", {256: samples(40), 512: samples(29)}, 0.75, 0.1)

    assert found == Reached("score", 256, False, low=256, high=512)


def test_the_base_passes_its_own_share_in_every_resample() -> None:
    # At its trained length both are drawn alike; drawn apart, one resample in ten would fail.
    own = samples(20)
    found = by_share("score", {256: own}, Base(own, 0.3, 0.1, 256), 0.95)
    assert found == Reached("score", 256, True, 256, 256)
    apart = by_share("score", {256: own}, Base(own, 0.3, 0.1, 512), 0.95)
    assert isinstance(apart, Reached)
    assert apart.low == 0


means = st.lists(st.integers(0, 40), min_size=1, max_size=5)


@settings(max_examples=25, deadline=None)
@given(rights=means, lower=st.floats(0.2, 1.0), higher=st.floats(0.2, 1.0))
def test_a_higher_bar_never_reaches_farther(rights: list[int], lower: float, higher: float) -> None:
    scores = {256 << number: samples(right) for number, right in enumerate(rights)}
    lower, higher = sorted((lower, higher))
    for rule in (
        lambda bar: by_threshold("score", scores, bar, 0.1),
        lambda bar: by_share("score", scores, base(), bar),
    ):
        loose, strict = rule(lower), rule(higher)
        if isinstance(strict, Reached):
            assert isinstance(loose, Reached)
            assert loose.length >= strict.length
            assert loose.low >= strict.low
            assert loose.high >= strict.high


@settings(max_examples=10, deadline=None)
@given(nlls=st.lists(st.floats(2.5, 3.5), min_size=1, max_size=5), gain=st.floats(0.0, 1.0), margin=st.floats(0.0, 0.5))
def test_a_lower_nll_never_reaches_less_far(nlls: list[float], gain: float, margin: float) -> None:
    spread = np.random.default_rng(1).normal(0.0, 1.0, 30)
    losses = {256 << number: documents(nll) + spread for number, nll in enumerate(nlls)}
    better = {length: nll - 10 * gain for length, nll in losses.items()}

    worse, found = near(losses, margin=margin), near(better, margin=margin)

    if isinstance(worse, Reached):
        assert isinstance(found, Reached)
        assert found.length >= worse.length
        assert found.low >= worse.low


@settings(max_examples=15, deadline=None)
@given(nlls=st.lists(st.floats(2.5, 3.5), min_size=1, max_size=6), margin=st.floats(0.0, 0.5))
def test_what_is_reached_is_what_a_plain_loop_reaches(nlls: list[float], margin: float) -> None:
    reached = 0
    for number, nll in enumerate(nlls):
        if nll > 3.0 + margin + 1e-9:
            break
        reached = 256 << number

    found = near({256 << number: documents(nll) for number, nll in enumerate(nlls)}, margin=margin)

    assert (found.length if isinstance(found, Reached) else 0) == reached


def test_a_prefix_is_counted_in_each_row() -> None:
    assert prefix(np.array([[True, True, False], [False, True, True], [True, True, True]])).tolist() == [2, 0, 3]
