"""Self-Extend: exact distances nearby, grouped ones far away.

Shapes: B batch, S tokens, Q queries, K keys.
"""

from dataclasses import dataclass, replace

from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.refusal import check_types, require
from ctxext.seams import Attention, Mask, Places, Reach, View, distances


@dataclass(frozen=True)
class SelfExtend(Attention):
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
        return tuple(part for view in mask.views() for part in (self.near(view), self.far(view)))

    def near(self, view: View) -> View:
        """Return the pairs of `view` nearer than the window, as they are."""
        size = min(self.window, view.reach.size) if view.reach.tag == "band" else self.window

        def visible(queries: Places, keys: Places) -> Tensor:
            return view.visible(queries, keys) & (distances(queries, keys) < self.window)

        return replace(view, visible=visible, reach=Reach("band", size))

    def far(self, view: View) -> View:
        """Return the pairs of `view` from the window on, at grouped positions."""

        def visible(queries: Places, keys: Places) -> Tensor:
            return view.visible(queries, keys) & (distances(queries, keys) >= self.window)

        reach = replace(view.reach, beyond=self.window)
        return View(visible, reach, turn_queries=self.turn_queries, turn_keys=self.turn_keys)

    def turn_queries(self, positions: Tensor) -> Tensor:
        """Return the grouped positions of far queries, moved so that distances go on from the window's edge."""
        return positions // self.group + self.window - self.window // self.group

    def turn_keys(self, positions: Tensor) -> Tensor:
        """Return the grouped positions of far keys."""
        return positions // self.group

    def base(self) -> Attention:
        return Softmax()
