"""What a network remembers of the tokens it has read.

Shapes: B batch, G key-value heads, S tokens, D head width, W hidden size.
"""

from __future__ import annotations

import torch
from torch import Tensor


class DecoderCache:
    """Keys and values of each layer, before rotation: angles may depend on the length, and views turn keys anew."""

    def __init__(self) -> None:
        self.layers: list[tuple[Tensor, Tensor]] = []
        self.positions: Tensor | None = None

    def see(self, positions: Tensor) -> Tensor:
        """Return the positions of all tokens so far, those of the new ones, `positions` [B, S], at the end."""
        self.positions = positions if self.positions is None else torch.cat((self.positions, positions), dim=1)
        return self.positions

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return all keys and values of `layer` with the new `k` and `v` [B, G, S, D] at the end."""
        if layer == len(self.layers):
            self.layers.append((k, v))
        else:
            past_k, past_v = self.layers[layer]
            self.layers[layer] = torch.cat((past_k, k), dim=2), torch.cat((past_v, v), dim=2)
        return self.layers[layer]

    def repeat(self, count: int) -> DecoderCache:
        """Return a cache in which each row stands `count` times."""
        copy = DecoderCache()
        copy.layers = [(k.repeat_interleave(count, dim=0), v.repeat_interleave(count, dim=0)) for k, v in self.layers]
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
