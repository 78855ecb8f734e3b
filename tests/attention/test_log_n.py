import math

import pytest
import torch

from ctxext.attention.log_n import LogN
from ctxext.attention.softmax import Softmax
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places
from ctxext.refusal import Refusal


def scale(mask, places: Places, queries: Places) -> list[float]:
    return LogN(10).scale(queries, places, mask.views())[0, 0].tolist()


def test_the_scale_is_exactly_1_up_to_the_trained_length_and_then_the_ratio_of_logarithms():
    places = Places.of(torch.arange(100)[None])
    found = scale(IntraDocument(), places, places)
    assert found[:10] == [1.0] * 10
    assert found[10:] == pytest.approx([math.log(count) / math.log(10) for count in range(11, 101)])
    assert found[99] == pytest.approx(2.0)


def test_a_window_and_a_document_bound_the_keys_that_are_counted():
    places = Places.of(torch.arange(100)[None])
    assert scale(SlidingWindow(20), places, places)[50:] == pytest.approx([math.log10(20)] * 50)
    packed = Places.of(places.positions, torch.arange(100)[None] // 25)
    assert scale(IntraDocument(), packed, packed)[99] == pytest.approx(math.log10(25))


def test_cached_keys_are_counted_too():
    places = Places.of(torch.arange(100)[None])
    assert scale(IntraDocument(), places, places.part(98, 100)) == scale(IntraDocument(), places, places)[98:]


@pytest.mark.parametrize("length", [2, 3, 10, 255, 256, 1000, 4096, 9170])
def test_at_the_trained_length_itself_the_scale_is_1_to_the_bit(length):
    places = Places.of(torch.arange(length)[None])
    found = LogN(length).scale(places.part(length - 1, length), places, IntraDocument().views())
    assert found.item() == 1.0


def test_it_extends_softmax_and_refuses_a_length_without_logarithm():
    assert LogN(10).base() == Softmax()
    with pytest.raises(Refusal, match=r"attention\.trained_length must be above 1 token, got 1"):
        LogN(1)
