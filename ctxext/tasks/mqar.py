"""Multi-query associative recall on ids (Arora et al. 2023, 2312.04927): pairs of key and value, then the keys again.

k1 v1 k2 v2 k3 v3 | k2 v2 r r r r k1 v1 r r r r r r k3 v3 r r        r random; the values behind the bar are predicted
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ctxext.refusal import require
from ctxext.tasks.knowledge import known
from ctxext.tasks.samples import Dictated, Material, Place, Task


@dataclass
class Mqar(Task):
    """`pairs` pairs, stated `passes` times; each key comes again after a gap of n pairs with p(n) ∝ n^(`power` - 1)."""

    pairs: int
    passes: int
    power: float

    def __post_init__(self) -> None:
        """Refuse numbers that state nothing."""
        where = "evaluation.parameters.mqar"
        for name in ("pairs", "passes"):
            require(getattr(self, name) >= 1, f"{where}.{name} must be at least 1, got {getattr(self, name)}")
        require(self.power > 0, f"{where}.power must be above 0, got {self.power}")

    def sample(self, place: Place, material: Material) -> Dictated:
        """Return the sample at `place`; a length that the vocabulary or the pairs don't allow is refused."""
        draw, ordinary = place.draw, known(material, "ids", lambda: np.unique(np.array(material.ordinary)))
        length = place.length or self.shortest
        self.check(place, length, len(ordinary))
        half = len(ordinary) // 2
        keys = draw.choice(ordinary[:half], size=self.pairs, replace=False)
        values = draw.choice(ordinary[half:], size=self.pairs, replace=False)
        pairs = np.stack([keys, values], axis=1)
        orders = np.concatenate([draw.permutation(self.pairs) for _ in range(self.passes)])
        stated = 2 * self.pairs * self.passes
        tokens = others(draw, ordinary, pairs, length) if length > self.shortest else np.zeros(length, np.int64)
        tokens[:stated] = pairs[orders].ravel()
        gaps = draw.choice((length - stated) // 2, size=self.pairs, replace=False, p=self.law((length - stated) // 2))
        queries = stated + 2 * gaps
        tokens[queries], tokens[queries + 1] = keys, values
        first = 2 * np.argsort(orders[: self.pairs])
        rising = np.argsort(queries)
        labels = (queries + 1)[rising].tolist()
        return Dictated(place, tokens.tolist(), first[rising].tolist(), labels, 1 / (len(ordinary) - half))

    @property
    def shortest(self) -> int:
        """The tokens of a sample without anything random: the pairs, and each once more."""
        return 2 * self.pairs * (self.passes + 1)

    def law(self, gaps: int) -> NDArray[np.float64]:
        """Return the chances of the first `gaps` gaps."""
        chances = np.arange(1, gaps + 1, dtype=np.float64) ** (self.power - 1)
        law: NDArray[np.float64] = chances / chances.sum()
        return law

    def check(self, place: Place, length: int, words: int) -> None:
        """Refuse a `place` of `length` with too few tokens for the pairs, or as many as the vocabulary's `words`."""
        needed, where = self.shortest, f"evaluation.lengths: the task {place.task} needs"
        require(length >= needed, f"{where} {needed} tokens or more, got {length}")
        require(
            words > length,
            f"{where} a vocabulary larger than the text, got {length} tokens and {words} ids; choose shorter lengths "
            "for it, or a larger model.vocab_size",
        )


def others(draw: Generator, ids: NDArray[np.int64], pairs: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return `size` of the rising `ids` drawn among all but those of `pairs`, without a look at each."""
    taken = np.searchsorted(ids, np.sort(pairs, axis=None))
    drawn = draw.integers(len(ids) - len(taken), size=size)
    # Each draw counts the ids that are free: before it are as many taken ones as have fewer free ones before them.
    found: NDArray[np.int64] = ids[drawn + np.searchsorted(taken - np.arange(len(taken)), drawn, side="right")]
    return found
