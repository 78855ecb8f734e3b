"""Masks in letters, scaled to the length."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places, distances
from ctxext.proving.picture import named, pictures
from ctxext.seams import Attention, Heads, Mask, Position, Reach, View


def test_a_window_at_a_letter_a_token(examined):
    (picture,) = pictures(examined(mask=SlidingWindow(3)), 6)
    assert picture.lines == ("A", "AA", "AAA", ".AAA", "..AAA", "...AAA")
    assert picture.words == "every layer: A as they stand"


def test_sinks_and_window_at_two_tokens_a_letter(examined):
    (picture,) = pictures(examined(mask=Sinks(5, 1)), 64)
    assert picture.lines[:3] == ("A", "AA", "AAA")
    assert picture.lines[-1] == "b" + "." * 28 + "aAA"
    assert picture.words == "every layer: A as they stand; B at other distances"


def test_layers_that_differ_have_pictures_of_their_own(examined):
    class Alternating(IntraDocument):
        def layer(self, index: int, count: int) -> Mask:
            return SlidingWindow(2) if index else IntraDocument()

    first, second = pictures(examined(mask=Alternating()), 4)
    assert (first.lines[-1], second.lines[-1]) == ("AAAA", "..AA")
    assert (first.words[:8], second.words[:8]) == ("layer 0:", "layer 1:")


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ({"": [0, 1], " in training": [0, 1]}, "every layer"),
        ({"": [0], " in training": [0]}, "layer 0"),
        ({" in training": [0, 1]}, "every layer in training"),
        ({"": [0, 1], " in training": [1]}, "every layer and layer 1 in training"),
    ],
)
def test_layers_are_named_for_each_way_of_standing(where, told):
    assert named(where, 2) == told


def test_heads_that_differ_are_noted_and_the_first_is_shown(examined):
    @dataclass(frozen=True)
    class ByHead(IntraDocument):
        def views(self) -> tuple[View, ...]:
            def visible(queries: Places, keys: Places) -> Tensor:
                distance = distances(queries, keys)
                return (distance >= 0) & (distance < torch.tensor([1, 2, 3, 4])[None, :, None, None])

            return (View(visible, Reach("band", 4)),)

    (picture,) = pictures(examined(mask=ByHead()), 4)
    assert picture.lines == ("A", ".A", "..A", "...A")
    assert picture.words.endswith("heads differ, the first is shown")


def test_what_a_rule_of_its_own_lets_through_is_measured(examined):
    @dataclass(frozen=True)
    class Nearest(Attention):
        """Sees two tokens, whatever the mask shows, and three in training."""

        size: int = 2

        def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
            return Softmax().gather(heads, queries, keys, position, SlidingWindow(self.size))

        def in_training(self) -> Attention:
            return Nearest(3)

    first, second = pictures(examined(attention=Nearest()), 4)
    assert first.lines == ("A", "AA", ".AA", "..AA")
    assert second.lines == ("A", "AA", "AAA", ".AAA")
    assert second.words.startswith("every layer in training: A what passes, measured")
