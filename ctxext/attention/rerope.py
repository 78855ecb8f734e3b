"""ReRoPE: no distance beyond a window grows on as before, so that none is new to the model.

Shapes: B batch, S tokens, Q queries, K keys.
"""

from dataclasses import dataclass, replace

from torch import Tensor

from ctxext.attention.log_n import LogN
from ctxext.attention.self_extend import split
from ctxext.attention.softmax import Softmax
from ctxext.places import Places
from ctxext.refusal import check_types, require
from ctxext.seams import Attention, Mask, View


@dataclass(frozen=True)
class Rerope(Softmax):
    """Rectified rotary positions (Su 2023): pairs nearer than `window` as they are, all others at distance `window`.

    With `leak` above 0, Leaky ReRoPE: a distance D from the window on is scored at window + leak (D - window). Logits
    grow with the visible keys beyond `trained_length`, as in the published code.
    """

    window: int
    leak: float
    trained_length: int

    def __post_init__(self) -> None:
        check_types(self, "attention")
        require(self.window >= 1, f"attention.window must be at least 1 token, got {self.window}")
        require(0 <= self.leak <= 1, f"attention.leak must be from 0 to 1, got {self.leak}")
        require(self.trained_length > 1, f"attention.trained_length must be above 1 token, got {self.trained_length}")

    def views(self, mask: Mask) -> tuple[View, ...]:
        parts = (split(view, self.window) for view in mask.views())
        turned = ((near, replace(far, turn_queries=self.queries, turn_keys=self.keys)) for near, far in parts)
        return tuple(view for pair in turned for view in pair)

    def queries(self, places: Places) -> Tensor:
        """Return the positions [B, S] at which far pairs score their queries."""
        return places.positions * self.leak + self.window * (1 - self.leak)

    def keys(self, places: Places) -> Tensor:
        """Return the positions [B, S] at which far pairs score their keys."""
        return places.positions * self.leak

    def scale(self, queries: Places, keys: Places, views: tuple[View, ...]) -> Tensor:
        return LogN(self.trained_length).scale(queries, keys, views)

    def base(self) -> Attention:
        return Softmax()

    def off(self, length: int) -> Attention:
        return replace(self, window=length, trained_length=max(length, 2))
