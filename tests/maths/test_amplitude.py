"""By what queries and keys grow."""

import math

import pytest

from ctxext.maths.amplitude import longrope_attention_factor, yarn_attention_factor


@pytest.mark.parametrize(("factor", "amplitude"), [(2, 1.0693147), (4, 1.1386294), (8, 1.2079442), (16, 1.2772589)])
def test_yarn_has_the_golden_values(factor, amplitude):
    assert yarn_attention_factor(factor) == pytest.approx(amplitude, rel=1e-7)
    assert yarn_attention_factor(math.e) == pytest.approx(1.1)


def test_longrope_has_the_golden_value():
    assert longrope_attention_factor(4, 256) == pytest.approx(1.118034, rel=1e-6)
    assert longrope_attention_factor(32, 4096) == pytest.approx(math.sqrt(1 + 5 / 12))


def test_up_to_factor_1_nothing_is_sharpened():
    assert yarn_attention_factor(0.5) == yarn_attention_factor(1) == 1
    assert longrope_attention_factor(0.5, 256) == longrope_attention_factor(1, 256) == 1
    assert longrope_attention_factor(4, 1) == 1
