"""LongRoPE."""

from dataclasses import replace

import pytest
import torch

from ctxext.places import Places
from ctxext.position.longrope import LongRope
from ctxext.position.rope import Rope, RopeByParts
from ctxext.refusal import Refusal

SHORT, LONG = (1.0, 1.1, 1.2, 1.3), (1.0, 2.0, 3.5, 4.0)
MEMBER = LongRope(1e4, 4.0, 16, SHORT, LONG, 1.25)
BASE = torch.tensor([1, 0.1, 0.01, 0.001], dtype=torch.float64)


@pytest.mark.parametrize(("length", "divisors"), [(1, SHORT), (15, SHORT), (16, SHORT), (17, LONG), (64, LONG)])
def test_short_texts_take_the_short_factors_and_longer_ones_the_long(length, divisors):
    heads = torch.randn(1, 2, length, 8, generator=torch.Generator().manual_seed(0))
    found = MEMBER.rotate(heads, Places.of(torch.arange(length)[None])).double()
    angles = torch.arange(length)[:, None] * BASE / torch.tensor(divisors, dtype=torch.float64)
    pairs = torch.complex(heads[..., :4].double(), heads[..., 4:].double())
    turned = 1.25 * pairs * torch.exp(1j * angles)
    torch.testing.assert_close(found, torch.cat((turned.real, turned.imag), dim=-1), rtol=1e-5, atol=1e-5)


def test_lists_become_tuples_so_that_it_can_be_a_key():
    listed = LongRope(1e4, 4.0, 16, [1, 1, 1, 1], [1, 2, 3, 4], 1.0)  # type: ignore[arg-type]
    assert listed == LongRope(1e4, 4.0, 16, (1.0,) * 4, (1.0, 2.0, 3.0, 4.0), 1.0)
    assert hash(listed) == hash(replace(listed))


def test_the_option_begins_with_yarn_s_frequencies_beyond_the_trained_length_and_the_base_s_up_to_it(built):
    position = built("position=longrope").position
    assert position.factor == 4
    assert position.at(257).frequencies(64).tolist() == pytest.approx(
        RopeByParts(1e4, 4.0, 256, 32.0, 1.0).frequencies(64).tolist(), rel=1e-6
    )
    assert torch.equal(position.at(256).frequencies(64), Rope(1e4).frequencies(64))
    assert position.amplitude == pytest.approx(1.25**0.5)  # sqrt(1 + ln 4 / ln 256)


def test_the_option_is_neutral_at_factor_1(built):
    position = built("position=longrope", "context_length=256", "evaluation.lengths=[128,256]").position
    assert position.off(1000) == position
    assert torch.equal(position.frequencies(64), Rope(1e4).frequencies(64))


def test_the_option_takes_lists(built):
    found = built("position=longrope", f"position.long_factor={[4.0] * 32}").position
    assert found.long_factor == (4.0,) * 32


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: MEMBER.at(17).frequencies(16),
            "position.short_factor needs 8 numbers, one for each pair of model.head_dim=16, got 4",
        ),
        (
            lambda: replace(MEMBER, long_factor=LONG[:3]).frequencies(8),
            "position.long_factor needs 4 numbers, one for each pair of model.head_dim=8, got 3",
        ),
        (lambda: replace(MEMBER, long_factor=(1.0, 0.0, 1.0, 1.0)), "position.long_factor must hold finite numbers"),
        (lambda: replace(MEMBER, short_factor=(float("inf"),)), "position.short_factor must hold finite numbers"),
        (lambda: replace(MEMBER, long_factor=("a",)), "position.long_factor must be a list, each a number, got ('a',)"),
        (lambda: replace(MEMBER, long_factor=4.0), "position.long_factor must be a list, each a number, got 4.0"),
        (lambda: replace(MEMBER, factor=0.5), "position.factor must be at least 1, got 0.5"),
        (lambda: replace(MEMBER, attention_factor=0.0), "position.attention_factor must be above 0, got 0.0"),
        (
            lambda: replace(MEMBER, original_max_position_embeddings=0),
            "position.original_max_position_embeddings must be above 0, got 0",
        ),
    ],
)
def test_settings_without_a_meaning_are_refused(make, sentence):
    with pytest.raises(Refusal) as refused:
        make()
    assert sentence in str(refused.value)
