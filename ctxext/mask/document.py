"""The causal mask that keeps packed documents apart."""

from dataclasses import dataclass

from ctxext.mask.causal import past
from ctxext.seams import Mask, Reach, View


@dataclass(frozen=True)
class IntraDocument(Mask):
    """Every token sees itself and all before it in its document (Zhao et al. 2024, 2402.13991); positions restart."""

    def views(self) -> tuple[View, ...]:
        return (View(past, Reach(is_whole=True, is_full=True)),)
