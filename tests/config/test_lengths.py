"""Numbers that follow from others."""

import math

import pytest

from ctxext.config.lengths import evaluated_lengths, group_size, quotient, yarn_attention_factor


@pytest.mark.parametrize("context_length", [200, 256, 512, 1000, 1024, 5000])
def test_the_evaluated_lengths_rise_and_hold_the_target(context_length: int) -> None:
    lengths = evaluated_lengths(256, context_length)
    assert lengths == sorted(set(lengths))
    assert {128, 256, 512, 1024, 2048, context_length} == set(lengths)


@pytest.mark.parametrize("window", [1, 100, 128, 255])
@pytest.mark.parametrize("context_length", [256, 257, 512, 1000, 4096])
def test_the_group_is_the_least_that_reaches(context_length: int, window: int) -> None:
    group = group_size(context_length, 256, window)

    def reach(size: int) -> int:
        return (256 - window) * size + window

    assert reach(group) >= context_length
    assert group == 1 or reach(group - 1) < context_length


def test_a_window_without_room_for_groups_is_left_to_legality() -> None:
    assert group_size(1024, 256, 256) == 1


def test_yarn_sharpens_only_above_factor_1() -> None:
    assert yarn_attention_factor(0.5) == yarn_attention_factor(1) == 1
    assert yarn_attention_factor(4) == pytest.approx(1.1386294)
    assert yarn_attention_factor(math.e) == pytest.approx(1.1)


def test_a_quotient_by_nothing_is_left_to_the_checks() -> None:
    assert quotient(1024, 256) == 4
    assert quotient(1024, 0) == 0
