"""The formulas of the rotary family, held against numbers worked out by hand, for heads of width 8."""

import math

import pytest

from ctxext.model.families import Gemma3Geometry, Smollm3Geometry
from ctxext.model.geometry import DecoderGeometry
from ctxext.position.clipped import ClippedRope
from ctxext.position.dynamic import DynamicYarn, RopeDynamicNtk
from ctxext.position.gemma3 import Gemma3Rope
from ctxext.position.grid import GridRope
from ctxext.position.llama3 import Llama3
from ctxext.position.longrope import LongRope
from ctxext.position.partial import PartialRope, PRope
from ctxext.position.resonance import ResonanceRope
from ctxext.position.rope import Rope, RopeAbf, RopeByParts, RopeInterp, RopeNtk, Yarn
from ctxext.position.rope_nope import RopeNope
from ctxext.position.xpos import XPos
from ctxext.proving.formulas import in_body, turning
from ctxext.proving.rotation import overrides

PLAIN = [1.0, 0.1, 0.01, 0.001]
PARTS = [1.0, 0.0625, 0.0025, 0.00025]
FOURTH = [1.0, 0.1 / 4 ** (1 / 3), 0.01 / 4 ** (2 / 3), 0.00025]
HALF = 2 * math.pi / 16 / 2
"""A rate that turns half of a time over 16 tokens."""


@pytest.mark.parametrize(
    ("position", "length", "rates", "sharpness"),
    [
        (Rope(1e4), 64, PLAIN, 1.0),
        (RopeInterp(1e4, 4.0), 64, [rate / 4 for rate in PLAIN], 1.0),
        (RopeNtk(1e4, 4.0), 64, FOURTH, 1.0),
        (RopeAbf(10.0, 1e4), 64, PLAIN, 1.0),
        (RopeByParts(1e4, 4.0, 16, 2.0, 0.2), 64, PARTS, 1.0),
        (Yarn(1e4, 4.0, 16, 2.0, 0.2, 1.5), 64, PARTS, 2.25),
        (RopeDynamicNtk(1e4, 4.0, 16), 16, PLAIN, 1.0),
        (RopeDynamicNtk(1e4, 1.0, 16), 64, FOURTH, 1.0),
        (DynamicYarn(1e4, 16, 2.0, 0.2), 16, PLAIN, 1.0),
        (DynamicYarn(1e4, 16, 2.0, 0.2), 64, PARTS, (1 + 0.1 * math.log(4)) ** 2),
        (LongRope(1e4, 2.0, 16, (1.0,) * 4, (1.0, 2.0, 2.0, 4.0), 1.1), 16, PLAIN, 1.21),
        (LongRope(1e4, 2.0, 16, (1.0,) * 4, (1.0, 2.0, 2.0, 4.0), 1.1), 17, [1.0, 0.05, 0.005, 0.00025], 1.21),
        (Llama3(HALF**-4.0, 4.0, 16, 0.25, 0.75), 64, [1.0, HALF * 0.625, HALF**2 / 4, HALF**3 / 4], 1.0),
        (PartialRope(1e4, 0.5), 64, [1.0, 0.01], 1.0),
        (PRope(1e4, 0.5), 64, [1.0, 0.1, 0.0, 0.0], 1.0),
        (ClippedRope(1e4, 0.75), 64, [1.0, 0.1, 0.005, 0.0], 1.0),
        (
            ResonanceRope(1e4, 1.0, 16, 2.0, 0.2, 1.0),
            64,
            [2 * math.pi / number for number in (6, 63, 628, 6283)],
            1.0,
        ),
    ],
)
def test_pairs_turn_at_the_rates_worked_out_by_hand(position, length, rates, sharpness):
    found = turning(position, 8, length, (0, 4))
    assert found.candidates(1)[0] == pytest.approx(rates, rel=1e-9)
    assert found.growth(3) == pytest.approx([sharpness] * len(rates), rel=1e-9)


def test_some_layers_turn_nothing():
    rates = [turning(RopeNope(1e4, 2), 8, 64, (layer, 4)).rates[0] for layer in range(4)]
    assert rates == [1.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize(("layers", "is_global"), [(4, [0, 0, 1, 0]), (2, [0, 1])])
def test_global_layers_have_a_theta_of_their_own_and_are_interpolated(layers, is_global):
    found = [turning(Gemma3Rope(1e4, 1e8, 4.0, 3), 8, 64, (layer, layers)).rates for layer in range(layers)]
    expected = [[0.25, 0.0025, 0.000025, 0.00000025] if other else PLAIN for other in is_global]
    assert found == [pytest.approx(rates) for rates in expected]


def test_digits_turn_pairs_in_turn():
    (angles,) = turning(GridRope(1e4, 8, 2), 8, 64, (0, 4)).candidates(3 + 5 * 8)
    assert angles == pytest.approx([3.0, 0.5, 0.03, 0.005])


def test_logits_fall_with_the_distance():
    found = turning(XPos(1e4, 512.0), 8, 64, (0, 4)).growth(512)
    assert found == pytest.approx([(2 * pair + 3.2) / 11.2 for pair in range(4)])


def test_a_wavelength_halfway_between_two_tokens_may_be_rounded_either_way():
    found = turning(ResonanceRope((2 * math.pi / 100.5) ** -4.0, 1.0, 16, 2.0, 0.2, 1.0), 8, 64, (0, 4))
    assert [candidate[1] for candidate in found.candidates(1)] == pytest.approx([2 * math.pi / n for n in (100, 101)])


def test_every_option_that_turns_heads_has_its_formula(each_position):
    assert (turning(each_position, 8, 64, (0, 4)) is not None) == (overrides(each_position, "rotate"))


def test_a_body_turns_some_layers_in_its_own_way_whatever_was_chosen():
    sizes = (67, 24, 40, 3, 4, 2, 8, True, 1e-5)
    smollm3 = Smollm3Geometry(*sizes, no_rope_layers=(1, 0, 1))
    gemma = {"query_pre_attn_scalar": 8, "final_logit_softcapping": 0}
    gemma3 = Gemma3Geometry(*sizes, **gemma, rope_local_base_freq=16.0, local_layers=(0, 1, 1))

    def rates(geometry):
        return [found and found.rates for found in (in_body(geometry, 8, (layer, 3)) for layer in range(3))]

    assert rates(smollm3) == [None, [0.0] * 4, None]
    assert rates(gemma3) == [None, *[pytest.approx([1.0, 0.5, 0.25, 0.125])] * 2]
    assert rates(DecoderGeometry(*sizes)) == [None] * 3
