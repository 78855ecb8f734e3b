"""A tensor that grows by tokens, and forgets those that no query can look at any more.

Shapes: B batch, S tokens.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import torch
from torch import Tensor

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
        return self.head + max(self.band - 1, 0)


WHOLE = Span(0, sys.maxsize)
NOTHING = Span(0, 0)
"""Not even the own token: all that is looked at comes with the queries."""


class Strip:
    """A tensor with tokens along the dimension `dim`, written in place; what lies outside the `span` is dropped.

    The first `head` tokens stay at the front, the last ones follow them without a gap. What is there is moved to
    another buffer and never within one, so that a copy of a strip goes on from where it was made.
    """

    def __init__(self, span: Span, dim: int) -> None:
        self.span, self.dim = span, dim
        self.used = self.capacity = self.reserved = 0
        self.buffer = torch.empty(0)

    def append(self, new: Tensor) -> Tensor:
        """Return all that is kept, with `new` at the end; it takes no gradient."""
        count = new.shape[self.dim]
        if self.used + count > self.capacity:
            self.make_room(new, count)
        self.buffer.narrow(self.dim, self.used, count).copy_(new.detach() if new.requires_grad else new)
        self.used += count
        return self.kept

    @property
    def kept(self) -> Tensor:
        """The tokens that are there."""
        return self.buffer.narrow(self.dim, 0, self.used)

    def make_room(self, new: Tensor, count: int) -> None:
        """Move what has to be kept to a buffer with room for `count` tokens more, of the shape of `new` but for `dim`.

        It is twice as long as the last, or as long as was reserved, but never longer than the span needs.
        """
        most = self.span.before + max(count, ROOM)
        pieces = self.pieces(most - count) if self.used else []
        used = sum(piece.shape[self.dim] for piece in pieces)
        wished = max(used + count + ROOM, 2 * self.capacity) if used + count > self.reserved else self.reserved
        self.capacity = min(wished, max(most, used + count))
        shape = list(new.shape)
        shape[self.dim] = self.capacity
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
        repeated = Strip(self.span, self.dim)
        with torch.inference_mode(False), torch.no_grad():
            repeated.buffer = self.buffer.repeat_interleave(count, dim=0)
        repeated.used, repeated.capacity, repeated.reserved = self.used, self.capacity, self.reserved
        return repeated
