"""Members that state other pairs or distances than the formulas of their names are found, each by one property."""

from dataclasses import replace

from torch import Tensor

from ctxext.attention.recurrence import Recurrence
from ctxext.attention.self_extend import SelfExtend
from ctxext.attention.shifted_sparse import Grouped, ShiftedSparse
from ctxext.attention.softmax import Softmax
from ctxext.mask.chunked import Chunked
from ctxext.mask.lambda_mask import LambdaMask
from ctxext.mask.layered import Layered
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.places import Places, unmoved
from ctxext.places import distances as columns_between
from ctxext.proving.statement import distances
from ctxext.proving.visibility import mask
from ctxext.seams import Mask, Reach, View


def one_wider(self: SlidingWindow) -> tuple[View, ...]:
    """Return the view of a window that shows one token more, in predicate and reach."""
    size = self.window + 1

    def visible(queries: Places, keys: Places) -> Tensor:
        return (columns_between(queries, keys) >= 0) & (columns_between(queries, keys) < size)

    return (View(visible, Reach("band", size, is_whole=True)),)


def test_a_window_that_counts_one_more_in_predicate_and_reach_fails_the_mask_alone(failing, monkeypatch):
    monkeypatch.setattr(SlidingWindow, "views", one_wider)
    assert failing(mask=SlidingWindow(16)) == {"mask"}


def test_chunks_off_by_one_fail_the_mask_alone(failing, monkeypatch):
    stated = Chunked.views
    monkeypatch.setattr(Chunked, "views", lambda self: stated(replace(self, chunk=self.chunk + 1)))
    assert failing(mask=Chunked(15)) == {"mask"}


def test_a_layer_with_the_mask_of_another_fails_the_mask_alone(failing, monkeypatch):
    stated = Layered.layer
    monkeypatch.setattr(Layered, "layer", lambda self, index, count: stated(self, count - 1 - index, count))
    assert failing(mask=Layered("SL", 16, 16, "constant")) == {"mask"}


def test_sinks_that_are_not_indexed_again_fail_the_distances_alone(failing, monkeypatch):
    monkeypatch.setattr(Sinks, "slot", lambda self, places: unmoved(places))
    monkeypatch.setattr(Sinks, "ordinals", lambda self, places: unmoved(places))
    assert failing(mask=Sinks(12, 4)) == {"distances"}


def test_a_lambda_without_its_ceiling_fails_the_distances_alone(failing, monkeypatch):
    monkeypatch.setattr(LambdaMask, "ceiling", lambda self, places: unmoved(places))
    monkeypatch.setattr(LambdaMask, "ground", lambda self, places: unmoved(places))
    assert failing(mask=LambdaMask(15, 4)) == {"distances"}


def test_groups_that_are_moved_too_far_fail_the_distances_alone(failing, monkeypatch):
    moved = lambda self, places: places.positions // self.group + self.window  # noqa: E731
    monkeypatch.setattr(SelfExtend, "turn_queries", moved)
    assert failing(attention=SelfExtend(8, 4)) == {"distances"}


def test_groups_of_another_size_in_training_fail_the_mask_alone(failing, monkeypatch):
    monkeypatch.setattr(ShiftedSparse, "in_training", lambda self: Grouped(self.group * 2))
    assert failing(attention=ShiftedSparse(8)) == {"mask"}


def test_a_memory_that_is_too_short_by_one_fails_the_mask_alone(failing, monkeypatch):
    before = Recurrence.before

    def shorter(self: Recurrence, view: View, above: int, limit: int) -> View:
        return before(self, view, above, limit - 1 if limit else 0)

    monkeypatch.setattr(Recurrence, "before", shorter)
    assert failing(attention=Recurrence(8, 8)) == {"mask"}


class Own(SlidingWindow):
    """A mask of the user's own, of which no formula is known."""


class OwnViews(Softmax):
    """An attention mechanism of the user's own, which may rearrange pairs."""

    def views(self, mask: Mask) -> tuple[View, ...]:
        return tuple(reversed(mask.views()))


def test_what_has_no_formula_is_held_against_its_own_predicate_and_its_distances_against_nothing(examined):
    for own in (examined(mask=Own(16)), examined(attention=OwnViews())):
        assert (mask(own).holds, distances(own).holds) == (True, None)
        assert mask(own).words.endswith("held against its own predicate")


def test_distances_say_how_many_pairs_were_moved(examined):
    found = distances(examined(mask=Sinks(12, 4)))
    assert (found.holds, "128 of them at another distance than their own" in found.words) == (True, True)
    assert "each at its own distance" in distances(examined()).words


def test_every_mask_that_is_an_option_states_its_formula(each_mask, examined):
    found = examined(mask=each_mask)
    assert (mask(found).holds, distances(found).holds) == (True, True)
    assert mask(found).words.endswith("held against the formula")


def test_every_attention_that_is_an_option_states_its_formula(each_attention, examined):
    found = examined(attention=each_attention)
    assert (mask(found).holds, distances(found).holds in (True, None)) == (True, True)
