"""Segment-level recurrence: a segment looks back into the states of those before it, and learns from its own alone.

Shapes: B batch, H heads, G key-value heads, Q queries, K keys, D head width.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.kernels.gather import gather, gather_from, turned
from ctxext.places import Places
from ctxext.refusal import check_types, require
from ctxext.seams import Attention, Heads, Mask, Position, Reach, View


@dataclass(frozen=True)
class Recurrence(Attention):
    """Transformer-XL (Dai et al. 2019, 1901.02860) within a row: the own `segment` and `memory` tokens before it.

    Segments are counted in the document. While training, keys and values of the memory are made from states that take
    no gradient; the projections learn from both.
    """

    divides = "rows"  # keys of the memory are made anew from states, which other processes don't send
    segment: int
    memory: int

    def __post_init__(self) -> None:
        check_types(self, "attention")
        require(self.segment >= 1, f"attention.segment must be at least 1 token, got {self.segment}")
        require(self.memory >= 0, f"attention.memory must be at least 0 tokens, got {self.memory}")

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        # In one segment all is visible.
        views = self.within(mask) if keys.size > self.segment else mask.views()
        return gather(heads.q, heads.k, heads.v, queries, keys, views, position, None)

    def scored(self, mask: Mask) -> tuple[View, ...]:
        return self.within(mask)

    def within(self, mask: Mask) -> tuple[View, ...]:
        """Return the pairs of `mask` whose key is in the query's segment or in its memory."""
        bounds = ((-self.segment, 0), (0, self.memory))
        return tuple(self.before(view, *some) for view in mask.views() for some in bounds)

    def before(self, view: View, above: int, limit: int) -> View:
        """Return the pairs of `view` whose key stands `above` to `limit` tokens before the query's segment begins.

        `above` itself is left out; the tokens of the segment stand 0 or fewer before it.
        """

        def visible(queries: Places, keys: Places) -> Tensor:
            begin = queries.ordinals - queries.ordinals % self.segment
            before = begin[:, None, :, None] - keys.ordinals[:, None, None, :]
            return view.visible(queries, keys) & (before > above) & (before <= limit)

        reach = view.reach.part()
        if view.reach.tag == "causal" and view.reach.is_full and limit == 0:
            reach = Reach("chunk", self.segment, view.reach.beyond, is_full=True)
        elif reach.tag == "causal":
            reach = replace(reach, tag="band", size=self.segment + limit)
        return replace(view, visible=visible, reach=reach)

    def in_training(self) -> Attention:
        return Remembering(self)

    def base(self) -> Attention:
        return Softmax()

    def off(self, length: int) -> Attention:
        return replace(self, segment=max(length, 1))


class Remembering(Attention):
    """What stands in for `Recurrence` in training."""

    def __init__(self, settings: Recurrence) -> None:
        self.settings = settings

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        settings = self.settings
        if heads.k.shape[2] <= settings.segment:
            return settings.gather(heads, queries, keys, position, mask)
        own, memory = (heads.k, heads.v), self.memory(heads)
        sources = []
        for view in mask.views():
            parts = settings.before(view, -settings.segment, 0), settings.before(view, 0, settings.memory)
            sources += [
                turned(part, heads.q, k, v, queries, keys, position)
                for part, (k, v) in zip(parts, (own, memory), strict=True)
            ]
        return gather_from(sources, queries, keys, position)

    def memory(self, heads: Heads) -> tuple[Tensor, Tensor]:
        """Return keys and values [B, G, K, D] through which no gradient comes to the states of `heads`."""
        num_cached = heads.k.shape[2] - heads.q.shape[2]
        _, k, v = heads.project(heads.x.detach())
        cached = heads.k[:, :, :num_cached].detach(), heads.v[:, :, :num_cached].detach()
        return torch.cat((cached[0], k), dim=2), torch.cat((cached[1], v), dim=2)
