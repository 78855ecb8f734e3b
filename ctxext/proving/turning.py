"""How the pairs of a head turn with the position, in plain numbers of double precision.

Shapes: P pairs of a head of width D, fastest first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

Rates = list[float]


@dataclass(frozen=True)
class Turning:
    """How the pairs of the first `width` dimensions turn in a text of some length: `rates` [P] in radians a token.

    `sharpness` is the factor on logits, `decays` [P] by what they fall with each token of the distance. Where a
    position is told in digits, pair i turns by digit i mod `dims` to the base `radix`; `others` are rates that float32
    may round to as well.
    """

    rates: Rates
    width: int
    sharpness: float = 1.0
    decays: Sequence[float] = ()
    others: Sequence[float] = ()
    radix: int = 0
    dims: int = 1

    def candidates(self, position: int) -> list[list[float]]:
        """Return the angles [P] of a token at `position`, in one way or in several that rounding decides between."""
        digits = [self.digit(position, pair % self.dims) for pair in range(len(self.rates))]
        return [
            [digit * rate for digit, rate in zip(digits, rates, strict=True)]
            for rates in (self.rates, self.others)
            if rates
        ]

    def digit(self, position: int, number: int) -> int:
        """Return by how many steps the pairs of digit `number` stand at `position`: all of it without digits."""
        if self.dims == 1:
            return position
        left: int = position // self.radix**number
        return left if number == self.dims - 1 else left % self.radix

    def growth(self, distance: int) -> list[float]:
        """Return by what the logits of each pair are multiplied at `distance` [P]."""
        return [self.sharpness * decay**distance for decay in self.decays or [1.0] * len(self.rates)]
