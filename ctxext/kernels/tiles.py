"""Which tiles of queries x keys hold the pairs of a view: no mask where all of a tile is visible, or all of its past.

Shapes: B batch, H heads, Q queries, K keys (the queries are the last Q of them), S tokens.

A tile is cut by the index of queries and keys, not by columns: of a text that a cache has dropped parts of, the last
keys follow each other without a gap.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial, reduce
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from ctxext.places import Places
from ctxext.seams import Position, Reach, View

BLOCK = 256
"""Queries that are scored together where each sees other keys."""
LEAST = 64
"""Queries that are scored together, at least, however narrow their band is."""
PAIRS = 256 * 512
"""Pairs that a predicate is asked for at once."""
ALL = slice(None)


class Tile(NamedTuple):
    """The `queries` and `keys` of `rows` whose pairs are scored together: all, those up to the query, or by a mask.

    `mask` [1 or B, 1 or H, Q, K] is bool, or what is added to the logits. `pairs` makes it anew where it isn't kept;
    where it is None, the mask is a constant, in which every query sees something.
    """

    queries: slice
    keys: slice
    rows: slice = ALL
    is_causal: bool = False
    mask: Tensor | None = None
    pairs: Callable[[], Tensor] | None = None


class Segment(NamedTuple):
    """The keys from `first` to `last` (exclusive) of `rows`: their queries see no others."""

    rows: slice
    first: int
    last: int


def tiles_of(view: View, queries: Places, keys: Places, position: Position, heads: Tensor) -> Iterable[Tile]:
    """Yield the tiles that hold the pairs of `view`, for `heads` [B, H, Q, D], and make their masks one by one."""
    if view.weigh is not None or type(position).bias is not Position.bias:
        return by_bias(view, queries, keys, position, heads.shape[1])
    has_dropped, tag = keys.size != keys.columns.shape[0], view.reach.tag
    if view.reach.is_full and not (has_dropped and tag in ("head", "chunk")):
        return by_reach(view.reach, queries, keys, heads)
    if getattr(view.visible, "__closure__", None) is not None:  # made anew for each layer
        return by_predicate(view, queries, keys)
    return remembered(view, queries, keys)


def remembered(view: View, queries: Places, keys: Places) -> Iterator[Tile]:
    """Yield the tiles of `view` by its predicate; for other layers it is kept where they lie, but no mask."""
    key = ("tiles", view.visible, view.reach, keys.columns.shape[0])
    if key in queries.memo:
        yield from queries.memo[key]
        return
    known = []
    for tile in by_predicate(view, queries, keys):
        known.append(unmasked(tile))
        yield tile
    queries.memo[key] = known


def unmasked(tile: Tile) -> Tile:
    """Return `tile` without the mask that can be made anew."""
    return tile if tile.pairs is None else tile._replace(mask=None)


def by_reach(reach: Reach, queries: Places, keys: Places, heads: Tensor) -> Iterator[Tile]:
    """Yield the tiles of all pairs within `reach`; no predicate is asked."""
    num_keys, dtype = keys.columns.shape[0], torch.float64 if heads.dtype == torch.float64 else torch.float32
    offset = num_keys - queries.columns.shape[0]
    for segment in segments(keys):
        start, size = max(segment.first, offset), reach.size
        if reach.tag == "chunk":
            whole = start - (start - segment.first) % size
            for at in range(whole, segment.last, size):
                chunk = Segment(segment.rows, at, min(at + size, segment.last))
                yield from upper(chunk, max(at, start), chunk.last, reach.beyond, offset)
        elif reach.tag == "head":
            head = segment._replace(last=min(segment.first + size, segment.last))
            yield from upper(head, start, segment.last, reach.beyond, offset)
        else:
            middle = segment.last if reach.tag == "causal" else min(segment.first + size, segment.last)
            yield from upper(segment, start, middle, reach.beyond, offset)
            yield from banded(segment, max(start, middle), reach, offset, dtype, heads.device)


def upper(segment: Segment, start: int, stop: int, beyond: int, offset: int) -> Iterator[Tile]:
    """Yield the tiles of the queries at keys `start` up to `stop`, which see all of `segment` up to `beyond` before."""
    start = max(start, segment.first + beyond)
    edge, last = start - beyond, min(segment.last, stop - beyond)  # what the first query sees last, and the last
    if start >= stop:
        return
    queries, rows = slice(start - offset, stop - offset), segment.rows
    if edge + 1 >= last:
        yield Tile(queries, slice(segment.first, last), rows)
        return
    if edge > segment.first:
        yield Tile(queries, slice(segment.first, edge), rows)
    yield Tile(queries, slice(edge, last), rows, is_causal=True)


def banded(
    segment: Segment, start: int, reach: Reach, offset: int, dtype: torch.dtype, device: torch.device
) -> Iterator[Tile]:
    """Yield the tiles of the queries from the key `start` on, each of which sees a whole band."""
    width, block = reach.size - reach.beyond, min(max(reach.size // 2, LEAST), BLOCK)
    if width <= 0 or start >= segment.last:
        return
    steady = band_mask(block, width, dtype, device)
    for here in range(start, segment.last, block):
        stop = min(here + block, segment.last)
        there = slice(here - reach.size + 1, stop - reach.beyond)
        mask = None if stop - here == 1 else steady[:, :, : stop - here, : stop - here + width - 1]
        yield Tile(slice(here - offset, stop - offset), there, segment.rows, mask=mask)


@lru_cache(maxsize=16)
def band_mask(block: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the mask [1, 1, block, block + width - 1] in which query i sees `width` keys from i on."""
    with torch.inference_mode(False):
        ahead = torch.arange(block + width - 1, device=device) - torch.arange(block, device=device)[:, None]
        return floats((ahead >= 0) & (ahead < width), dtype)[None, None]


