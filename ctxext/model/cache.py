"""What a network remembers of the tokens it has read.

Shapes: B batch, G key-value heads, S tokens, K tokens kept, D head width, W hidden size.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ctxext.kernels.gather import is_biased
from ctxext.places import Places
from ctxext.seams import Attention, Mask, Position, View, unmoved

ROOM = 64
"""For how many tokens more there is room, at least, where room is made."""


@dataclass(frozen=True)
class Span:
    """What any later query can look at: the first `head` tokens, and the last `band` up to its own."""

    head: int
    band: int

    @property
    def before(self) -> int:
        """How many tokens before a query it can look at."""
        return self.head + self.band - 1


WHOLE = Span(0, sys.maxsize)


def span_of(views: Sequence[View]) -> Span:
    """Return the least span that holds what `views` reach; the kernel, which cuts by columns, needs `beyond` in it."""
    reaches = [view.reach for view in views]
    if any(reach.tag == "causal" for reach in reaches):
        return WHOLE
    heads = [reach.size for reach in reaches if reach.tag == "head"]
    bands = [reach.size for reach in reaches if reach.tag == "band"]
    return Span(max(heads, default=0), max([1, *bands, *(reach.beyond for reach in reaches)]))


class KeysTurned(Position):
    """An encoding whose keys have been turned already."""

    def __init__(self, position: Position) -> None:
        self.position = position

    def rotate(self, heads: Tensor, places: Places) -> Tensor:
        return self.position.rotate(heads, places)

    def rotate_keys(self, heads: Tensor, places: Places) -> Tensor:
        return heads


class Plan(NamedTuple):
    """How a layer is cached: what of the tokens, and whether keys are turned before they are."""

    span: Span = WHOLE
    is_turned: bool = False


def plan_of(position: Position, mask: Mask, attention: Attention) -> Plan:
    """Return how the layer with these members is cached, so that nothing of what it gathers changes."""
    views = attention.scored(mask)
    if views is None:
        return Plan()
    in_place = all(view.turn_keys is unmoved for view in views)
    return Plan(span_of(views), in_place and position.turns_for_good() and not is_biased(position))


class Strip:
    """A tensor with tokens along the dimension `dim`, written in place; what lies outside the `span` is dropped.

    The first `head` tokens stay at the front, the last ones follow them without a gap.
    """

    def __init__(self, span: Span, dim: int) -> None:
        self.span, self.dim, self.used = span, dim, 0
        self.buffer = torch.empty(0)

    def append(self, new: Tensor) -> Tensor:
        """Return all that is kept, with `new` at the end; it takes no gradient."""
        count = new.shape[self.dim]
        if self.used + count > self.capacity:
            self.make_room(new.detach(), count)
        with torch.no_grad():
            self.buffer.narrow(self.dim, self.used, count).copy_(new)
        self.used += count
        return self.kept

    @property
    def capacity(self) -> int:
        """For how many tokens there is room."""
        return self.buffer.shape[self.dim] if self.buffer.dim() > self.dim else 0

    @property
    def kept(self) -> Tensor:
        """The tokens that are there."""
        return self.buffer.narrow(self.dim, 0, self.used)

    def make_room(self, new: Tensor, count: int) -> None:
        """Move what has to be kept to a buffer with room for `count` tokens more, of the shape of `new` but for `dim`.

        It is twice as long as the last, but never longer than the span needs.
        """
        most = self.span.before + max(count, ROOM)
        pieces = self.pieces(most - count) if self.used else []
        used = sum(piece.shape[self.dim] for piece in pieces)
        shape = list(new.shape)
        shape[self.dim] = min(max(used + count + ROOM, 2 * self.capacity), max(most, used + count))
        # A tensor made in inference mode could never be written to outside of it.
        with torch.inference_mode(False), torch.no_grad():
            self.buffer = torch.empty(shape, dtype=new.dtype, device=new.device)
            self.used = 0
            for piece in pieces:
                size = piece.shape[self.dim]
                self.buffer.narrow(self.dim, self.used, size).copy_(piece)
                self.used += size

    def pieces(self, most: int) -> list[Tensor]:
        """Return what has to be kept: all if it is at most `most` tokens, else the head and the band before a query."""
        if self.used <= most:
            return [self.kept]
        head, last = self.span.head, self.span.band - 1
        return [self.buffer.narrow(self.dim, 0, head), self.buffer.narrow(self.dim, self.used - last, last)]

    def repeat(self, count: int) -> Strip:
        """Return a strip in which each row stands `count` times."""
        copy = Strip(self.span, self.dim)
        with torch.inference_mode(False), torch.no_grad():
            copy.buffer, copy.used = self.buffer.repeat_interleave(count, dim=0), self.used
        return copy


class DecoderCache:
    """Keys, values and what else attention remembers, for each layer as its plan says; without plans all as it comes.

    Where angles depend on the length, or views turn keys anew, they are kept before rotation.
    """

    def __init__(self, plans: Sequence[Plan] = ()) -> None:
        self.plans, self.size = tuple(plans), 0
        self.layers: list[list[Strip]] = []
        self.positions = {plan.span: Strip(plan.span, 1) for plan in self.plans or (Plan(),)}
        self.places: dict[Span, Places] = {}

    def see(self, positions: Tensor) -> Places:
        """Take in tokens at `positions` [B, S], and return their places among all tokens so far."""
        self.size += positions.shape[1]
        for span, strip in self.positions.items():
            self.places[span] = places_of(strip.append(positions), span, self.size)
        kept = self.places[next(iter(self.places))]
        count = kept.columns.shape[0]
        return kept.part(count - positions.shape[1], count)

    def keys(self, layer: int) -> Places:
        """Return the places of what is kept for `layer`, those of the new tokens at the end."""
        return self.places[self.plan(layer).span]

    def plan(self, layer: int) -> Plan:
        """Return how `layer` is cached."""
        return self.plans[layer] if self.plans else Plan()

    def extend(self, layer: int, new: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return all that is kept for `layer` [B, *, K, *] with the `new` tensors [B, *, S, *] at the end."""
        if layer == len(self.layers):
            self.layers.append([Strip(self.plan(layer).span, 2) for _ in new])
        return tuple(strip.append(part) for strip, part in zip(self.layers[layer], new, strict=True))

    def repeat(self, count: int) -> DecoderCache:
        """Return a cache in which each row stands `count` times."""
        copy = DecoderCache(self.plans)
        copy.size = self.size
        copy.layers = [[strip.repeat(count) for strip in layer] for layer in self.layers]
        copy.positions = {span: strip.repeat(count) for span, strip in self.positions.items()}
        return copy

    @property
    def nbytes(self) -> int:
        """How many bytes it takes."""
        strips = [*self.positions.values(), *(strip for layer in self.layers for strip in layer)]
        return sum(strip.buffer.nbytes for strip in strips)


def places_of(positions: Tensor, span: Span, size: int) -> Places:
    """Return the places of the tokens at `positions` [B, K] that a strip of `span` keeps of `size` tokens."""
    kept = positions.shape[1]
    if kept == size:
        return Places.of(positions)
    head, device = span.head, positions.device
    columns = torch.cat((torch.arange(head, device=device), torch.arange(size - kept + head, size, device=device)))
    lengths = torch.full_like(positions, size, dtype=torch.int64)
    return Places(columns, positions, None, columns.expand(positions.shape), lengths, size)


class LstmCache:
    """Hidden and cell state of each layer [layers, B, W]."""

    def __init__(self) -> None:
        self.state: tuple[Tensor, Tensor] | None = None

    def repeat(self, count: int) -> LstmCache:
        """Return a cache in which each row stands `count` times."""
        copy = LstmCache()
        if self.state is not None:
            hidden, cell = self.state
            copy.state = hidden.repeat_interleave(count, dim=1), cell.repeat_interleave(count, dim=1)
        return copy

    @property
    def nbytes(self) -> int:
        """How many bytes it takes."""
        return 0 if self.state is None else sum(part.nbytes for part in self.state)
