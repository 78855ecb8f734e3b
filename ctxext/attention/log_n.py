"""Logits that grow with the logarithm of how many keys are visible.

Shapes: B batch, Q queries.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.kernels.gather import visible_keys
from ctxext.places import Places
from ctxext.refusal import check_types, require
from ctxext.seams import Attention, View


@dataclass(frozen=True)
class LogN(Softmax):
    """Log-length scaling (Chiang and Cholak 2022, 2202.12172): logits times max(1, ln n / ln L) for n visible keys.

    L is the trained length, so that the model is untouched up to it. Under windows and documents n is smaller than the
    position, hence it is counted.
    """

    trained_length: int

    def __post_init__(self) -> None:
        check_types(self, "attention")
        require(self.trained_length > 1, f"attention.trained_length must be above 1 token, got {self.trained_length}")

    def scale(self, queries: Places, keys: Places, views: tuple[View, ...]) -> Tensor:
        counts = visible_keys(queries, keys, views).clamp(min=self.trained_length)
        # Double, since the two logarithms may differ in the last bit: rounded to single precision, 1 is exactly 1.
        return (counts.double().log() / math.log(self.trained_length)).float()

    def base(self) -> Attention:
        return Softmax()

    def off(self, length: int) -> Attention:
        return LogN(max(length, 2))
