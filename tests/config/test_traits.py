"""What the parts of a run do, told from what they override and from what they show."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ctxext.config import traits
from ctxext.config.schema import Run
from ctxext.mask.causal import past
from ctxext.mask.document import IntraDocument
from ctxext.places import Places
from ctxext.seams import View


def test_a_member_is_named_as_it_is_chosen(built: Callable[..., Run]) -> None:
    run = built("mask=sinks", "position=yarn")
    assert (traits.option(run, "position"), traits.chosen(run, "mask")) == ("yarn", "mask=sinks")
    assert traits.numbers(run, "mask") == "mask=sinks with mask.window=252, mask.sinks=4"
    assert traits.numbers(run, "attention") == "attention=softmax"


@pytest.mark.parametrize(("length", "hides"), [(16, False), (17, True), (64, True)])
def test_a_window_hides_from_the_token_after_its_width_on(length: int, hides: bool, small: Callable[..., Run]) -> None:
    run = small(mask="sliding_window")
    assert run.mask.window == 16
    assert traits.hides(run, length) == hides


@pytest.mark.parametrize(("mask", "remaps"), [("document", False), ("sliding_window", False), ("sinks", True)])
def test_a_mask_remaps_if_it_scores_a_pair_at_another_distance(
    mask: str, remaps: bool, small: Callable[..., Run]
) -> None:
    assert traits.remaps(small(mask=mask), "mask") == remaps


@pytest.mark.parametrize(
    ("attention", "remaps"), [("softmax", False), ("log_n", False), ("self_extend", True), ("rerope", True)]
)
def test_a_mechanism_remaps_if_it_scores_a_pair_at_another_distance(
    attention: str, remaps: bool, small: Callable[..., Run]
) -> None:
    assert traits.remaps(small(attention=attention), "attention") == remaps


def test_a_mechanism_set_to_softmax_neither_remaps_nor_acts(small: Callable[..., Run]) -> None:
    run = small(attention="self_extend")
    assert traits.acts(run, IntraDocument())
    ungrouped = replace(run, attention=replace(run.attention, group=1))
    assert not traits.remaps(ungrouped, "attention")
    assert not traits.acts(ungrouped, IntraDocument())


def test_a_view_moves_only_pairs_that_it_sees_and_only_against_each_other() -> None:
    queries, keys = traits.end_of(8)

    def later(places: Places) -> Tensor:
        return places.positions + 3

    def nothing(queries: Places, keys: Places) -> Tensor:
        return torch.zeros_like(past(queries, keys))

    assert traits.moves(View(past, turn_queries=later), queries, keys)
    assert not traits.moves(View(nothing, turn_queries=later), queries, keys)
    assert not traits.moves(View(past, turn_queries=later, turn_keys=later), queries, keys)
    assert not traits.moves(View(past), queries, keys)


def test_options_of_one_class_are_told_apart_by_their_values(built: Callable[..., Run]) -> None:
    run = built("+method=llama4_like")
    assert [traits.chosen(run, slot) for slot in ("model", "position", "mask", "attention")] == [
        "model=tiny",
        "position=rope_nope",
        "mask=layered_chunks",
        "attention=temperature_llama4",
    ]
    assert traits.chosen(built("mask=layered"), "mask") == "mask=layered"
    assert traits.chosen(built("mask=layered_chunks", "mask.window=64"), "mask") == "mask=layered_chunks"


@pytest.mark.parametrize(("span", "hides"), [(63, False), (62, True)])
def test_spans_that_hold_a_text_show_all_of_it(span: int, hides: bool, small: Callable[..., Run]) -> None:
    run = small(mask="adaptive_span")
    run = replace(run, mask=replace(run.mask, initial_span=span))
    assert traits.hides(run, 64) == hides


@pytest.mark.parametrize(("trained_length", "acts"), [(64, False), (63, True)])
def test_what_a_mask_weighs_is_not_the_attentions_doing(
    trained_length: int, acts: bool, small: Callable[..., Run]
) -> None:
    run = small(mask="adaptive_span", attention="log_n")
    wide = replace(run.mask, max_span=64, initial_span=40, ramp=64)
    run = replace(run, mask=wide, attention=replace(run.attention, trained_length=trained_length))
    assert traits.hides(run, 64)
    assert traits.acts(run, run.mask) == acts


def test_what_is_learned_is_judged_without_touching_the_runs_draws(small: Callable[..., Run]) -> None:
    run = small(position="learned")
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert traits.in_layers(run, run.position)
    assert torch.equal(torch.get_rng_state(), before)
