"""No position encoding at all."""

from dataclasses import dataclass

from ctxext.seams import Position


@dataclass(frozen=True)
class Nope(Position):
    """NoPE (Kazemnejad et al. 2023, 2305.19466): the causal mask alone tells the order."""
