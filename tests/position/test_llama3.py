"""Llama 3's bands."""

import math
from dataclasses import replace

import pytest
import torch

from ctxext.position.llama3 import Llama3
from ctxext.position.rope import Rope
from ctxext.refusal import Refusal

MEMBER = Llama3(5e5, 8.0, 8192, 1.0, 4.0)


def test_pairs_of_many_turns_are_kept_those_of_few_divided_and_between_they_are_blended():
    base = Rope(5e5).frequencies(128)
    turns = 8192 * base.double() / (2 * math.pi)
    share = MEMBER.frequencies(128).double() / base.double()
    assert torch.equal(MEMBER.frequencies(128)[turns > 4], base[turns > 4])
    torch.testing.assert_close(share[turns < 1], torch.full_like(share[turns < 1], 1 / 8))
    between = (turns > 1) & (turns < 4)
    assert between.sum() > 3
    torch.testing.assert_close(share[between], 1 / 8 + 7 / 8 * (turns[between] - 1) / 3, rtol=1e-5, atol=0)


def test_at_factor_1_it_is_the_base_to_the_bit():
    for theta in (1e3, 1e4, 1e5, 5e5, 1e6):
        neutral = Llama3(theta, 1.0, 300, 1.0, 4.0)
        assert torch.equal(neutral.frequencies(256), Rope(theta).frequencies(256))
    assert MEMBER.off(100) == replace(MEMBER, factor=1.0)
    assert MEMBER.base() == Rope(5e5)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"high_freq_factor": 1.0}, "position.high_freq_factor must be above position.low_freq_factor"),
        ({"low_freq_factor": 0.0}, "both above 0, got 4.0 and 0.0"),
        ({"original_max_position_embeddings": 0}, "position.original_max_position_embeddings must be above 0, got 0"),
        ({"factor": 0.9}, "position.factor must be at least 1, got 0.9"),
    ],
)
def test_settings_without_a_meaning_are_refused(change, sentence):
    with pytest.raises(Refusal) as refused:
        replace(MEMBER, **change)
    assert sentence in str(refused.value)
