"""Clipped rotation."""

import pytest
import torch

from ctxext.position.clipped import ClippedRope
from ctxext.position.rope import Rope
from ctxext.refusal import Refusal


@pytest.mark.parametrize(("width", "tapered"), [(128, 20), (64, 10), (32, 5), (24, 4), (16, 2), (8, 2), (4, 2)])
def test_a_share_of_the_pairs_is_tapered_the_slowest_to_nothing(width, tapered):
    shares = ClippedRope(1e4, 0.3125).frequencies(width) / Rope(1e4).frequencies(width)
    assert torch.equal(shares[: width // 2 - tapered + 1], torch.ones(width // 2 - tapered + 1))
    assert shares[-1] == 0
    falling = shares[width // 2 - tapered :]
    assert (falling.diff() < 0).all()
    torch.testing.assert_close(
        falling + falling.flip(0), torch.ones(tapered)
    )  # the taper is symmetric about its middle


def test_it_is_no_base_at_any_setting():
    assert ClippedRope(1e4, 0.3125).base() == Rope(1e4)
    assert ClippedRope(1e4, 0.3125).off(16) is None


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ClippedRope(1e4, 0.0), "position.share must be above 0 and at most 1, got 0.0"),
        (lambda: ClippedRope(1e4, 1.1), "position.share must be above 0 and at most 1, got 1.1"),
        (lambda: ClippedRope(1e4, 0.5).frequencies(2), "position=clipped_rope needs model.head_dim above 2, got 2"),
    ],
)
def test_settings_without_a_meaning_are_refused(make, sentence):
    with pytest.raises(Refusal) as refused:
        make()
    assert sentence in str(refused.value)
