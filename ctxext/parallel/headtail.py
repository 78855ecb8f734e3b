"""A row shared by several processes: each has a piece of its head and one of its tail, and sees the keys of all.

Shapes: B batch, S tokens, N those of this process, C processes, * anything.

Rows are cut into 2 C pieces, and process r has the pieces r and 2 C - 1 - r: late queries see many keys and early ones
few, so that all have as much to do (Llama 3, 2407.21783, section 3.3.2). Each piece asks the keys from the row's start
up to its own end: its queries stand in the last columns of these, as those of a text that goes on do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ctxext.parallel.collectives import gathered
from ctxext.places import Places


@dataclass(frozen=True)
class HeadTail:
    """What of each row the process `rank` of `count` has; `gather` takes its numbers [*] to those of all [C, *]."""

    rank: int
    count: int
    gather: Callable[[Tensor], Tensor]

    def pieces(self, length: int) -> tuple[slice, slice]:
        """Return the columns of both pieces in rows of `length` tokens."""
        size = length // (2 * self.count)
        first, second = self.rank, 2 * self.count - 1 - self.rank
        return slice(first * size, (first + 1) * size), slice(second * size, (second + 1) * size)

    def own(self, whole: Tensor) -> Tensor:
        """Return this process's part [B, N] of `whole` [B, S]."""
        return torch.cat([whole[:, piece] for piece in self.pieces(whole.shape[1])], dim=1)

    def places(self, whole: Places) -> Places:
        """Return the places of this process's tokens, of those of `whole` rows."""
        columns = self.own(whole.columns[None])[0]
        documents = None if whole.documents is None else self.own(whole.documents)
        positions, ordinals, lengths = map(self.own, (whole.positions, whole.ordinals, whole.lengths))
        return Places(columns, positions, documents, ordinals, lengths, whole.size, {})

    def sights(self, whole: Places) -> list[tuple[Places, Places]]:
        """Return for each piece the places of its queries, and those of the keys up to its end."""
        return [(whole.part(piece.start, piece.stop), whole.part(0, piece.stop)) for piece in self.pieces(whole.size)]

    def everyone(self, own: Sequence[Tensor]) -> list[Tensor]:
        """Return for each of this process's tensors [B, *, N, *] that of whole rows [B, *, S, *], by one collective."""
        kinds = {tensor.dtype for tensor in own}
        if len(kinds) > 1:  # one for each type
            by_kind = {kind: self.everyone([part for part in own if part.dtype == kind]) for kind in kinds}
            return [by_kind[part.dtype].pop(0) for part in own]
        every = self.gather(torch.cat([tensor.flatten() for tensor in own]))
        parts = torch.split(every, [tensor.numel() for tensor in own], dim=1)
        return [self.laid(part, tensor.shape) for part, tensor in zip(parts, own, strict=True)]

    def laid(self, parts: Tensor, shape: torch.Size) -> Tensor:
        """Return the `parts` [C, B x * x N x *] of all processes, each of `shape` [B, *, N, *], in the row's order."""
        batch, heads, size, *rest = shape
        halves = parts.view(self.count, batch, heads, 2, size // 2, *rest)
        order = (*halves[:, :, :, 0].unbind(), *reversed(halves[:, :, :, 1].unbind()))
        return torch.cat(order, dim=2)


def head_tail(group: Any, rank: int, count: int) -> HeadTail:
    """Return the share of `rank` in the rows of the `count` processes of `group`."""
    return HeadTail(rank, count, lambda own: gathered(own, group, count))
