"""Rotation in most layers, and none in the others."""

from dataclasses import dataclass

from ctxext.position.nope import Nope
from ctxext.position.rope import Rope
from ctxext.refusal import require
from ctxext.seams import Position


@dataclass(frozen=True)
class RopeNope(Rope):
    """RoPE and NoPE in turn (Yang et al. 2025, 2501.18795): each `interval`-th layer has no rotation.

    SmolLM3 and Llama 4 are made so. Layers without rotation look anywhere by content, the others keep the order.
    """

    interval: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.interval > 1, f"position.interval must be at least 2 layers, got {self.interval}")

    def layer(self, index: int, count: int) -> Position:
        return Nope() if (index + 1) % self.interval == 0 else Rope(self.rope_theta)

    def base(self) -> Rope:
        return self
