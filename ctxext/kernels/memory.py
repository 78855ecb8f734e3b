"""A memory that is written a segment at a time, each value as what is new of it, and read by the segments after.

Shapes: B batch, H heads, Q queries (the keys' last Q columns), K keys, D head width, R segments of a row, N their size.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ctxext.kernels.linear import over
from ctxext.places import Places


class Segments(NamedTuple):
    """Where tokens lie: `slots` [B, K] in a table of `rows` segments; `opens` [B, R] where one opens a document."""

    slots: Tensor
    rows: int
    opens: Tensor


def segments(keys: Places, size: int) -> Segments:
    """Return the segments of `size` tokens, counted from the start of each document of `keys`."""
    within = keys.ordinals % size
    number = (within == 0).cumsum(dim=1) - 1
    one_document = keys.documents is None
    # How many segments packed documents make, only the device knows, and tables have to be made by number.
    rows = -(-keys.columns.shape[0] // size) if one_document else int(number[:, -1].max()) + 1
    # Tokens of one segment write the same value, and segments that a row lacks stay False.
    opens = torch.zeros(number.shape[0], rows, dtype=torch.bool, device=number.device)
    return Segments(number * size + within, rows, opens.scatter(1, number, keys.ordinals < size))


def recall(q: Tensor, k: Tensor, v: Tensor, lie: Segments, size: int) -> Tensor:
    """Return what `q` [B, H, Q, D] recall [B, H, Q, D] of `k` and `v` [B, H, K, D] in the segments before their own.

    `q` and `k` are above 0, tokens `lie` in segments of `size`; the first of a document recalls 0.
    """
    num_queries, num_keys = q.shape[2], k.shape[2]
    here = lie.slots[:, num_keys - num_queries :]
    asking, written, values = table(q, here, lie, size), table(k, lie.slots, lie, size), table(v, lie.slots, lie, size)
    first = (num_keys - num_queries) // size  # no token's slot is below its column
    batch, heads, _, width = k.shape
    memory, total = k.new_zeros(batch, heads, width, v.shape[-1]), k.new_zeros(batch, heads, width, 1)
    recalled = []
    for number in range(lie.rows):
        kept = ~lie.opens[:, number, None, None, None]
        memory, total = memory * kept, total * kept
        # Read before it is written: a token must not recall its own segment, which goes on after it.
        if number >= first:
            recalled.append(looked_up(asking[:, :, number], memory, total))
        if number + 1 < lie.rows:
            memory, total = learned(memory, total, written[:, :, number], values[:, :, number])
    flat = torch.cat(recalled, dim=2)
    return flat.gather(2, (here - first * size)[:, None, :, None].expand(batch, heads, num_queries, v.shape[-1]))


def learned(memory: Tensor, total: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Return `memory` [B, H, D, D] and `total` [B, H, D, 1] after the segment of `k` and `v` [B, H, N, D]."""
    memory = memory + k.transpose(-1, -2) @ (v - looked_up(k, memory, total))
    return memory, total + k.sum(dim=2)[..., None]


def looked_up(asking: Tensor, memory: Tensor, total: Tensor) -> Tensor:
    """Return asking memory / asking total, [B, H, N, D], and 0 where nothing was written or nothing is asked."""
    return over(asking @ memory, asking @ total)


def table(x: Tensor, slots: Tensor, lie: Segments, size: int) -> Tensor:
    """Return `x` [B, H, S, D] laid at `slots` [B, S] of [B, H, R, N, D], 0 where no token lies."""
    batch, heads, _, width = x.shape
    empty = torch.zeros(batch, heads, lie.rows * size, width, dtype=x.dtype, device=x.device)
    laid = empty.scatter(2, slots[:, None, :, None].expand(x.shape), x)
    return laid.view(batch, heads, lie.rows, size, width)
