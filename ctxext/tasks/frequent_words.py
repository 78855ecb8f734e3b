"""Frequent words: coded words drawn by rank, of which the most frequent after the noise are asked for.

... bakedo ... ... mipavu bakedo ... Recall: the words said most often are ->  bakedo |  mipavu | ...
"""

from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ctxext.refusal import Refusal, require
from ctxext.tasks.haystack import room_of, stacked
from ctxext.tasks.samples import Asked, Material, Place, Task
from ctxext.tasks.values import Encode
from ctxext.tasks.words import QUESTION, alike, coded_words, filler, most_tokens, question

NOISE = " ..."
"""What is said most often, and not asked for."""
ASKED = 3
CANDIDATES = 30
FEWEST_KINDS = 6
FEWEST = 10
"""Words of a text, below which it is refused: few draws of fewer are without a tie."""
TRIES = 3000


@dataclass
class FrequentWords(Task):
    """A word of rank r is drawn with p ∝ r^-`alpha`; a text has as many kinds as its tokens / `tokens_a_kind`."""

    alpha: float
    tokens_a_kind: int

    def __post_init__(self) -> None:
        """Refuse numbers that rank nothing."""
        where = "evaluation.parameters.frequent_words"
        require(self.alpha > 0, f"{where}.alpha must be above 0, got {self.alpha}")
        require(self.tokens_a_kind >= 1, f"{where}.tokens_a_kind must be at least 1, got {self.tokens_a_kind}")

    def sample(self, place: Place, material: Material) -> Asked:
        """Return the sample at `place`, its words in the order in which they were drawn."""
        draw, encode = place.draw, material.encode
        kinds = max(FEWEST_KINDS, place.length // self.tokens_a_kind)
        drawn = list(islice(coded_words(draw), 2 * (kinds + CANDIDATES)))
        coded = alike(drawn, kinds - 1 + CANDIDATES, encode)
        words = list(coded)
        asked = question(words[:ASKED], words[ASKED:CANDIDATES], encode)
        tokens = [encode(NOISE), *list(coded.values())[: kinds - 1]]
        sizes = np.array([len(word) for word in tokens])
        least = FEWEST * int(sizes.max())
        room = least + room_of(place, [[0] * least], [asked], lambda: self.longest(encode))
        ranks = self.draw_ranks(draw, sizes, room)
        missing = room - int(sizes[ranks].sum()) if place.length else 0
        text, _ = stacked(missing, filler(draw, encode), filler(draw, encode)).bury([], [])
        starts = (len(text) + sizes[ranks].cumsum() - sizes[ranks])[(ranks > 0) & (ranks <= ASKED)]
        text += [token for rank in ranks.tolist() for token in tokens[rank]]
        return Asked(place, text, draw.permutation(starts).tolist(), [asked])

    def longest(self, encode: Encode) -> int:
        """Return how many tokens the fewest words, question and answer take at most."""
        return len(encode(QUESTION)) + (FEWEST + 1) * max(most_tokens(encode), len(encode(NOISE)))

    def draw_ranks(self, draw: Generator, sizes: NDArray[np.int64], room: int) -> NDArray[np.int64]:
        """Return ranks from 0 of words of these `sizes` in tokens, as many as `room` holds, drawn until none ties.

        The words of ranks 1 to 3 are then more than those of any rank below. An alpha with which none are is refused.
        """
        chances = np.arange(1, len(sizes) + 1, dtype=np.float64) ** -self.alpha
        chances /= chances.sum()
        for _ in range(TRIES):
            ranks = draw.choice(len(sizes), size=room // int(sizes.min()), p=chances)
            ranks = ranks[: int(np.searchsorted(sizes[ranks].cumsum(), room, side="right"))]
            counts = np.bincount(ranks, minlength=len(sizes))
            if counts[1 : ASKED + 1].min() > counts[ASKED + 1 :].max():
                return ranks
        raise Refusal(
            f"evaluation.parameters.frequent_words.alpha must be such that three words stand out, got {self.alpha}, "
            f"with which none did in {TRIES} draws of {len(ranks)} words; choose alpha=2.0"
        )
