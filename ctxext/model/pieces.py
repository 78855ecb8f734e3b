"""A long text is read piece by piece through the cache, so that what a pass holds doesn't grow with the text.

Shapes: B batch, S tokens, C tokens of a piece, W hidden size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

CHUNK = 2048
"""Tokens of a piece: fewer take longer, and on a CPU more do, since what they fill no longer fits into its caches."""


def keeps_prefix(model: Any) -> bool:
    """Return whether `model` reads a text as it is read when more follows."""
    seams = (getattr(model, seam, None) for seam in ("position", "mask", "attention"))  # an LSTM has none
    return all(member.keeps_prefix() for member in seams if member is not None)


def pieces(model: Any, tokens: Tensor, size: int) -> Iterator[tuple[int, Tensor]]:
    """Yield the states [B, C, W] of `tokens` [B, S] in `model`, at most `size` at once, each with its first place.

    They come at once where pieces would change them, or where a cache keeps all tokens of all layers: it takes no less
    than one layer at a time holds of them in one pass.
    """
    cache = model.new_cache() if tokens.shape[1] > size and keeps_prefix(model) else None
    if cache is None or cache.is_whole:
        yield 0, model.hidden(tokens, positions_of(tokens))
    else:
        yield from through(model, cache, tokens, size)


def through(model: Any, cache: Any, tokens: Tensor, size: int, before: int = 0) -> Iterator[tuple[int, Tensor]]:
    """Yield what `pieces` yields, while the `cache`, which has the tokens `before`, takes in the `tokens`."""
    length, positions = tokens.shape[1], positions_of(tokens) + before
    step = size if keeps_prefix(model) else length
    for start in range(0, length, step):
        part = slice(start, start + step)
        yield start, model.hidden(tokens[:, part], positions[:, part], cache=cache)


def positions_of(tokens: Tensor) -> Tensor:
    """Return the positions from 0 of `tokens` [B, S]."""
    return torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape[0], -1)
