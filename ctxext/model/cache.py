"""What a network remembers of the tokens it has read.

Shapes: B batch, G key-value heads, S tokens, K tokens kept, D head width, W hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ctxext.kernels.gather import is_biased
from ctxext.model.strip import NOTHING, WHOLE, Span, Strip
from ctxext.places import Places, unmoved
from ctxext.seams import Attention, Mask, Position, State, View


def span_of(views: Sequence[View]) -> Span:
    """Return the least span that holds what `views` reach; the kernel, which cuts by columns, needs `beyond` in it."""
    if not views:
        return NOTHING
    reaches = [view.reach for view in views]
    if any(reach.tag == "causal" for reach in reaches):
        return WHOLE
    heads = [reach.size for reach in reaches if reach.tag == "head"]
    bands = [reach.size for reach in reaches if reach.tag in ("band", "chunk")]
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
    """How a layer is cached: what of the tokens, whether keys are turned before they are, and whether a state is."""

    span: Span = WHOLE
    is_turned: bool = False
    is_carried: bool = False


def plan_of(position: Position, mask: Mask, attention: Attention) -> Plan:
    """Return how the layer with these members is cached, so that nothing of what it gathers changes."""
    stays = position.turns_for_good()
    carried = attention.carried(mask) if stays or not turns(position) else None
    views = attention.scored(mask) if carried is None else carried
    if views is None:
        return Plan()
    in_place = len(views) > 0 and all(view.turn_keys is unmoved for view in views)
    return Plan(span_of(views), in_place and stays and not is_biased(position), carried is not None)


def turns(position: Position) -> bool:
    """Return whether `position` turns keys at all."""
    hooks = ("rotate", "rotate_keys")
    return any(getattr(type(position), hook) is not getattr(Position, hook) for hook in hooks)


class LayerCache:
    """What a layer keeps of the tokens so far, as its `plan` says; `keys` are their places.

    The `state` is never written to, but replaced.
    """

    def __init__(self, plan: Plan, reserved: int) -> None:
        self.plan, self.reserved = plan, reserved
        self.strips: list[Strip] = []
        self.state: State = ()
        self.keys: Places

    def extend(self, new: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return all that is kept [B, *, K, *] with the `new` tensors [B, *, S, *] at the end."""
        if self.plan.span == NOTHING:
            return new
        if not self.strips:
            self.strips = [Strip(self.plan.span, 2) for _ in new]
            self.reserve(self.reserved)
        return tuple([strip.append(part) for strip, part in zip(self.strips, new, strict=True)])

    def reserve(self, size: int) -> None:
        """Make room for `size` tokens in all as soon as room is made."""
        self.reserved = size
        for strip in self.strips:
            strip.reserved = size

    def repeat(self, count: int) -> LayerCache:
        """Return a cache in which each row stands `count` times."""
        repeated = LayerCache(self.plan, self.reserved)
        repeated.strips = [strip.repeat(count) for strip in self.strips]
        repeated.state = tuple(part.repeat_interleave(count, dim=0) for part in self.state)
        return repeated

    def fork(self) -> LayerCache:
        """Return a cache that goes on from here in the room of this one."""
        other = copy(self)
        other.strips = [copy(strip) for strip in self.strips]
        return other

    @property
    def nbytes(self) -> int:
        """How many bytes it takes."""
        return sum(strip.buffer.nbytes for strip in self.strips) + self.state_bytes

    @property
    def state_bytes(self) -> int:
        """How many bytes the state takes."""
        return sum(part.nbytes for part in self.state)


