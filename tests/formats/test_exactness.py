"""One rule for what is rounding and what is another model."""

import math

from ctxext.formats.exactness import is_another_model, is_exact


def test_what_is_rounding_grows_with_the_logits_above_1() -> None:
    assert is_exact(1e-5, 0.01)
    assert not is_exact(2e-5, 1.0)
    assert is_exact(3e-4, 36.0)
    assert not is_exact(4e-4, 36.0)


def test_another_model_is_told_by_a_share_of_the_largest_logit_too() -> None:
    assert is_another_model(2e-3, 0.01)
    assert not is_another_model(2e-3, 36.0)
    assert is_another_model(0.04, 36.0)


def test_what_is_no_number_is_never_the_same() -> None:
    for difference in (math.nan, math.inf):
        assert not is_exact(difference, 1.0)
        assert is_another_model(difference, 1.0)
