"""What passes is held against the predicate: one key more, one less, one twice."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from ctxext.attention import softmax
from ctxext.attention.block_topk import BlockTopk
from ctxext.attention.linear import Linear
from ctxext.attention.self_extend import SelfExtend
from ctxext.kernels.gather import gather
from ctxext.mask.document import IntraDocument
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model import decoder
from ctxext.places import Places, distances
from ctxext.proving.visibility import mask, sight
from ctxext.seams import Mask, Reach, View


def moved_edge(view: View, by: int) -> View:
    """Return the band of `view` wider `by` so many keys."""
    size = view.reach.size + by
    return replace(
        view,
        visible=lambda queries, keys: (distances(queries, keys) >= 0) & (distances(queries, keys) < size),
        reach=Reach("band", size),
    )


@pytest.mark.parametrize("by", [1, -1])
def test_a_kernel_whose_window_is_off_by_one_fails_the_mask_alone(by, failing, monkeypatch):
    def off(q, k, v, queries, keys, views, *rest):  # type: ignore[no-untyped-def]
        moved = [moved_edge(view, by) if 0 < view.reach.size < 20 else view for view in views]
        return gather(q, k, v, queries, keys, tuple(moved), *rest)

    monkeypatch.setattr(softmax, "gather", off)
    monkeypatch.setattr(decoder, "steps_of", lambda blocks, members: None)  # these have a window of their own
    assert failing(mask=SlidingWindow(16)) == {"mask"}


@dataclass(frozen=True)
class Hidden(IntraDocument):
    """Shows more than its reach tells the kernel."""

    def views(self) -> tuple[View, ...]:
        return (View(SlidingWindow(16).visible, Reach("band", 15)),)


@dataclass(frozen=True)
class Doubled(IntraDocument):
    """Shows the near pairs in two views."""

    def views(self) -> tuple[View, ...]:
        return (*super().views(), *SlidingWindow(4).views())


@dataclass(frozen=True)
class Blind(IntraDocument):
    """Hides each token from itself, but for the first."""

    def views(self) -> tuple[View, ...]:
        return (View(lambda queries, keys: (distances(queries, keys) > 0) | (keys.columns == 0)),)


@pytest.mark.parametrize(
    ("member", "fault"), [(Hidden(), "pairs pass that"), (Doubled(), "count twice"), (Blind(), "see itself")]
)
def test_views_that_contradict_their_reach_or_each_other_are_found(member: Mask, fault: str, examined, monkeypatch):
    monkeypatch.setattr("ctxext.kernels.tiles.BLOCK", 4)  # as in a long text, where the reach cuts
    found = mask(examined(mask=member))
    assert (found.holds, fault in found.words) == (False, True)


@pytest.mark.parametrize("member", [SlidingWindow(16), Sinks(12, 4), IntraDocument()])
def test_masks_let_through_what_they_show(member: Mask, examined):
    assert mask(examined(mask=member)).holds is True
    assert mask(examined(mask=member, attention=SelfExtend(8, 4))).holds is True


def test_sight_counts_the_views_of_a_pair_and_keeps_documents_apart():
    places = Places.of(torch.tensor([[0, 1, 0, 1]]), torch.tensor([[0, 0, 1, 1]]))
    found = sight(Doubled().views(), places, torch.tensor([0, 1, 2]))
    expected = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 1]])
    assert torch.equal(found.seen[0, 0].long(), expected)
    assert "count twice" in found.fault
    assert not found.faint.any()


def test_sight_is_the_same_in_blocks(monkeypatch):
    places, probed = Places.of(torch.arange(9)[None]), torch.tensor([0, 3, 8])
    whole = sight(Sinks(3, 2).views(), places, probed)
    monkeypatch.setattr("ctxext.proving.visibility.BLOCK", 2)
    found = sight(Sinks(3, 2).views(), places, probed)
    assert torch.equal(found.seen, whole.seen)
    assert found.fault == ""


def test_pairs_of_almost_no_weight_are_faint():
    def weigh(queries: Places, keys: Places) -> Tensor:
        return -30.0 * distances(queries, keys)

    places = Places.of(torch.arange(3)[None])
    (view,) = IntraDocument().views()
    found = sight((replace(view, weigh=weigh),), places, places.columns)
    assert found.faint[0, 0].tolist() == [[False] * 3, [False] * 3, [True, False, False]]


def test_what_a_rule_of_its_own_lets_through_is_counted(examined):
    assert "and all of these pass" in mask(examined(attention=Linear())).words
    assert "and all of these pass" not in mask(examined(attention=BlockTopk(4, 1))).words
