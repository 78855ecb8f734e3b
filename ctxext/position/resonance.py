"""Resonance: wavelengths of whole tokens, so that a pair stands at few angles and all of them are seen in training.

Shapes: D head width.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from ctxext.position.rope import Rope, Yarn


@dataclass(frozen=True)
class ResonanceRope(Rope):
    """Resonance RoPE (Wang et al. 2024, 2403.00071): each wavelength, 2 pi tokens or more, is rounded to whole tokens.

    Above factor 1 it is Resonance YaRN: what YaRN makes of the wavelengths is rounded. Also at factor 1 it is another
    model than plain rotation, since the fastest pair turns by 2 pi / 6 in place of 1.
    """

    factor: float
    original_max_position_embeddings: int
    beta_fast: float
    beta_slow: float
    attention_factor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        assert self.yarn is not None  # it checks the rest

    @property
    def yarn(self) -> Yarn:
        """The encoding whose wavelengths are rounded."""
        return Yarn(
            self.rope_theta,
            self.factor,
            self.original_max_position_embeddings,
            self.beta_fast,
            self.beta_slow,
            self.attention_factor,
        )

    def frequencies(self, width: int) -> Tensor:
        wavelengths = 2 * math.pi / self.yarn.frequencies(width).double()
        return (2 * math.pi / wavelengths.round()).float()

    @property
    def amplitude(self) -> float:
        return self.attention_factor
