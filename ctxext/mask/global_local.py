"""A window, the first tokens, and random blocks between them.

Shapes: B batch, Q queries, K keys, N blocks, R random blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.maths.counted import generator
from ctxext.places import Places, distances
from ctxext.refusal import check_types, require
from ctxext.seams import Mask, Reach, View


@dataclass(frozen=True)
class GlobalLocal(Mask):
    """Causal BigBird (Zaheer et al. 2020, 2007.14062), without random blocks causal Longformer (2004.05150).

    A token sees the last `window` tokens, the first `global_tokens`, and `random_blocks` blocks of `block` tokens that
    are drawn for its own block from those between: each is named by `seed`, the layer and the block, so that appended
    tokens change none.
    """

    window: int
    global_tokens: int
    random_blocks: int
    block: int
    seed: int

    def __post_init__(self) -> None:
        check_types(self, "mask")
        for key in ("window", "global_tokens", "block"):
            value = getattr(self, key)
            require(value >= 1, f"mask.{key} must be at least 1 token, got {value}")
        require(self.random_blocks >= 0, f"mask.random_blocks must be at least 0, got {self.random_blocks}")
        require(self.seed >= 0, f"mask.seed must be at least 0, got {self.seed}")

    def views(self) -> tuple[View, ...]:
        first = View(self.is_global, Reach("head", self.global_tokens, beyond=self.window, is_full=True))
        drawn = View(self.is_drawn, Reach("causal", beyond=self.window))
        return (*SlidingWindow(self.window).views(), first, *([drawn] if self.random_blocks else []))

    def is_global(self, queries: Places, keys: Places) -> Tensor:
        """Return bool [B, 1, Q, K]: the key is among the first tokens and the window has left it behind."""
        return (distances(queries, keys) >= self.window) & (keys.ordinals < self.global_tokens)[:, None, None, :]

    def is_drawn(self, queries: Places, keys: Places) -> Tensor:
        """Return bool [B, 1, Q, K]: the key is in a block that was drawn for the query's block."""
        needed = -(-queries.size // self.block)
        draws = drawn_blocks(self, 1 << (needed - 1).bit_length(), queries.columns.device)
        blocks = (keys.ordinals // self.block)[:, None, None, :]
        visible = torch.zeros((), dtype=torch.bool, device=blocks.device)
        for draw in draws[queries.ordinals // self.block].unbind(-1):
            visible = visible | (draw[:, None, :, None] == blocks)
        # Other documents lie at all distances, and their ordinals are alike.
        return visible & (distances(queries, keys) >= self.window)

    def between(self, block: int) -> range:
        """Return the blocks behind the first tokens and wholly before the window of the first query of `block`."""
        return range(-(-self.global_tokens // self.block), (block * self.block - self.window + 1) // self.block)

    def layer(self, index: int, count: int) -> Mask:
        return replace(self, seed=self.seed + index)

    def base(self) -> Mask:
        return IntraDocument()

    def off(self, length: int) -> Mask:
        return replace(self, window=length)


@lru_cache(maxsize=256)
def drawn_blocks(mask: GlobalLocal, count: int, device: torch.device) -> Tensor:
    """Return the blocks drawn for each of the first `count` blocks, int64 [N, R]; -1 where there are too few."""
    table = torch.full((count, mask.random_blocks), -1)
    for block in range(count):
        between = mask.between(block)
        number = min(mask.random_blocks, len(between))
        if number:
            draw = generator(mask.seed, "random blocks", block).choice(len(between), number, replace=False)
            table[block, :number] = torch.from_numpy(between.start + draw)
    return table.to(device)
