"""LongRoPE: a factor for each pair, found by a search.

Shapes: D head width.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ctxext.position.dynamic import ByLength
from ctxext.position.rope import Rope, check_length
from ctxext.refusal import require


@dataclass(frozen=True)
class LongRope(ByLength, Rope):
    """LongRoPE (Ding et al. 2024, 2402.13753): each frequency is divided by its own number.

    Documents of up to `original_max_position_embeddings` tokens take `short_factor`, longer ones `long_factor`, of
    D / 2 numbers each, fastest pair first. As in transformers, `attention_factor` multiplies queries and keys at any
    length. `factor` says how far the context is extended, for other readers.
    """

    factor: float
    original_max_position_embeddings: int
    short_factor: tuple[float, ...]
    long_factor: tuple[float, ...]
    attention_factor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.factor >= 1, f"position.factor must be at least 1, got {self.factor}")
        check_length(self.original_max_position_embeddings)
        require(self.attention_factor > 0, f"position.attention_factor must be above 0, got {self.attention_factor}")
        for name in ("short_factor", "long_factor"):
            factors = tuple(float(number) for number in getattr(self, name))
            require(
                all(0 < number < float("inf") for number in factors),
                f"position.{name} must hold finite numbers above 0, got {min(factors, default=0)}",
            )
            object.__setattr__(self, name, factors)  # option files hold lists, which have no hash

    def frequencies(self, width: int) -> Tensor:
        """Return the radians a token of each pair [width / 2] beyond the trained length."""
        for name in ("short_factor", "long_factor"):
            found = len(getattr(self, name))
            require(
                found == width // 2,
                f"position.{name} needs {width // 2} numbers, one for each pair of model.head_dim={width}, got {found}",
            )
        return super().frequencies(width) / torch.tensor(self.long_factor)

    @property
    def amplitude(self) -> float:
        return self.attention_factor

    def at(self, length: int) -> Rope:
        return self if length > self.original_max_position_embeddings else replace(self, long_factor=self.short_factor)

    def off(self, length: int) -> "LongRope":
        neutral = (1.0,) * len(self.long_factor)
        return replace(self, factor=1.0, short_factor=neutral, long_factor=neutral, attention_factor=1.0)
