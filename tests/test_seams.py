import pytest
import torch

from ctxext.places import Places
from ctxext.seams import Attention, Mask, Position, Sizes


def test_hooks_that_no_member_overrides_change_nothing():
    heads, places = (
        torch.randn(1, 2, 3, 4),
        Places.of(torch.arange(3)[None]),
    )
    position, attention, sizes = Position(), Attention(), Sizes(8, 2, 2, 2, 4)
    assert position.embed(heads[0], places).equal(heads[0])
    assert position.rotate(heads, places) is heads
    assert position.bias(places, places, 2) is None
    assert position.contextual_bias(heads, heads, heads) is None
    assert position.limit() is None
    assert attention.remember(heads[0]) == ()
    assert attention.in_training() is attention
    for member in (position, attention, Mask()):
        assert member.base() is member
        assert member.off(3) is None
        assert member.grown(sizes, None) is member
        assert member.layer(0, 2) is member
        assert member.period() == 1
        assert member.keeps_prefix()
        assert member.penalty() is None


def test_a_mask_has_to_state_its_views():
    with pytest.raises(TypeError, match="Mask states no views"):
        Mask().views()
