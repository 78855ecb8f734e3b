"""What tests of masks need: who sees whom, and at which distance, laid out as tables."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ctxext.places import Places
from ctxext.seams import Mask


def packed(*lengths: int) -> Places:
    """Return the places of a row that packs documents of `lengths`, or of a plain one for a single length."""
    positions = torch.cat([torch.arange(length) for length in lengths])[None]
    documents = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))[None]
    return Places.of(positions, documents if len(lengths) > 1 else None)


def lay_out(mask: Mask, *lengths: int) -> Tensor:
    """Return who sees whom [H, T, T] in a row of documents of `lengths`; no pair may be in two views."""
    places = packed(*lengths)
    count = sum(view.visible(places, places).int() for view in mask.views())
    if places.documents is not None:
        count = count * (places.documents[0, :, None] == places.documents[0])
    assert count.max() == 1, "a pair is in two views"
    return count[0].bool()


def lay_out_distances(mask: Mask, positions: Tensor) -> list[list[int | None]]:
    """Return the distance at which each pair of a row at `positions` [1, T] is scored, None where it isn't seen."""
    places = Places.of(positions)
    table: list[list[int | None]] = [[None] * positions.shape[1] for _ in range(positions.shape[1])]
    for view in mask.views():
        distance = view.turn_queries(places)[0, :, None] - view.turn_keys(places)[0, None, :]
        for query, key in view.visible(places, places)[0, 0].nonzero().tolist():
            assert table[query][key] is None, "a pair is in two views"
            table[query][key] = int(distance[query, key])
    return table


@pytest.fixture
def seen() -> Callable[..., Tensor]:
    """Return a function from a mask and lengths of documents to who sees whom, bool [H, T, T]."""
    return lay_out


@pytest.fixture
def scored() -> Callable[[Mask, Tensor], list[list[int | None]]]:
    """Return a function from a mask and positions [1, T] to the table of scored distances."""
    return lay_out_distances
