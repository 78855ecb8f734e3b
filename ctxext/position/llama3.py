"""The scaling of Llama 3.1 and later: bands of wavelengths.

Shapes: D head width.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from ctxext.position.rope import Scaled, check_length
from ctxext.refusal import require


@dataclass(frozen=True)
class Llama3(Scaled):
    """Llama 3.1's scaling (Grattafiori et al. 2024, 2407.21783): long wavelengths are interpolated, short ones kept.

    Pairs of more than `high_freq_factor` turns over the trained length are kept, those of fewer than `low_freq_factor`
    are divided by the factor, and those between are blended by their turns.
    """

    original_max_position_embeddings: int
    low_freq_factor: float
    high_freq_factor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.low_freq_factor, self.high_freq_factor
        require(
            high > low > 0,
            f"position.high_freq_factor must be above position.low_freq_factor and both above 0, got {high} and {low}",
        )
        check_length(self.original_max_position_embeddings)

    def frequencies(self, width: int) -> Tensor:
        base = super().frequencies(width)
        if self.factor == 1:
            return base
        turns = self.original_max_position_embeddings / (2 * math.pi / base)
        kept = ((turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)).clamp(0, 1)
        return (1 - kept) * base / self.factor + kept * base
