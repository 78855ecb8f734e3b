"""Numbers that follow from others."""

import math

import pytest

from ctxext.config.lengths import (
    dual_chunk_factor,
    evaluated_lengths,
    group_size,
    grouped_reach,
    inverse_mean_log,
    last_window,
    lengths_within,
    ones,
    portion,
    quotient,
    radix,
    scored_tokens,
    yarn_factors,
)


@pytest.mark.parametrize("context_length", [200, 256, 512, 1000, 1024, 5000])
def test_the_evaluated_lengths_rise_and_hold_the_target(context_length: int) -> None:
    lengths = evaluated_lengths(256, context_length)
    assert lengths == sorted(set(lengths))
    assert {128, 256, 512, 1024, 2048, context_length} == set(lengths)


@pytest.mark.parametrize(
    ("context_length", "lengths"), [(256, [128, 256]), (600, [128, 256, 512, 600]), (1024, [128, 256, 512, 1024])]
)
def test_the_lengths_within_the_target_end_with_it(context_length: int, lengths: list[int]) -> None:
    assert lengths_within(256, context_length) == lengths


def farthest(tokens: int, window: int, group: int) -> int:
    """Return the largest distance at which Self-Extend scores a pair of a text of `tokens`, by going over all pairs."""
    return max(
        query - key if query - key < window else query // group + window - window // group - key // group
        for query in range(tokens)
        for key in range(query + 1)
    )


@pytest.mark.parametrize("window", [1, 3, 7, 8, 12, 15])
@pytest.mark.parametrize("context_length", [16, 17, 31, 32, 50, 64, 77])
def test_the_group_is_the_least_that_scores_no_distance_new_to_the_model(context_length: int, window: int) -> None:
    group = group_size(context_length, 16, window)
    assert farthest(context_length, window, group) < 16
    assert all(farthest(context_length, window, smaller) >= 16 for smaller in range(1, group))


@pytest.mark.parametrize(("window", "group"), [(8, 1), (8, 3), (8, 4), (5, 3), (7, 8), (12, 5)])
def test_the_reach_of_a_group_is_the_last_length_without_a_new_distance(window: int, group: int) -> None:
    reach = grouped_reach(group, 16, window)
    assert farthest(reach, window, group) < 16 <= farthest(reach + 1, window, group)


def test_a_portion_is_rounded_down() -> None:
    assert (portion(256, 3, 4), portion(1000, 1, 16), portion(7, 1, 8)) == (192, 62, 0)


def test_chunkllama_sharpens_only_above_factor_1() -> None:
    assert dual_chunk_factor(0.5) == dual_chunk_factor(1) == 1
    assert dual_chunk_factor(4) == pytest.approx(1.0693147)


@pytest.mark.parametrize("length", [2, 16, 1024])
def test_the_scale_of_scalable_softmax_is_1_on_average_up_to_the_trained_length(length: int) -> None:
    scale = inverse_mean_log(length)
    assert sum(scale * math.log(count) for count in range(1, length + 1)) / length == pytest.approx(1)
    assert inverse_mean_log(1) == 1


def test_the_paper_s_scale_for_1024_tokens() -> None:
    assert inverse_mean_log(1024) == pytest.approx(0.168, abs=5e-4)


def test_a_window_without_room_for_groups_is_left_to_legality() -> None:
    assert group_size(1024, 256, 256) == 1


@pytest.mark.parametrize(("context_length", "dims", "least"), [(1024, 2, 32), (1025, 2, 33), (64, 3, 4), (1, 2, 2)])
def test_the_radix_is_the_least_whose_digits_count_to_the_context(context_length: int, dims: int, least: int) -> None:
    assert radix(context_length, dims) == least
    assert radix(context_length, 0) == 2  # the checks refuse so few digits


def test_the_factors_of_yarn_rise_from_1_to_the_factor() -> None:
    factors = yarn_factors(10000.0, 4.0, 64, 256)
    assert len(factors) == 32
    assert factors == sorted(factors)
    assert (factors[0], factors[-1]) == (1, 4)
    assert yarn_factors(10000.0, 1.0, 64, 256) == ones(32)


@pytest.mark.parametrize(("theta", "factor", "length"), [(1.0, 4.0, 256), (1e4, 0.5, 256), (1e4, 0.0, 0)])
def test_factors_of_nothing_are_left_to_the_checks(theta: float, factor: float, length: int) -> None:
    assert yarn_factors(theta, factor, 8, length) == [1, 1, 1, 1]


def test_a_quotient_by_nothing_is_left_to_the_checks() -> None:
    assert quotient(1024, 256) == 4
    assert quotient(1024, 0) == 0


def test_the_last_window_is_the_first_under_a_constant_schedule() -> None:
    assert last_window("constant", 256, 1024) == 256
    assert last_window("geometric", 256, 1024) == 1024


@pytest.mark.parametrize(("shortest", "tokens"), [(1024, 64), (65, 64), (64, 32), (33, 16), (1, 1)])
def test_short_lengths_score_half_of_the_shortest(shortest: int, tokens: int) -> None:
    assert scored_tokens([2048, shortest]) == tokens


def test_at_the_default_lengths_64_tokens_are_scored() -> None:
    assert scored_tokens(evaluated_lengths(256, 1024)) == 64
