"""A rotary base without its rotation."""

from dataclasses import dataclass

from ctxext.position.rope import Rope
from ctxext.refusal import check_types
from ctxext.seams import Position


@dataclass(frozen=True)
class Drope(Position):
    """DroPE (Gelberg et al. 2025, 2512.12167): the rotation is dropped, and the model trained on for a short while.

    `rope_theta` is that of the base, whose weights are taken.
    """

    rope_theta: float

    def __post_init__(self) -> None:
        check_types(self, "position")

    def base(self) -> Position:
        return Rope(self.rope_theta)
