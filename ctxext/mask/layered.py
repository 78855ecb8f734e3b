"""A mask for each layer."""

import math
from dataclasses import dataclass, replace

from ctxext.mask.chunked import Chunked
from ctxext.mask.document import IntraDocument
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.refusal import check_types, require
from ctxext.seams import Mask

LETTERS = "SCL"
SCHEDULES = ("constant", "linear", "geometric")


@dataclass(frozen=True)
class Layered(Mask):
    """Windows by layer (Gemma 3, 2503.19786): `pattern` is repeated over the layers, a letter for each.

    S is a sliding window, C a chunk, L a long layer, which sees all. A network of fewer layers than letters takes the
    last letters. Windows and chunks grow with depth from `window` to `last_window` tokens by a `schedule`: linear, by
    equal steps, or geometric, by equal factors (MSWA, 2501.01039); constant if the two are equal.
    """

    pattern: str
    window: int
    last_window: int
    schedule: str

    def __post_init__(self) -> None:
        check_types(self, "mask")
        known = self.pattern != "" and set(self.pattern) <= set(LETTERS)
        require(known, f"mask.pattern must be letters out of S, C and L, such as SSSSSL, got {self.pattern!r}")
        require(self.window >= 1, f"mask.window must be at least 1 token, got {self.window}")
        schedules = f"{', '.join(SCHEDULES[:-1])} or {SCHEDULES[-1]}"
        require(self.schedule in SCHEDULES, f"mask.schedule must be {schedules}, got {self.schedule!r}")
        grows, first, last = self.last_window > self.window, self.window, self.last_window
        if self.schedule == "constant":
            rule = f"mask.schedule=constant needs mask.last_window equal to mask.window={first}, got {last}"
            require(first == last, f"{rule}; use mask.schedule=geometric or linear")
        else:
            require(
                grows, f"mask.schedule={self.schedule} needs mask.last_window above mask.window={first}, got {last}"
            )

    def layer(self, index: int, count: int) -> Mask:
        letters = self.letters(count)
        if letters[index] == "L":
            return IntraDocument()
        window = self.window_of(index - letters[:index].count("L"), count - letters.count("L"))
        return SlidingWindow(window) if letters[index] == "S" else Chunked(window)

    def letters(self, count: int) -> str:
        """Return the letter of each of `count` layers."""
        return (self.pattern * count)[:count] if count >= len(self.pattern) else self.pattern[-count:]

    def window_of(self, index: int, count: int) -> int:
        """Return the window of the narrow layer `index` of `count`, in tokens."""
        share = index / (count - 1) if count > 1 else 0.0
        if self.schedule == "geometric":
            return round(self.window * math.pow(self.last_window / self.window, share))
        return round(self.window + (self.last_window - self.window) * share)

    def base(self) -> Mask:
        return IntraDocument()

    def off(self, length: int) -> Mask:
        return replace(self, window=length, last_window=length, schedule="constant")
