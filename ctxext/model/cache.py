"""What a network remembers of the tokens it has read.

Shapes: B batch, G key-value heads, S tokens, D head width, W hidden size.
"""

from __future__ import annotations

import torch
from torch import Tensor


class DecoderCache:
    """Keys, values and what else attention remembers, for each layer; keys before rotation.

    Angles may depend on the length, and views turn keys anew.
    """

    def __init__(self) -> None:
        self.layers: list[tuple[Tensor, ...]] = []
        self.positions: Tensor | None = None

    def see(self, positions: Tensor) -> Tensor:
        """Return the positions of all tokens so far, those of the new ones, `positions` [B, S], at the end."""
        self.positions = positions if self.positions is None else torch.cat((self.positions, positions), dim=1)
        return self.positions

    def extend(self, layer: int, new: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return all that is kept for `layer` with the `new` tensors [B, *, S, *] at the end."""
        if layer == len(self.layers):
            self.layers.append(new)
        else:
            self.layers[layer] = tuple(torch.cat(pair, dim=2) for pair in zip(self.layers[layer], new, strict=True))
        return self.layers[layer]

    def repeat(self, count: int) -> DecoderCache:
        """Return a cache in which each row stands `count` times."""
        copy = DecoderCache()
        copy.layers = [tuple(kept.repeat_interleave(count, dim=0) for kept in layer) for layer in self.layers]
        copy.positions = None if self.positions is None else self.positions.repeat_interleave(count, dim=0)
        return copy


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
