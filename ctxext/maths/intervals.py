"""95% intervals: of a proportion, of a ratio of sums over documents, and of a paired difference.

Shapes: N documents. Tokens of one document are not independent, therefore whole documents are drawn, never tokens.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

RESAMPLES = 2000
"""Of every bootstrap."""


def wilson(successes: float, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's interval of the proportion `successes` of `trials` > 0, at `z` standard deviations."""
    assert 0 <= successes <= trials != 0, (successes, trials)
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    reach = z / (1 + z * z / trials) * (share * (1 - share) / trials + z * z / (4 * trials * trials)) ** 0.5
    return max(0.0, centre - reach), min(1.0, centre + reach)


def resamples_of(documents: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield `resamples` times the indices [N] of `documents` drawn with replacement, the same for the same `seed`."""
    generator = np.random.default_rng(seed)
    for _ in range(resamples):
        yield generator.integers(0, documents, documents)


def ratio_bootstrap(sums: Vector, counts: Vector, resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """Return the bootstrap over documents of Σ `sums` [N] ÷ Σ `counts` [N]; `seed` decides the `resamples`."""
    assert len(sums) == len(counts) > 0, (len(sums), len(counts))
    ratios = [sums[drawn].sum() / counts[drawn].sum() for drawn in resamples_of(len(sums), resamples, seed)]
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(low), float(high)


def paired_bootstrap(
    first: Vector, second: Vector, counts: Vector, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Return the bootstrap of (Σ `first` - Σ `second`) ÷ Σ `counts`, two subjects' sums [N] over the same documents.

    `counts` [N] are the tokens that both scored; `resamples` and `seed` are as in `ratio_bootstrap`.
    """
    assert len(first) == len(second), (len(first), len(second))
    return ratio_bootstrap(first - second, counts, resamples, seed)
