"""What is legal and may surprise."""

import math
from collections.abc import Callable

import pytest

from ctxext.config.legality import notes
from ctxext.config.schema import Run

LONG = "base=none base.trained_length=2048 base.batch_tokens=4096 model.head_dim=128 context_length=4096"


@pytest.mark.parametrize("option", ["yarn", "rope_by_parts", "dynamic_yarn"])
def test_a_ramp_that_begins_at_once_is_said(option: str, built: Callable[..., Run]) -> None:
    (line,) = notes(built(f"position={option}"))
    assert line.startswith(f"position={option} leaves no rotary pair but the fastest as it was")
    assert notes(built(f"position={option}", *LONG.split())) == []


def test_a_factor_of_one_has_no_ramp_and_a_network_without_heads_no_theta(built: Callable[..., Run]) -> None:
    assert not any("ramp" in line for line in notes(built("position=yarn", "context_length=256")))
    assert notes(built("+method=lstm")) == []


TOY = [
    (
        "position=fire base=none position.normaliser_floor=512",
        "position.normaliser_floor=512 is not below base.trained_length=256, so that position=fire is trained with",
    ),
    ("position=grid_rope base=none position.radix=300", "position.radix=300 is above base.trained_length=256"),
    (
        "position=grid_rope base=none position.radix=16",
        "position.dims=2 digits of position.radix=16 count to 256, so that the top digit outgrows context_length=1024",
    ),
    (
        "mask=chunked",
        "mask=chunked with mask.chunk=256 lets a token learn of the 256 before it through 4 layers together, and",
    ),
    (
        "mask=layered mask.pattern=S",
        "lets a token learn of the 1021 before it through 4 layers together, and context_length=1024 lies beyond",
    ),
]


@pytest.mark.parametrize(("typed", "fragment"), TOY, ids=[typed for typed, _ in TOY])
def test_what_is_out_of_proportion_is_said_in_a_line(typed: str, fragment: str, built: Callable[..., Run]) -> None:
    (line,) = notes(built(*typed.split()))
    assert fragment in line


@pytest.mark.parametrize("typed", ["position=fire base=none", "position=grid_rope base=none", "mask=layered"])
def test_what_is_in_proportion_is_not(typed: str, built: Callable[..., Run]) -> None:
    assert notes(built(*typed.split())) == []


def test_two_temperatures_are_said_with_their_product(built: Callable[..., Run]) -> None:
    sharpened, grown = (0.1 * math.log(2) + 1) ** 2, math.log(4096) / math.log(2048)
    (line,) = notes(built("position=yarn", "attention=log_n", *LONG.split()))
    assert line.startswith("two temperatures multiply: position=yarn multiplies logits by")
    assert line.endswith(f"together {sharpened * grown:.4g}")
    assert f"attention=log_n by up to {grown:.4g}" in line


def test_a_temperature_of_one_multiplies_nothing(built: Callable[..., Run]) -> None:
    assert notes(built("position=rope_interp", "attention=log_n")) == []


@pytest.mark.parametrize(("theta", "is_low"), [(100.0, True), (10000.0, False)])
def test_a_theta_too_low_for_the_length_is_said(theta: float, is_low: bool, built: Callable[..., Run]) -> None:
    lines = notes(built("base=none", f"position.rope_theta={theta}"))
    assert any("position=rope with position.rope_theta=100.0 is low for 256 tokens" in line for line in lines) == is_low
