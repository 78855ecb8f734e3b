"""Leaks of later tokens and of other documents are found, whether gradients show them or not."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.mask.causal import Causal
from ctxext.model.geometry import LstmGeometry
from ctxext.proving.gradients import causality, packing
from ctxext.proving.specimen import specimen
from ctxext.seams import Attention, Heads, Mask, Places, Position


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


def test_a_shift_that_leaks_in_training_fails_causality_alone(failing, examined):
    assert failing(attention=LeakingShift()) == {"causality"}
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
