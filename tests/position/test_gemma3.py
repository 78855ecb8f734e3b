"""Gemma 3's rotation by layer."""

import pytest

from ctxext.mask.document import IntraDocument
from ctxext.mask.layered import Layered
from ctxext.position.gemma3 import Gemma3Rope
from ctxext.position.rope import Rope, RopeInterp
from ctxext.refusal import Refusal

MEMBER = Gemma3Rope(1e4, 1e6, 8.0, 6)


@pytest.mark.parametrize("count", [1, 2, 4, 6, 7, 26])
def test_the_layers_that_see_all_turn_slowly_and_the_others_as_ever(count):
    mask = Layered("SSSSSL", 16, 16, "constant")
    for index in range(count):
        sees_all = isinstance(mask.layer(index, count), IntraDocument)
        assert MEMBER.layer(index, count) == (RopeInterp(1e6, 8.0) if sees_all else Rope(1e4))


def test_its_base_has_both_thetas_and_no_interpolation():
    assert MEMBER.base() == MEMBER.off(99) == Gemma3Rope(1e4, 1e6, 1.0, 6)


@pytest.mark.parametrize(("settings", "key"), [((1e4, 1e6, 8.0, 1), "global_every"), ((1e4, 1e6, 0.5, 6), "factor")])
def test_settings_without_sense_are_refused(settings, key):
    with pytest.raises(Refusal, match=rf"position\.{key} must be at least"):
        Gemma3Rope(*settings)
