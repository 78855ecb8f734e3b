"""RoPE and NoPE in turn."""

import pytest

from ctxext.position.nope import Nope
from ctxext.position.rope import Rope
from ctxext.position.rope_nope import RopeNope
from ctxext.refusal import Refusal


@pytest.mark.parametrize(("interval", "without"), [(4, [3, 7]), (2, [1, 3, 5, 7]), (9, [])])
def test_every_so_many_layers_one_has_no_rotation(interval, without):
    layers = [RopeNope(5e5, interval).layer(index, 8) for index in range(8)]
    assert layers == [Nope() if index in without else Rope(5e5) for index in range(8)]


def test_it_is_trained_from_scratch():
    assert RopeNope(1e4, 4).base() == RopeNope(1e4, 4)


def test_an_interval_that_leaves_no_rotation_is_refused():
    with pytest.raises(Refusal, match=r"position\.interval must be at least 2 layers, got 1"):
        RopeNope(1e4, 1)
