import pytest
import torch

from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places
from ctxext.refusal import Refusal


def test_the_window_counts_the_token_itself():
    places = Places.of(torch.arange(5)[None])
    (view,) = SlidingWindow(2).views()
    assert view.visible(places, places)[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 1, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 1, 1],
    ]


def test_a_key_is_window_minus_1_columns_back_at_most_whatever_its_position():
    places = Places.of(torch.arange(300)[None] * 7)
    (view,) = SlidingWindow(256).views()
    seen = view.visible(places, places)[0, 0]
    assert seen[299, 44]
    assert not seen[299, 43]


def test_it_extends_a_model_with_the_causal_mask():
    assert SlidingWindow(3).base() == IntraDocument()


@pytest.mark.parametrize(("window", "rule"), [(0, "at least 1 token, got 0"), (2.5, "a whole number, got 2.5")])
def test_an_impossible_window_is_refused(window, rule):
    with pytest.raises(Refusal, match=rf"mask\.window must be {rule}"):
        SlidingWindow(window)
