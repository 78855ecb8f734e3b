"""The rotary family: an encoding overrides its frequencies and its one amplitude.

Shapes: B batch, H heads, S tokens, D head width.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from ctxext.maths import rotary
from ctxext.places import Places
from ctxext.refusal import check_types, require
from ctxext.seams import Position


@dataclass(frozen=True)
class Rope(Position):
    """Rotary position embedding (Su et al. 2021, 2104.09864): pairs of a head turn at theta^(-2i/D) radians a token."""

    rope_theta: float

    def __post_init__(self) -> None:
        check_types(self, "position")
        require(self.rope_theta > 1, f"position.rope_theta must be above 1, got {self.rope_theta}")

    def frequencies(self, width: int) -> Tensor:
        """Return the radians a token of each pair [width / 2]."""
        return rotary.frequencies(self.rope_theta, width)

    @property
    def amplitude(self) -> float:
        """Return the factor on cosine and sine; logits are multiplied by its square."""
        return 1.0

    def prepare(self, places: Places, like: Tensor) -> None:
        self.waves(places, like)

    def waves(self, places: Places, like: Tensor) -> rotary.Waves:
        """Return by what heads of the width and type of `like` [..., D] are turned at `places`, computed once."""

        def make() -> rotary.Waves:
            frequencies = cached_frequencies(self, like.shape[-1], like.device)
            return rotary.waves(self.turns(places, like.shape[-1]), frequencies, self.amplitude, like.dtype)

        made: rotary.Waves = places.kept((self, like.shape[-1], like.dtype), make)
        return made

    def turns(self, places: Places, width: int) -> Tensor:
        """Return the positions that heads of `width` are turned by, [B, S], or [B, S, width / 2] pair by pair."""
        return places.positions

    def rotate(self, heads: Tensor, places: Places) -> Tensor:
        return rotary.turn(heads, self.waves(places, heads))

    def turns_for_good(self) -> bool:
        return type(self).rotate is Rope.rotate and type(self).rotate_keys is Position.rotate_keys

    def base(self) -> "Rope":
        return Rope(self.rope_theta)


@lru_cache(maxsize=64)
def cached_frequencies(rope: Rope, width: int, device: torch.device) -> Tensor:
    """Return `rope.frequencies(width)` on `device`, computed once."""
    return rope.frequencies(width).to(device)


@dataclass(frozen=True)
class Scaled(Rope):
    """A rotary encoding that reaches `factor` times the trained length; at factor 1 it is exactly `Rope`."""

    factor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.factor >= 1, f"position.factor must be at least 1, got {self.factor}")

    def off(self, length: int) -> "Scaled":
        return replace(self, factor=1.0)


@dataclass(frozen=True)
class RopeInterp(Scaled):
    """Position interpolation (Chen et al. 2023, 2306.15595): every frequency is divided by the factor."""

    def frequencies(self, width: int) -> Tensor:
        return super().frequencies(width) / self.factor


@dataclass(frozen=True)
class RopeNtk(Scaled):
    """NTK-aware scaling (bloc97, 2023): theta rises until the slowest pair is slowed by the factor."""

    def frequencies(self, width: int) -> Tensor:
        require(width > 2, f"NTK-aware scaling needs model.head_dim above 2, got {width}")
        return rotary.frequencies(rotary.ntk_theta(self.rope_theta, self.factor, width), width)


@dataclass(frozen=True)
class RopeAbf(Rope):
    """Adjusted base frequency (Xiong et al. 2023, 2309.16039): `adjusted_theta` takes the place of the base's theta."""

    adjusted_theta: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.adjusted_theta > 1, f"position.adjusted_theta must be above 1, got {self.adjusted_theta}")

    def frequencies(self, width: int) -> Tensor:
        return rotary.frequencies(self.adjusted_theta, width)

    def off(self, length: int) -> "RopeAbf":
        return replace(self, adjusted_theta=self.rope_theta)


def check_length(trained: int) -> None:
    """Refuse a `trained` length that is no length."""
    require(trained > 0, f"position.original_max_position_embeddings must be above 0, got {trained}")


@dataclass(frozen=True)
class RopeByParts(Scaled):
    """NTK-by-parts (Peng et al. 2023, 2309.00071, section 3.2): slow pairs are interpolated, and fast ones kept.

    Pairs of more than `beta_fast` turns over the trained length are kept, those of fewer than `beta_slow` are divided
    by the factor, and a ramp over the pair's index blends between. Older code of the authors draws its ramps otherwise.
    """

    original_max_position_embeddings: int
    beta_fast: float
    beta_slow: float

    def __post_init__(self) -> None:
        super().__post_init__()
        fast, slow = self.beta_fast, self.beta_slow
        require(
            fast > slow > 0,
            f"position.beta_fast must be above position.beta_slow and both above 0, got {fast} and {slow}",
        )
        check_length(self.original_max_position_embeddings)

    def frequencies(self, width: int) -> Tensor:
        base = super().frequencies(width)
        if self.factor == 1:  # (w / 1) r + w (1 - r) rounds differently from w
            return base
        ramp = rotary.ramp(
            self.beta_fast, self.beta_slow, self.rope_theta, width, self.original_max_position_embeddings
        )
        return base / self.factor * ramp + base * (1 - ramp)


@dataclass(frozen=True)
class Yarn(RopeByParts):
    """YaRN (Peng et al. 2023, 2309.00071): NTK-by-parts, with queries and keys multiplied by `attention_factor`."""

    attention_factor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.attention_factor > 0, f"position.attention_factor must be above 0, got {self.attention_factor}")

    @property
    def amplitude(self) -> float:
        return self.attention_factor

    def off(self, length: int) -> "Yarn":
        return replace(self, factor=1.0, attention_factor=1.0)
