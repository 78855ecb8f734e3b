"""DroPE."""

import pytest
import torch

from ctxext.places import Places
from ctxext.position.drope import Drope
from ctxext.position.rope import Rope
from ctxext.refusal import Refusal


def test_it_takes_the_weights_of_a_rotary_base_and_turns_nothing():
    heads, places = torch.randn(1, 2, 9, 8), Places.of(torch.arange(9)[None])
    assert Drope(5e5).base() == Rope(5e5)
    assert torch.equal(Drope(5e5).rotate(heads, places), heads)
    assert torch.equal(Drope(5e5).rotate_keys(heads, places), heads)
    assert Drope(5e5).off(9) is None


def test_a_theta_that_is_no_number_is_refused():
    with pytest.raises(Refusal, match=r"position\.rope_theta must be a number, got 'x'"):
        Drope("x")  # type: ignore[arg-type]
