"""Tiles hold the pairs of a view, each once and no others, and are masked nowhere but where they must be."""

import pytest
import torch
from torch import Tensor

from ctxext.attention.dual_chunk import DualChunk
from ctxext.attention.rerope import Rerope
from ctxext.attention.self_extend import SelfExtend
from ctxext.attention.softmax import Softmax
from ctxext.kernels import tiles as kernel
from ctxext.mask.chunked import Chunked
from ctxext.mask.document import IntraDocument
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.cache import span_of
from ctxext.places import Places
from ctxext.position.alibi import Alibi
from ctxext.position.nope import Nope
from ctxext.seams import View

EXTENDED = [Softmax(), SelfExtend(7, 3), Rerope(20, 0.0, 16), DualChunk(12, 3, 1.0)]
ROWS = {"one": [[40], [40]], "packed": [[1, 30, 9], [23, 2, 15]]}


def places(documents: list[list[int]], is_packed: bool) -> Places:
    positions = torch.stack([torch.cat([torch.arange(length) for length in row]) for row in documents])
    numbers = [torch.repeat_interleave(torch.arange(len(row)), torch.tensor(row)) for row in documents]
    return Places.of(positions, torch.stack(numbers) if is_packed else None)


def counted(tiles: list[kernel.Tile], rows: int, queries: int, keys: int) -> Tensor:
    """Return how often each pair is in `tiles`, int64 [B, H, Q, K], of 4 heads."""
    times = torch.zeros(rows, 4, queries, keys, dtype=torch.int64)
    for tile in tiles:
        part = times[tile.rows, :, tile.queries, tile.keys]
        if tile.is_causal:
            part += torch.ones(part.shape[2:], dtype=torch.int64).tril()
        elif tile.mask is not None or tile.pairs is not None:
            mask = tile.mask if tile.mask is not None else tile.pairs()
            part += mask if mask.dtype == torch.bool else ~mask.isneginf()
        else:
            part += 1
    return times


def cut(view: View, queries: Places, keys: Places, position=Nope()) -> list[kernel.Tile]:  # noqa: B008
    return list(kernel.tiles_of(view, queries, keys, position, torch.zeros(1, 4, 1, 8)))


@pytest.fixture(params=[(256, 64, 256 * 512), (8, 4, 64), (5, 3, 15)], ids=str, autouse=True)
def sizes(request, monkeypatch):
    for name, value in zip(("BLOCK", "LEAST", "PAIRS"), request.param, strict=True):
        monkeypatch.setattr(kernel, name, value)


@pytest.mark.parametrize("extended", EXTENDED, ids=repr)
@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("start", [0, 1, 17, 39])
def test_tiles_hold_each_visible_pair_once_and_no_other(each_mask, extended, row, start):
    keys = places(ROWS[row], row == "packed")
    queries = keys.part(start, 40)
    for view in extended.views(each_mask.layer(1, 3)):
        for position in (Nope(), Alibi()):
            tiles = cut(view, queries, keys, position)
            shown = kernel.seen(view, queries, keys).expand(2, 4, -1, -1)
            assert torch.equal(counted(tiles, 2, 40 - start, 40), shown.long())


@pytest.mark.parametrize("mask", [SlidingWindow(6), Sinks(6, 3), Chunked(7)], ids=repr)
@pytest.mark.parametrize("count", [1, 4, 11])
def test_what_a_cache_has_dropped_moves_no_tile(mask, count):
    span = span_of(mask.views())
    kept = span.before + count + 2
    columns = torch.cat((torch.arange(span.head), torch.arange(span.head + 60 - kept, 60)))
    keys = Places(columns, columns[None], None, columns[None], torch.full((1, kept), 60), 60, {})
    queries = keys.part(kept - count, kept)
    for view in mask.views():
        shown = kernel.seen(view, queries, keys).expand(1, 4, -1, -1)
        assert torch.equal(counted(cut(view, queries, keys), 1, count, kept), shown.long())


@pytest.mark.parametrize("mask", [IntraDocument(), SlidingWindow(16), Sinks(16, 4), Chunked(16)], ids=repr)
@pytest.mark.parametrize("extended", [Softmax(), SelfExtend(7, 3), Rerope(8, 0.5, 16)], ids=repr)
def test_no_predicate_is_asked_where_the_reach_tells_all(mask, extended, monkeypatch):
    monkeypatch.setattr(kernel, "seen", None)
    keys = places(ROWS["packed"], True)
    views = [view for view in extended.views(mask) if view.reach.is_full]
    assert len(views) >= 1
    for view in views:
        assert all(tile.pairs is None for tile in cut(view, keys, keys))


def test_where_tiles_lie_is_worked_out_once_for_layers_alike():
    keys, mask = places(ROWS["one"], False), IntraDocument()
    first, again = ([cut(view, keys, keys) for view in DualChunk(12, 3, 1.0).views(mask)] for _ in range(2))
    assert [[tile[:4] for tile in tiles] for tiles in first] == [[tile[:4] for tile in tiles] for tiles in again]
    for tiles in again:
        assert all(tile.mask is None for tile in tiles)  # none is kept
        for tile in tiles:
            assert tile.pairs is None or not tile.pairs().all()


def test_a_band_mask_is_made_once():
    one, other = (kernel.band_mask(8, 5, torch.float32, torch.device("cpu")) for _ in range(2))
    assert one is other
    assert one.shape == (1, 1, 8, 12)
    assert not one.is_inference()
