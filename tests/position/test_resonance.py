"""Resonance."""

import math
from dataclasses import replace

import pytest
import torch

from ctxext.places import Places
from ctxext.position.resonance import ResonanceRope
from ctxext.position.rope import Rope, Yarn
from ctxext.refusal import Refusal

MEMBER = ResonanceRope(1e4, 4.0, 256, 32.0, 1.0, 1.2)


@pytest.mark.parametrize("member", [MEMBER, replace(MEMBER, factor=1.0)])
@pytest.mark.parametrize("theta", [100.0, 1e4, 5e5])
def test_every_wavelength_is_a_whole_number_of_tokens_next_to_the_one_before(member, theta):
    member = replace(member, rope_theta=theta)
    before = 2 * math.pi / member.yarn.frequencies(64).double()
    wavelengths = 2 * math.pi / member.frequencies(64).double()
    torch.testing.assert_close(wavelengths, wavelengths.round(), rtol=1e-6, atol=0)
    assert ((wavelengths - before).abs() <= 0.5 + 1e-6 * before).all()


def test_features_repeat_after_a_wavelength():
    heads = torch.randn(1, 1, 1, 64, generator=torch.Generator().manual_seed(0))
    wavelength = round(2 * math.pi / MEMBER.frequencies(64)[5].item())
    here, there = (MEMBER.rotate(heads, Places.of(torch.tensor([[at]])))[..., [5, 37]] for at in (3, 3 + wavelength))
    torch.testing.assert_close(here, there, rtol=0, atol=1e-4)


def test_the_fastest_pair_turns_once_in_six_tokens():
    for theta in (1.5, 1e4):
        assert replace(MEMBER, rope_theta=theta).frequencies(64)[0].item() == pytest.approx(2 * math.pi / 6)


def test_above_factor_1_yarn_s_wavelengths_are_rounded_and_its_amplitude_is_kept():
    yarn = Yarn(1e4, 4.0, 256, 32.0, 1.0, 1.2)
    rounded = [2 * math.pi / round(2 * math.pi / w) for w in yarn.frequencies(32).tolist()]
    assert MEMBER.frequencies(32).tolist() == pytest.approx(rounded, rel=1e-6)
    assert MEMBER.amplitude == 1.2
    assert not torch.allclose(replace(MEMBER, factor=1.0).frequencies(32), MEMBER.frequencies(32))


def test_it_is_no_base_at_any_factor(built):
    assert MEMBER.base() == Rope(1e4)
    assert MEMBER.off(16) is None
    plain = built("position=resonance_rope").position
    assert (plain.factor, plain.attention_factor) == (1, 1)
    assert not torch.equal(plain.frequencies(64), Rope(1e4).frequencies(64))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"factor": 0.5}, "position.factor must be at least 1, got 0.5"),
        ({"beta_fast": 0.5}, "position.beta_fast must be above position.beta_slow"),
        ({"attention_factor": 0.0}, "position.attention_factor must be above 0, got 0.0"),
    ],
)
def test_settings_without_a_meaning_are_refused(change, sentence):
    with pytest.raises(Refusal) as refused:
        replace(MEMBER, **change)
    assert sentence in str(refused.value)
