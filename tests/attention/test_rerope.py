import math

import pytest
import torch

from ctxext.attention.rerope import Rerope
from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places
from ctxext.refusal import Refusal

TIMES = torch.arange(20)
DISTANCES = TIMES[:, None] - TIMES
PAST = DISTANCES >= 0
LONG = 1000  # a trained length beyond all that is read here: logits stay as they are


@pytest.mark.parametrize("leak", [0.0, 0.25, 1.0])
def test_distances_beyond_the_window_stop_or_leak(leak, drawn_heads, gathered, dense, agree):
    heads = drawn_heads(20)
    far = 6 + leak * (DISTANCES - 6)
    expected = dense(heads, torch.where(DISTANCES < 6, DISTANCES, far), PAST)
    agree(heads, gathered(Rerope(6, leak, LONG), heads), expected)


def test_the_scored_distances_of_a_row_are_those_of_the_formula():
    places, table = Places.of(torch.arange(8)[None]), torch.full((8, 8), -1.0)
    for view in Rerope(3, 0.5, LONG).views(IntraDocument()):
        turned = view.turn_queries(places)[0, :, None] - view.turn_keys(places)[0, None, :]
        seen = view.visible(places, places)[0, 0]
        assert (table[seen] == -1).all()
        table[seen] = turned[seen].float()
    assert table[7].tolist() == [5.0, 4.5, 4.0, 3.5, 3.0, 2.0, 1.0, 0.0]


def test_logits_grow_with_the_visible_keys_beyond_the_trained_length(drawn_heads, gathered, dense, agree):
    heads = drawn_heads(20)
    scale = torch.tensor([max(1.0, math.log(count) / math.log(8)) for count in range(1, 21)], dtype=torch.float64)
    expected = dense(heads, DISTANCES.clamp(max=6), PAST, scale[:, None])
    agree(heads, gathered(Rerope(6, 0.0, 8), heads), expected)


def test_it_reads_through_a_window_and_a_cache(drawn_heads, gathered, dense, last_queries):
    heads = drawn_heads(20)
    expected = dense(heads, DISTANCES.clamp(max=6), PAST & (DISTANCES < 9))
    found = gathered(Rerope(6, 0.0, LONG), last_queries(heads, 3), mask=SlidingWindow(9))
    torch.testing.assert_close(found, expected[:, :, -3:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 20])
def test_off_it_is_softmax_to_the_bit(length, drawn_heads, gathered):
    heads = drawn_heads(length)
    assert torch.equal(gathered(Rerope(6, 0.0, 8).off(length), heads), gathered(Softmax(), heads))
    assert Rerope(6, 0.0, 8).base() == Softmax()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((0, 0.0, 8), r"attention\.window must be at least 1 token, got 0"),
        ((4, 1.5, 8), r"attention\.leak must be from 0 to 1, got 1\.5"),
        ((4, 0.0, 1), r"attention\.trained_length must be above 1 token, got 1"),
    ],
)
def test_settings_without_a_meaning_are_refused(settings, message):
    with pytest.raises(Refusal, match=message):
        Rerope(*settings)
