"""Leaks of later tokens and of other documents are found, whether gradients show them or not."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.mask.causal import Causal
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.geometry import LstmGeometry
from ctxext.places import Places, distances
from ctxext.proving.gradients import causality, cuts_of, packing
from ctxext.proving.specimen import specimen
from ctxext.proving.visibility import mask
from ctxext.seams import Attention, Heads, Mask, Position, Reach, View


class Rolled(Attention):
    """Shifted sparse attention as it was published: the roll puts the end of the text into the first group."""

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        whole = Softmax().gather(heads, queries, keys, position, mask)
        group = heads.q.shape[2] // 4
        if keys.documents is not None or heads.q.shape[2] % 4:
            return whole
        half = heads.q.shape[1] // 2
        q, k, v = (
            part.repeat_interleave(heads.q.shape[1] // part.shape[1], dim=1)[:, half:].roll(-group // 2, dims=2)
            for part in (position.rotate(heads.q, queries), position.rotate(heads.k, keys), heads.v)
        )
        grouped = (part.unflatten(2, (4, group)) for part in (q, k, v))
        found = torch.nn.functional.scaled_dot_product_attention(*grouped, is_causal=True)
        return torch.cat((whole[:, :half], found.flatten(2, 3).roll(group // 2, dims=2)), dim=1)


@dataclass(frozen=True)
class LeakingShift(Softmax):
    """Trains with `Rolled`."""

    def in_training(self) -> Attention:
        return Rolled()

    def base(self) -> Attention:
        return Softmax()


@dataclass(frozen=True)
class Peeking(Softmax):
    """Adds the mean of all values, which gradients are kept from."""

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        found = Softmax().gather(heads, queries, keys, position, mask)
        return found + heads.v.detach().mean() * (keys.documents is None)


@dataclass(frozen=True)
class Mixing(Softmax):
    """Reads a packed row as one text."""

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        one, other = queries._replace(documents=None), keys._replace(documents=None)
        return Softmax().gather(heads, one, other, position, mask)


@dataclass(frozen=True)
class EveryFourth(IntraDocument):
    """Shows each query that leaves the remainder 1 by 4 the token behind it, in single documents."""

    def views(self) -> tuple[View, ...]:
        def visible(queries: Places, keys: Places) -> Tensor:
            distance = distances(queries, keys)
            peek = (distance == -1) & (queries.columns % 4 == 1)[:, None] & (keys.documents is None)
            return (distance >= 0) | peek

        return (View(visible, Reach("causal")),)


@pytest.mark.parametrize("length", [32, 33, 77, 320, 511])
def test_cuts_leave_every_remainder_by_small_numbers(length):
    cuts = cuts_of(length)
    assert all({cut % number for cut in cuts} == set(range(number)) for number in (2, 3, 4, 5))
    assert cuts[-1] == length - 1
    assert max(cuts[1:-1]) - min(cuts[1:-1]) > length // 3 or length < 360


def test_a_mask_that_shows_the_next_token_to_some_fails_causality_and_the_mask(examined):
    assert causality(examined(mask=EveryFourth())).holds is False
    found = mask(examined(mask=EveryFourth()))
    assert (found.holds, "stands behind the query" in found.words) == (False, True)


def test_in_a_long_text_changes_alone_are_held_against_causality(examined, monkeypatch):
    monkeypatch.setattr("ctxext.proving.specimen.GRAPH", 0)
    found = replace(examined(mask=SlidingWindow(40)), target_length=64)
    assert not found.keeps_graph(64)
    assert causality(found).holds is True
    assert packing(found).holds is True


def test_a_shift_that_leaks_in_training_fails_causality_and_the_mask(failing, examined):
    assert failing(attention=LeakingShift()) == {"causality", "mask"}
    found = causality(examined(attention=LeakingShift()))
    assert found.measured > 0
    assert found.words.endswith("see later ones in training")


def test_a_leak_without_a_gradient_is_found_by_the_change(examined):
    assert causality(examined(attention=Peeking())).holds is False


def test_what_passes_between_documents_fails_packing_alone(failing, examined):
    assert failing(attention=Mixing()) == {"packing"}
    assert packing(examined(attention=Mixing())).words == "a document of a packed row moves the outputs of another"


def test_all_holds_for_the_untouched_model(failing, examined):
    assert failing() == set()
    found = causality(examined())
    assert (found.holds, found.measured) == (True, 0)
    assert packing(examined()).holds is True


def test_what_reads_a_packed_row_as_one_text_promises_nothing(examined):
    assert packing(examined(mask=Causal())).holds is None
    members = Position(), Mask(), Attention()
    recurrent = specimen(LstmGeometry(67, 8, 12, 1).build(*members), members, 16, 64)
    assert packing(recurrent).holds is None
    assert causality(recurrent).holds is True
