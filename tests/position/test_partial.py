"""Rotations of a share of a head."""

import pytest
import torch

from ctxext.places import Places
from ctxext.position.partial import PartialRope, PRope
from ctxext.position.rope import Rope
from ctxext.refusal import Refusal

PLACES = Places.of(torch.arange(50)[None])
HEADS = torch.randn(1, 2, 50, 32, generator=torch.Generator().manual_seed(0))


def test_partial_rotation_turns_the_first_dimensions_as_a_narrower_head_and_leaves_the_others():
    turned = PartialRope(1e4, 0.25).rotate(HEADS, PLACES)
    assert torch.equal(turned[..., :8], Rope(1e4).rotate(HEADS[..., :8], PLACES))
    assert torch.equal(turned[..., 8:], HEADS[..., 8:])


def test_p_rope_turns_the_fastest_pairs_of_a_whole_head_and_leaves_the_others():
    turned, plain = PRope(1e4, 0.25).rotate(HEADS, PLACES), Rope(1e4).rotate(HEADS, PLACES)
    fast = [0, 1, 2, 3, 16, 17, 18, 19]
    still = [dimension for dimension in range(32) if dimension not in fast]
    assert torch.equal(turned[..., fast], plain[..., fast])
    assert torch.equal(turned[..., still], HEADS[..., still])


def test_the_two_are_different_models():
    shares = PartialRope(1e4, 0.25), PRope(1e4, 0.25)
    first, second = (encoding.rotate(HEADS, PLACES) for encoding in shares)
    assert not torch.allclose(first, second, atol=0.1)


def test_partial_rotation_is_trained_from_scratch_and_p_rope_extends_a_base():
    assert PartialRope(1e4, 0.25).base() == PartialRope(1e4, 0.25)
    assert PRope(1e4, 0.25).base() == Rope(1e4)
    assert torch.equal(PRope(1e4, 0.25).off(9).rotate(HEADS, PLACES), Rope(1e4).rotate(HEADS, PLACES))


def test_frequencies_that_are_kept_for_later_are_not_those_that_were_stilled():
    PRope(1e4, 0.25).rotate(HEADS, PLACES)
    assert Rope(1e4).frequencies(32).all()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: PartialRope(1e4, 0.0), "position.partial_rotary_factor must be above 0 and at most 1, got 0.0"),
        (lambda: PRope(1e4, 1.5), "position.partial_rotary_factor must be above 0 and at most 1, got 1.5"),
        (lambda: PartialRope(1e4, 0.25).frequencies(12), "x model.head_dim=12 must be an even number, got 3"),
        (lambda: PartialRope(1e4, 0.1).frequencies(8), "x model.head_dim=8 must be an even number, got 0.8"),
        (
            lambda: PRope(1e4, 0.1).frequencies(16),
            "position.partial_rotary_factor=0.1 turns no pair of model.head_dim=16; it must be at least 0.125",
        ),
    ],
)
def test_settings_without_a_meaning_are_refused(make, sentence):
    with pytest.raises(Refusal) as refused:
        make()
    assert sentence in str(refused.value)
