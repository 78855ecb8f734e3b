"""The machine of a plan: what is refused of it."""

from dataclasses import replace

import pytest

from ctxext.planning.settings import Hardware
from ctxext.refusal import Refusal

GPU = Hardware("mine", 80e9, 1e15, 3e12, 4e11, 5e10, 8, 0.4)


def test_no_machine_needs_no_numbers() -> None:
    assert not Hardware("", 0, 0, 0, 0, 0, 1, 0.4).is_known
    assert GPU.is_known


@pytest.mark.parametrize("name", ["memory", "flops", "memory_bandwidth", "link_bandwidth", "network_bandwidth", "node"])
def test_a_machine_has_more_than_nothing_of_each(name: str) -> None:
    with pytest.raises(Refusal, match=rf"hardware\.{name} must be above 0, got 0"):
        replace(GPU, **{name: 0})


@pytest.mark.parametrize("name", ["memory", "flops", "memory_bandwidth", "link_bandwidth", "network_bandwidth", "node"])
def test_numbers_of_a_machine_without_a_name_are_not_left_out_in_silence(name: str) -> None:
    nothing = Hardware("", 0, 0, 0, 0, 0, 1, 0.4)
    with pytest.raises(Refusal, match=rf"hardware\.{name} is of a GPU without a name"):
        replace(nothing, **{name: 8})


@pytest.mark.parametrize("share", [0.0, 1.1])
def test_no_more_than_the_peak_is_reached(share: float) -> None:
    with pytest.raises(Refusal, match=r"hardware\.utilisation must be above 0 and at most 1"):
        replace(GPU, utilisation=share)
