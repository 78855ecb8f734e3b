"""A layer whose rows are shared by several processes: queries of its own tokens, keys and values of all.

Shapes: B batch, N tokens of this process, W model width, H heads, D head width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ctxext.model.block import Project
from ctxext.parallel.headtail import HeadTail
from ctxext.places import Places
from ctxext.seams import Attention, Heads, Mask, Position


class Shared(NamedTuple):
    """Rows shared by several processes: this one's share, and for each of its pieces who asks whom."""

    share: HeadTail
    sights: list[tuple[Places, Places]]


def gathered_across(members: tuple[Position, Mask, Attention], rows: Shared, x: Tensor, project: Project) -> Tensor:
    """Return what the heads of a layer gather [B, H, N, D] by its `members` for the states `x` [B, N, W].

    Keys, values and what is remembered beside them are gathered from all processes by one collective.
    """
    position, mask, attention = members
    q, *own = *project(x), *attention.remember(x)
    everyone, outputs, start = rows.share.everyone(own), [], 0
    for queries, keys in rows.sights:
        here = slice(start, start + queries.columns.shape[0])
        k, v, *remembered = (part[:, :, : keys.columns.shape[0]] for part in everyone)
        heads = Heads(q[:, :, here], k, v, tuple(remembered), x[:, here], project)
        outputs.append(attention.gather(heads, queries, keys, position, mask))
        start = here.stop
    return torch.cat(outputs, dim=2)
