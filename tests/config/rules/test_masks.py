"""Masks that hide nothing, leave no room, or take all from what stands beside them."""

from collections.abc import Callable

import pytest

from ctxext.config.legality import notes
from ctxext.config.schema import Run
from ctxext.refusal import Refusal

ILLEGAL = [
    (
        "mask=sliding_window mask.window=4096",
        "mask=sliding_window with mask.window=4096 sees all of every length up to 2048, so that it could have no",
    ),
    ("mask=sliding_window mask.window=2048", "choose smaller numbers, or mask=document"),
    ("mask=sinks mask.window=2048", "sees all of every length up to 2048"),
    ("mask=adaptive_window mask.gamma=1", "sees all of every length up to 2048"),
    ("mask=adaptive_window mask.trained_length=2048", "sees all of every length up to 2048"),
    ("mask=adaptive_span mask.max_span=2047 mask.initial_span=2047 trainer.steps=0", "sees all of every length up to"),
    ("mask=adaptive_span mask.max_span=2047 mask.initial_span=2047 mask.coefficient=0", "sees all of every length up"),
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
    "mask=adaptive_window mask.trained_length=2000",
    "mask=adaptive_span mask.max_span=2047 mask.initial_span=2046 trainer.steps=0",
]


@pytest.mark.parametrize(("typed", "fragment"), ILLEGAL, ids=[typed for typed, _ in ILLEGAL])
def test_a_mask_that_cannot_work_is_refused(typed: str, fragment: str, built: Callable[..., Run]) -> None:
    with pytest.raises(Refusal) as caught:
        built(*typed.split())
    assert fragment in str(caught.value)


@pytest.mark.parametrize("typed", LEGAL)
def test_a_mask_that_leaves_something_to_see_and_to_change_is_taken(typed: str, built: Callable[..., Run]) -> None:
    assert built(*typed.split())


@pytest.mark.parametrize(("initial", "is_later"), [(2047, True), (2046, False)])
def test_spans_that_hide_nothing_until_they_are_trained_are_said_in_a_line(
    initial: int, is_later: bool, built: Callable[..., Run]
) -> None:
    lines = notes(built("mask=adaptive_span", "mask.max_span=2047", f"mask.initial_span={initial}"))
    assert any(line.endswith("up to 2048 until training narrows it") for line in lines) == is_later
