"""Infini-attention: softmax within segments, and a memory of fixed size for all segments before.

Shapes: B batch, H heads, Q queries, K keys, S tokens, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ctxext.attention.linear import positive
from ctxext.kernels.fused import spread
from ctxext.kernels.gather import gather
from ctxext.kernels.memory import learned, looked_up, recall, segments
from ctxext.kernels.norm import at_least_float32
from ctxext.places import Places, distances
from ctxext.refusal import check_types, require
from ctxext.seams import Attention, Heads, Mask, Position, Reach, Sizes, State, View, Work


@dataclass(frozen=True)
class Infini(Attention):
    """Infini-attention (Munkhdalai et al. 2024, 2404.07143): sigma(b_h) recalled + (1 - sigma(b_h)) local.

    Local is softmax within the segment of `segment` tokens, at positions from its start; recalled is what the segments
    before it left in a memory, written by the delta rule from keys that no position turns. Each head of each layer
    learns its b, from 0 on. Segments and memory start anew with each document, of which all before is read.
    """

    segment: int

    def __post_init__(self) -> None:
        check_types(self, "attention")
        require(self.segment >= 1, f"attention.segment must be at least 1 token, got {self.segment}")

    def grown(self, sizes: Sizes, before: Attention | None) -> Attention:
        return InfiniPart(self, sizes)

    def view(self) -> View:
        """Return the pairs of one segment, at positions from its start."""
        return View(self.together, Reach("band", self.segment), turn_queries=self.local, turn_keys=self.local)

    def together(self, queries: Places, keys: Places) -> Tensor:
        """Return bool [B, 1, Q, K]: the key lies before the query in its segment, or is its own."""
        return (distances(queries, keys) >= 0) & (self.apart(queries, keys) == 0)

    def earlier(self, queries: Places, keys: Places) -> Tensor:
        """Return bool [B, 1, Q, K]: the key lies in a segment before the query's."""
        return self.apart(queries, keys) > 0

    def apart(self, queries: Places, keys: Places) -> Tensor:
        """Return how many segments each key lies before each query [B, 1, Q, K]."""
        here, there = (places.ordinals // self.segment for places in (queries, keys))
        return here[:, None, :, None] - there[:, None, None, :]

    def local(self, places: Places) -> Tensor:
        """Return the places [B, S] within the segments."""
        return places.ordinals % self.segment


class InfiniPart(nn.Module, Attention):
    """What the layers learn."""

    def __init__(self, settings: Infini, sizes: Sizes) -> None:
        super().__init__()
        count, num_heads = sizes.num_hidden_layers, sizes.num_attention_heads
        self.layers = nn.ModuleList(InfiniLayer(settings, num_heads) for _ in range(count))

    def layer(self, index: int, count: int) -> Attention:
        layer: InfiniLayer = self.layers[index]  # type: ignore[assignment]
        return layer


class InfiniLayer(nn.Module, Attention):
    """How far the heads of one layer trust the memory, `beta` [H]."""

    def __init__(self, settings: Infini, num_heads: int) -> None:
        super().__init__()
        self.settings = settings
        self.beta = nn.Parameter(torch.zeros(num_heads))

    def gather(self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask) -> Tensor:
        return self.blended(self.recalled(heads, keys), heads, queries, keys, position)

    def blended(self, recalled: Tensor, heads: Heads, queries: Places, keys: Places, position: Position) -> Tensor:
        """Return what is `recalled` [B, H, Q, D] and what is local, as far as each head trusts them."""
        local = gather(heads.q, heads.k, heads.v, queries, keys, (self.settings.view(),), position, None)
        trust = self.beta.sigmoid()[:, None, None]
        return (trust * recalled + (1 - trust) * local).to(local.dtype)

    def carried(self, mask: Mask) -> tuple[View, ...]:
        return (self.settings.view(),)

    def carry(
        self, heads: Heads, queries: Places, keys: Places, position: Position, mask: Mask, state: State
    ) -> tuple[Tensor, State]:
        recalled, state = self.going_on(heads, queries.size, state)
        return self.blended(recalled, heads, queries, keys, position), state

    def going_on(self, heads: Heads, size: int, state: State) -> tuple[Tensor, State]:
        """Return what the queries of `heads`, the last of `size` tokens, recall, and the `state` of whole segments."""
        segment, (batch, num_heads, count, width) = self.settings.segment, heads.q.shape
        with torch.autocast(heads.q.device.type, enabled=False):
            asking = positive(at_least_float32(heads.q))
            empty = asking.new_zeros(batch, num_heads, width, width), asking.new_zeros(batch, num_heads, width, 1)
            memory, total = state or empty
            start, recalled = size - count, []
            while start < size:
                stop = min(start - start % segment + segment, size)
                recalled.append(looked_up(asking[:, :, start - size + count : stop - size + count], memory, total))
                if stop % segment == 0:
                    last = heads.k.shape[2] - size + stop
                    k, v = (at_least_float32(part[:, :, last - segment : last]) for part in (heads.k, heads.v))
                    memory, total = learned(memory, total, spread(positive(k), num_heads), spread(v, num_heads))
                start = stop
            return torch.cat(recalled, dim=2), (memory, total)

    def work(self, mask: Mask, length: int, width: int) -> Work:
        settings = self.settings
        recalling = max(length - settings.segment, 0)
        written = (length - 1) // settings.segment * settings.segment  # the last segment is asked by none
        known = max(written - settings.segment, 0)  # to write what is new, what is there has to be looked up
        memory = (recalling + known) * width * (width + 1) + written * width * width
        return Work(((settings.view(), 2 * width), (View(settings.earlier), 0)), memory / length)

    def recalled(self, heads: Heads, keys: Places) -> Tensor:
        """Return what the queries of `heads` recall [B, H, Q, D] of earlier segments, at least in float32."""
        size, num_heads = self.settings.segment, heads.q.shape[1]
        with torch.autocast(heads.q.device.type, enabled=False):
            q, k, v = (at_least_float32(part) for part in (heads.q, heads.k, heads.v))
            k, v = spread(positive(k), num_heads), spread(v, num_heads)
            return recall(positive(q), k, v, segments(keys, size), size)
