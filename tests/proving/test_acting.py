"""Texts are as long as it takes until what fills the seams acts, and no conclusion is drawn where it doesn't."""

from dataclasses import replace

import pytest

from ctxext.attention.log_n import LogN
from ctxext.attention.recurrence import Recurrence
from ctxext.attention.shifted_sparse import ShiftedSparse
from ctxext.mask.causal import Causal
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.geometry import LstmGeometry
from ctxext.position.rope import RopeInterp
from ctxext.proving.acting import ladder
from ctxext.proving.gradients import causality
from ctxext.proving.specimen import specimen
from ctxext.proving.suite import ACTED, prove
from ctxext.proving.visibility import mask
from ctxext.seams import Attention, Mask, Position


@pytest.mark.parametrize(
    ("first", "last", "lengths"),
    [(32, 64, [32, 64]), (32, 200, [32, 77, 167, 200]), (32, 32, [32]), (32, 16, [32])],
)
def test_lengths_double_up_to_the_last(first, last, lengths):
    assert ladder(first, last) == lengths


def test_a_group_that_leaks_in_longer_texts_alone_is_found(examined, late_roll):
    found = causality(examined(attention=late_roll(40)))
    assert (found.holds, found.words.endswith("in training")) == (False, True)
    assert mask(examined(attention=late_roll(40))).holds is False


def test_each_way_of_standing_has_its_length(examined):
    shifted = replace(examined(attention=ShiftedSparse(100)), target_length=512)
    assert (shifted.acting.reading, shifted.acting.training) == (32, 77)
    assert "77 tokens in training" in causality(shifted).words
    assert shifted.acting.idle == ()


@pytest.mark.parametrize("members", [{"mask": SlidingWindow(40)}, {"attention": LogN(40)}])
def test_what_acts_later_is_read_longer(members, examined):
    found = examined(**members)
    assert (found.acting.reading, found.acting.idle) == (64, ())
    assert all(one.holds for one in prove(found, ACTED) if one.name != "prefix")


def test_a_window_beside_a_position_that_acts_at_once_is_waited_for(examined):
    assert examined(position=RopeInterp(10000.0, 4.0), mask=SlidingWindow(40)).acting.reading == 64


def test_what_trains_with_other_gradients_alone_acts_where_it_is_read(examined):
    found = examined(attention=Recurrence(8, 8))
    assert "training" in found.modes
    assert (found.acting.training, found.acting.idle) == (32, ())


def test_what_acts_nowhere_proves_nothing(examined):
    found = examined(mask=SlidingWindow(65))
    assert found.acting.idle == ("SlidingWindow",)
    assert {one.holds for one in prove(found, ACTED)} == {None}
    assert all("SlidingWindow did nothing up to 64 tokens" in one.words for one in prove(found, ACTED))


def test_what_acts_where_reading_takes_too_long_proves_nothing(examined):
    found = examined(mask=SlidingWindow(40)).shortened(32, 1.0)
    assert (found.lengths, found.is_cut_short) == ((32,), True)
    assert {one.holds for one in prove(found, ACTED)} == {None}
    assert all("take too much time" in one.words for one in prove(found, ACTED))


def test_what_is_set_to_do_nothing_is_not_waited_for(examined):
    assert examined(position=RopeInterp(10000.0, 1.0)).acting.idle == ()
    assert examined(attention=LogN(64)).acting.idle == ()
    assert examined(mask=Causal(), position=Position()).acting.idle == ()
    assert examined().acting.idle == ()


def test_a_network_without_heads_is_read_at_its_length():
    members = Position(), Mask(), Attention()
    found = specimen(LstmGeometry(67, 8, 12, 1).build(*members), members, 16, 64)
    assert (found.acting.reading, found.acting.idle) == (32, ())
