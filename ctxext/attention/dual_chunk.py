"""Dual Chunk Attention: positions restart in each chunk, and other chunks stay within distances that are known.

Shapes: S tokens, Q queries, K keys, B batch.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.places import Places
from ctxext.refusal import check_types, require
from ctxext.seams import Attention, Mask, View


@dataclass(frozen=True)
class DualChunk(Softmax):
    """Dual Chunk Attention (An et al. 2024, 2402.17463), trainable here: one softmax runs over all pairs.

    Positions are cut into chunks of c = `chunk` - `local`. With p mod c for keys, a query of the same chunk stands at
    p mod c, one of the next at min(p mod c + c, chunk), later ones at chunk. Logits are multiplied by
    attention_factor^2.
    """

    chunk: int
    local: int
    attention_factor: float

    def __post_init__(self) -> None:
        check_types(self, "attention")
        require(self.local >= 1, f"attention.local must be at least 1 token, got {self.local}")
        require(
            self.chunk > self.local,
            f"attention.chunk must be above attention.local={self.local}, got {self.chunk}",
        )
        require(self.attention_factor > 0, f"attention.attention_factor must be above 0, got {self.attention_factor}")

    def views(self, mask: Mask) -> tuple[View, ...]:
        return tuple(part for view in mask.views() for part in self.parts(view))

    def parts(self, view: View) -> Iterator[View]:
        """Yield the pairs of `view` within a chunk, with the chunk before, and with earlier ones."""
        turns = (self.remainder, self.following, self.farthest)
        for chunks_back, turn_queries in enumerate(turns):
            # Positions may skip, never stand still: a chunk holds at most c columns.
            reach = view.reach.part(beyond=min(chunks_back, 1))
            if reach.tag == "causal" and chunks_back < 2:
                reach = replace(reach, tag="band", size=(chunks_back + 1) * self.period())
            visible = Apart(view.visible, chunks_back, self.period())
            yield replace(view, visible=visible, reach=reach, turn_queries=turn_queries, turn_keys=self.remainder)

    def remainder(self, places: Places) -> Tensor:
        """Return the positions [B, S] within the chunk."""
        return places.positions % self.period()

    def following(self, places: Places) -> Tensor:
        """Return the positions [B, S] at which queries look into the chunk before."""
        return (self.remainder(places) + self.period()).clamp(max=self.chunk)

    def farthest(self, places: Places) -> Tensor:
        """Return the position [B, S] from which queries look into all earlier chunks."""
        return torch.full_like(places.positions, self.chunk)

    def scale(self, queries: Places, keys: Places, views: tuple[View, ...]) -> Tensor:
        return torch.full((1, 1, queries.columns.shape[0]), self.attention_factor**2, device=queries.columns.device)

    def base(self) -> Attention:
        return Softmax()

    def period(self) -> int:
        return self.chunk - self.local


@dataclass(frozen=True)
class Apart:
    """The pairs `among` others that stand `chunks_back` chunks of `size` apart, 2 or more counted as 2.

    It is a value: of layers alike, one alone has to work out where these pairs lie.
    """

    among: Callable[[Places, Places], Tensor]
    chunks_back: int
    size: int

    def __call__(self, queries: Places, keys: Places) -> Tensor:
        """Return bool [B, 1, Q, K]."""
        here, there = (places.positions // self.size for places in (queries, keys))
        between = here[:, None, :, None] - there[:, None, None, :]
        return self.among(queries, keys) & (between.clamp(max=2) == self.chunks_back)