def floats(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return what a `mask` adds to logits: where it is bool, minus infinity to what isn't visible."""
    if mask.dtype != torch.bool:
        return mask.to(dtype)
    nothing, never = (torch.tensor(value, dtype=dtype, device=mask.device) for value in (0.0, float("-inf")))
    return torch.where(mask, nothing, never)


def cells(view: View, queries: Places, keys: Places) -> Iterator[tuple[slice, list[slice]]]:
    """Yield blocks of queries, each with the keys that it reaches in `view`, cut where round numbers of them end."""
    count, offset = queries.columns.shape[0], keys.columns.shape[0] - queries.columns.shape[0]
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        has_documents, step = queries.documents is not None, PAIRS // (stop - start)
        first, last = columns(view, offset + start, offset + stop, has_documents=has_documents)
        cuts = range(first // step * step + step, last, step) if last - first > 2 * step else ()
        if first < last:
            yield slice(start, stop), [slice(*bounds) for bounds in pairwise((first, *cuts, last))]


def by_predicate(view: View, queries: Places, keys: Places) -> Iterator[Tile]:
    """Yield the tiles in which the predicate of `view` shows anything, without a mask where it shows all."""
    for here, parts in cells(view, queries, keys):
        asking, full = queries.part(here.start, here.stop), slice(parts[0].start, parts[0].start)
        for there in parts:
            pairs = partial(seen, view, asking, keys.part(there.start, there.stop))
            visible = pairs()
            if bool(visible.all()):
                full = slice(full.start, there.stop)
                continue
            if full.start < full.stop:
                yield Tile(here, full)
            full = slice(there.stop, there.stop)
            if bool(visible.any()):
                yield Tile(here, there, mask=visible, pairs=pairs)
        if full.start < full.stop:
            yield Tile(here, full)


def by_bias(view: View, queries: Places, keys: Places, position: Position, num_heads: int) -> Iterator[Tile]:
    """Yield the tiles in which `view` shows anything, with what it and `position` add to the logits."""
    for here, parts in cells(view, queries, keys):
        asking = queries.part(here.start, here.stop)
        for there in parts:
            asked = keys.part(there.start, there.stop)
            if view.reach.is_full or bool(seen(view, asking, asked).any()):
                yield Tile(here, there, pairs=partial(pair_mask, view, asking, asked, position, num_heads))


def segments(keys: Places) -> list[Segment]:
    """Return the documents of all rows, each a segment; the whole of all rows where each is one document."""
    if keys.documents is None:
        return [Segment(ALL, 0, keys.columns.shape[0])]
    made: list[Segment] = keys.kept("segments", lambda: list(documents(keys)))
    return made


def documents(keys: Places) -> Iterator[Segment]:
    """Yield the documents of packed rows."""
    assert keys.documents is not None
    size, numbers = keys.columns.shape[0], keys.documents
    bounds: list[list[int]] = [[0] for _ in range(numbers.shape[0])]
    for row, before in (numbers[:, 1:] != numbers[:, :-1]).nonzero().tolist():
        bounds[row].append(before + 1)
    for row, firsts in enumerate(bounds):
        for first, last in zip(firsts, [*firsts[1:], size], strict=True):
            yield Segment(slice(row, row + 1), first, last)


def columns(view: View, start: int, stop: int, *, has_documents: bool) -> tuple[int, int]:
    """Return the first key and the last (exclusive) that the queries at keys `start` up to `stop` reach in `view`."""
    last = max(stop - view.reach.beyond, 0)
    if view.reach.tag in ("band", "chunk"):
        return max(start - view.reach.size + 1, 0), last
    if view.reach.tag == "head" and not has_documents:  # each document of a packed row has a head of its own
        return 0, min(view.reach.size, last)
    return 0, last


def pair_mask(view: View, queries: Places, keys: Places, position: Position, num_heads: int) -> Tensor:
    """Return bool [1 or B, 1 or H, Q, K], or float32 of this shape where anything is added to the logits."""
    visible = seen(view, queries, keys)
    turned = queries.turned(view.turn_queries), keys.turned(view.turn_keys)
    added = [
        position.bias(*turned, num_heads),
        None if view.weigh is None else view.weigh(queries, keys),
    ]
    biases = [bias for bias in added if bias is not None]
    if not biases:
        return visible
    return reduce(torch.add, biases).masked_fill(~visible, float("-inf"))


def seen(view: View, queries: Places, keys: Places) -> Tensor:
    """Return bool [1 or B, 1 or H, Q, K]: the pair is one of `view` and of one document."""
    visible = view.visible(queries, keys)
    if queries.documents is None or keys.documents is None:
        return visible
    together: Tensor = visible & (queries.documents[:, None, :, None] == keys.documents[:, None, None, :])
    return together
