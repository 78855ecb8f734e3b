"""Rotary encodings in GGUF's keys; what llama.cpp makes of them is in test_writing.py."""

import math

import pytest
import torch

from ctxext.formats.gguf.writing.ropes import CHOICE, STANDING, Turning, longrope, plain, quotients, unturned, yarn
from ctxext.position.longrope import LongRope
from ctxext.position.nope import Nope
from ctxext.position.rope import Rope, RopeByParts, Yarn


def test_the_untouched_encoding_is_a_theta_alone() -> None:
    assert plain(Rope(500.0), 8) == Turning(500.0, {"scaling.type": "none"})


def test_yarn_leaves_nothing_to_multiply_and_ntk_by_parts_undoes_what_llama_cpp_does_itself() -> None:
    own = 0.1 * math.log(4) + 1
    assert yarn(Yarn(10000.0, 4.0, 64, 32.0, 1.0, own), 8).attention_factor == pytest.approx(1)
    assert yarn(RopeByParts(10000.0, 4.0, 64, 32.0, 1.0), 8).attention_factor == pytest.approx(1 / own)
    assert yarn(RopeByParts(10000.0, 1.0, 64, 32.0, 1.0), 8).attention_factor == 1


def test_another_ramp_is_a_list_of_divisors_since_bindings_override_the_keys_of_ramps() -> None:
    turning = yarn(Yarn(10000.0, 4.0, 64, 16.0, 1.0, 1.3), 8)
    assert turning.keys == {"scaling.type": "none"}
    assert list(turning.divisors) == ["rope_freqs.weight"]
    assert turning.attention_factor == 1.3


def test_equal_lists_of_longrope_are_one_and_others_come_with_a_note() -> None:
    short, long = (1.0, 1.0), (1.0, 2.0)
    assert longrope(LongRope(100.0, 2.0, 64, long, long, 1.1), 4).divisors["rope_freqs.weight"] == pytest.approx(long)
    assert longrope(LongRope(100.0, 2.0, 64, short, long, 1.1), 4).notes == (CHOICE,)


def test_what_stands_still_is_divided_by_what_no_angle_survives() -> None:
    assert unturned(Nope(), 4).divisors["rope_freqs.weight"] == (STANDING, STANDING)
    assert quotients(100.0, torch.tensor([0.5, 0.0])) == (2.0, STANDING)
    assert torch.cos(torch.tensor(1e9) / STANDING) == 1
