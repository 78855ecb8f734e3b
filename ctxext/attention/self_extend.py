"""Self-Extend: exact distances nearby, grouped ones far away.

Shapes: B batch, S tokens, Q queries, K keys.
"""

from dataclasses import dataclass, replace

from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.places import Places, distances
from ctxext.refusal import check_types, require
from ctxext.seams import Attention, Mask, View


@dataclass(frozen=True)
class SelfExtend(Softmax):
    """Self-Extend (Jin et al. 2024, 2401.01325, equation 3): pairs nearer than `window` as they are, others by groups.

    A far pair is scored between floor(q / group) + window - floor(window / group) and floor(k / group), so that no
    distance is new to the model. With group 1 it is exactly softmax attention.
    """

    window: int
    group: int

    def __post_init__(self) -> None:
        check_types(self, "attention")
        require(self.window >= 1, f"attention.window must be at least 1 token, got {self.window}")
        require(self.group >= 1, f"attention.group must be at least 1 token, got {self.group}")

    def views(self, mask: Mask) -> tuple[View, ...]:
        if self.group == 1:
            return mask.views()
        parts = (split(view, self.window) for view in mask.views())
        turned = ((near, replace(far, turn_queries=self.turn_queries, turn_keys=self.turn_keys)) for near, far in parts)
        return tuple(view for pair in turned for view in pair)

    def turn_queries(self, places: Places) -> Tensor:
        """Return the grouped positions of far queries, moved so that distances go on from the window's edge."""
        return places.positions // self.group + self.window - self.window // self.group

    def turn_keys(self, places: Places) -> Tensor:
        """Return the grouped positions of far keys."""
        return places.positions // self.group

    def base(self) -> Attention:
        return Softmax()

    def off(self, length: int) -> Attention:
        return replace(self, group=1)

    def period(self) -> int:
        return self.group


def split(view: View, window: int) -> tuple[View, View]:
    """Return the pairs of `view` nearer than `window` tokens, and the others."""

    def near(queries: Places, keys: Places) -> Tensor:
        return view.visible(queries, keys) & (distances(queries, keys) < window)

    def far(queries: Places, keys: Places) -> Tensor:
        return view.visible(queries, keys) & (distances(queries, keys) >= window)

    nearer, farther = view.reach.near(window), view.reach.far(window)
    return replace(view, visible=near, reach=nearer), replace(view, visible=far, reach=farther)