class KeptPlaces:
    """The places of the tokens that a span keeps."""

    def __init__(self, span: Span) -> None:
        self.strips = Strip(span, 1), Strip(span, 1)
        self.span, self.places = span, Places.of(torch.empty(1, 0, dtype=torch.int64))

    def see(self, new: Places) -> None:
        """Take in the places of `new` tokens [B, S], the last of their row."""
        if self.span == NOTHING:
            self.places = new
            return
        columns, positions = (
            strip.append(part) for strip, part in zip(self.strips, (new.columns[None], new.positions), strict=True)
        )
        self.places = one_text(columns, positions, new.size)

    def reserve(self, size: int) -> None:
        """Make room for `size` tokens in all as soon as room is made."""
        for strip in self.strips:
            strip.reserved = size

    def repeat(self, count: int) -> KeptPlaces:
        """Return the places of rows that stand `count` times each."""
        return self.with_strips(self.strips[0].repeat(1), self.strips[1].repeat(count))

    def fork(self) -> KeptPlaces:
        """Return places that go on from here in the room of these."""
        return self.with_strips(copy(self.strips[0]), copy(self.strips[1]))

    def with_strips(self, columns: Strip, positions: Strip) -> KeptPlaces:
        """Return the places that `columns` and `positions` keep."""
        other = copy(self)
        other.strips = columns, positions
        return other


class DecoderCache:
    """Keys, values and what else attention remembers, for each layer as its plan says; without plans all as it comes.

    Where angles depend on the length, or views turn keys anew, they are kept before rotation.
    """

    def __init__(self, plans: Sequence[Plan] = ()) -> None:
        self.size = self.reserved = 0
        self.steps: Any = None
        self.layers = [LayerCache(plan, 0) for plan in plans]
        self.kept = {plan.span: KeptPlaces(plan.span) for plan in plans or (Plan(),)}

    def see(self, positions: Tensor) -> Places:
        """Take in tokens at `positions` [B, S], and return their places among all tokens so far."""
        start, self.size = self.size, self.size + positions.shape[1]
        new = one_text(torch.arange(start, self.size, device=positions.device)[None], positions, self.size)
        for kept in self.kept.values():
            kept.see(new)
        return new

    def layer(self, index: int) -> LayerCache:
        """Return what layer `index` keeps, with the places of the tokens that were seen."""
        if index == len(self.layers):
            self.layers.append(LayerCache(Plan(), self.reserved))
        layer = self.layers[index]
        layer.keys = self.kept[layer.plan.span].places
        return layer

    def reserve(self, size: int) -> None:
        """Make room for `size` tokens in all, where they are kept, as soon as room is made."""
        self.reserved = size
        for layer in self.layers:
            layer.reserve(size)
        for kept in self.kept.values():  # places are dropped when their keys are
            kept.reserve(size)

    def repeat(self, count: int) -> DecoderCache:
        """Return a cache in which each row stands `count` times."""
        other = copy(self)
        other.layers = [layer.repeat(count) for layer in self.layers]
        other.kept = {span: kept.repeat(count) for span, kept in self.kept.items()}
        return other

    def fork(self) -> DecoderCache:
        """Return a cache that goes on from here and copies nothing: it writes behind what is kept, as the next will.

        So each is done with before the next is used, and all before this cache goes on.
        """
        other = copy(self)
        other.layers = [layer.fork() for layer in self.layers]
        other.kept = {span: kept.fork() for span, kept in self.kept.items()}
        return other

    @property
    def is_whole(self) -> bool:
        """Whether every layer keeps every token."""
        return all(layer.plan.span == WHOLE for layer in self.layers)

    @property
    def nbytes(self) -> int:
        """How many bytes it takes."""
        places = sum(strip.buffer.nbytes for kept in self.kept.values() for strip in kept.strips)
        return places + sum(layer.nbytes for layer in self.layers)


def one_text(columns: Tensor, positions: Tensor, size: int) -> Places:
    """Return the places of the tokens at `columns` [1, S] and `positions` [B, S] of one document of `size` tokens."""
    lengths = torch.full((1, 1), size, device=positions.device).expand(positions.shape)
    return Places(columns[0], positions, None, columns.expand(positions.shape), lengths, size, {})
