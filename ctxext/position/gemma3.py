"""Gemma 3's rotation: another one in the layers that see all than in those that see a window."""

from dataclasses import dataclass, replace

from ctxext.position.rope import Rope, RopeInterp
from ctxext.refusal import require


@dataclass(frozen=True)
class Gemma3Rope(Rope):
    """Rotation by layer (Gemma 3, 2503.19786): `rope_theta` in local layers, `global_theta` in each n-th, a global one.

    n is `global_every`; global layers are interpolated by `factor`. A network of fewer layers has a global one last, as
    with mask=layered.
    """

    global_theta: float
    factor: float
    global_every: int

    def __post_init__(self) -> None:
        super().__post_init__()
        RopeInterp(self.global_theta, self.factor)  # it checks these
        require(self.global_every > 1, f"position.global_every must be at least 2 layers, got {self.global_every}")

    def layer(self, index: int, count: int) -> Rope:
        is_global = (index + 1 + max(self.global_every - count, 0)) % self.global_every == 0
        return RopeInterp(self.global_theta, self.factor) if is_global else Rope(self.rope_theta)

    def base(self) -> "Gemma3Rope":
        return replace(self, factor=1.0)

    def off(self, length: int) -> "Gemma3Rope":
        return self.base()
