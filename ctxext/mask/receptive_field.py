"""How far back a stack of layers can learn of anything."""

import math
import sys

from ctxext.mask.chunked import Chunked
from ctxext.seams import Mask

UNLIMITED = sys.maxsize


def receptive_field(mask: Mask, layers: int) -> int:
    """Return of how many of the last tokens, at most, the last one can learn through as many `layers` of `mask`.

    UNLIMITED where a layer sees any distance. The first tokens of a text, which some masks keep in sight, don't count,
    and learned spans count as they begin. Chunks alone never learn of each other.
    """
    members = [mask.layer(index, layers) for index in range(layers)]
    field = 1 + sum(band(member) - 1 for member in members)
    chunks = [member.chunk for member in members if isinstance(member, Chunked)]
    if len(chunks) == layers:
        field = min(field, math.lcm(*chunks))
    return min(field, UNLIMITED)


def band(mask: Mask) -> int:
    """Return how many of the last tokens `mask` shows, its first tokens not counted."""
    reaches = [view.reach for view in mask.views() if view.reach.tag != "head"]
    return max(reach.size if reach.tag in ("band", "chunk") else UNLIMITED for reach in reaches)
