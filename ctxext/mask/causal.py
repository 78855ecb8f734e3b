"""The causal mask.

Shapes: Q queries, K keys.
"""

from dataclasses import dataclass

from torch import Tensor

from ctxext.places import Places, distances
from ctxext.seams import Mask, Reach, View


def past(queries: Places, keys: Places) -> Tensor:
    """Return bool [1, 1, Q, K]: the key is the query's own token or an earlier one."""
    return distances(queries, keys) >= 0


@dataclass(frozen=True)
class Causal(Mask):
    """Every token sees itself and all before it; a row packed with several documents is read as one text."""

    def views(self) -> tuple[View, ...]:
        return (View(past, Reach(is_whole=True, is_full=True)),)

    def keeps_documents_apart(self) -> bool:
        return False
