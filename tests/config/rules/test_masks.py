"""Masks that hide nothing, leave no room, or take all from what stands beside them."""

from collections.abc import Callable

import pytest

from ctxext.config.schema import Run
from ctxext.refusal import Refusal

ILLEGAL = [
    (
        "mask=sliding_window mask.window=4096",
        "mask=sliding_window with mask.window=4096 sees all of every length up to 2048, so that it could have no",
    ),
    ("mask=sliding_window mask.window=2048", "choose smaller numbers, or mask=document"),
    ("mask=sinks mask.window=2048", "sees all of every length up to 2048"),
    ("mask=sinks mask.window=253", "together are above base.trained_length=256"),
    (
        "attention=self_extend mask=sinks",
        "attention=self_extend and mask=sinks both remap distances; use mask=document",
    ),
    (
        "attention=self_extend mask=sliding_window mask.window=128",
        "mask=sliding_window hides all that attention=self_extend would change; use mask=document",
    ),
    ("attention=log_n mask=sliding_window", "mask=sliding_window hides all that attention=log_n would change"),
]
LEGAL = [
    "mask=sliding_window mask.window=2047",
    "attention=self_extend mask=sliding_window mask.window=140",
    "attention=log_n mask=sliding_window mask.window=257",
    "attention=temperature mask=sinks",
]


@pytest.mark.parametrize(("typed", "fragment"), ILLEGAL, ids=[typed for typed, _ in ILLEGAL])
def test_a_mask_that_cannot_work_is_refused(typed: str, fragment: str, built: Callable[..., Run]) -> None:
    with pytest.raises(Refusal) as caught:
        built(*typed.split())
    assert fragment in str(caught.value)


@pytest.mark.parametrize("typed", LEGAL)
def test_a_mask_that_leaves_something_to_see_and_to_change_is_taken(typed: str, built: Callable[..., Run]) -> None:
    assert built(*typed.split())
