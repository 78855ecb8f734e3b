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
from ctxext.tasks.samples import Asked, Material, Place, Task, written
from ctxext.tasks.words import QUESTION, alike, coded_words, filler, most_tokens, question

NOISE = " ..."
"""What is said most often, and not asked for."""
ASKED = 3
RIVALS = 6
"""Words that stand less often and are the wrong candidates: each stands in every text."""
FEWEST_KINDS = 1 + ASKED + RIVALS
FEWEST = 4
"""Words of a text beside those that stand in every one, below which it is refused."""
SURE = np.array([0] + [2] * ASKED + [1] * RIVALS)
"""How often the word of each rank stands at least, so that a short text has rivals, and words above them."""
SPARE = 30
"""Words drawn more than are said, so that those taken are alike in tokens."""
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
        drawn = islice(coded_words(draw), kinds + SPARE)
        coded = alike(draw, {word: encode(f" {word}") for word in drawn}, kinds - 1)
        words = list(coded)
        asked = question(words[:ASKED], words[ASKED : ASKED + RIVALS], encode)
        tokens = [encode(NOISE), *coded.values()]
        sizes = np.array([len(word) for word in tokens])
        fewest = FEWEST * int(sizes.max()) + int(sizes[: len(SURE)] @ SURE)
        room = fewest + room_of(place, [[0] * fewest], [asked], lambda: self.longest(material))
        ranks = self.draw_ranks(draw, sizes, room)
        missing = room - int(sizes[ranks].sum()) if place.length else 0
        text, _ = stacked(missing, filler(draw, encode), filler(draw, encode)).bury([], [])
        starts = (len(text) + sizes[ranks].cumsum() - sizes[ranks])[(ranks > 0) & (ranks <= ASKED)]
        text += [token for rank in ranks.tolist() for token in tokens[rank]]
        return Asked(place, text, draw.permutation(starts).tolist(), [asked])

    def longest(self, material: Material) -> int:
        """Return how many tokens the fewest words, question and answer take at most."""
        most, encode = most_tokens(material), material.encode
        fewest = FEWEST * max(most, len(encode(NOISE))) + int(SURE.sum()) * most
        return len(encode(QUESTION)) + fewest + written([most] * ASKED)

    def draw_ranks(self, draw: Generator, sizes: NDArray[np.int64], room: int) -> NDArray[np.int64]:
        """Return ranks from 0 of words of these `sizes` in tokens, as many as `room` holds, drawn until none ties.

        The words of ranks 1 to 3 are then more than those of any rank below. An alpha with which none are is refused.
        """
        chances = np.arange(1, len(sizes) + 1, dtype=np.float64) ** -self.alpha
        chances /= chances.sum()
        sure = np.concatenate([SURE, np.zeros(len(sizes) - len(SURE), np.int64)])
        for _ in range(TRIES):
            ranks = draw.choice(len(sizes), size=room // int(sizes.min()), p=chances)
            first = within(ranks, sizes, room - int(sizes @ sure))
            # What is sure is added only where it wasn't drawn: long texts follow the law.
            missing = np.maximum(sure - np.bincount(first, minlength=len(sizes)), 0)
            left = room - int(sizes @ missing)
            ranks = np.concatenate([np.repeat(np.arange(len(sizes)), missing), within(ranks, sizes, left)])
            counts = np.bincount(ranks, minlength=len(sizes))
            if counts[1 : ASKED + 1].min() > counts[ASKED + 1 :].max():
                return draw.permutation(ranks)
        raise Refusal(
            f"evaluation.parameters.frequent_words.alpha must be such that three words stand out, got {self.alpha}, "
            f"with which none did in {TRIES} draws of {len(ranks)} words; choose alpha=2.0"
        )


def within(ranks: NDArray[np.int64], sizes: NDArray[np.int64], room: int) -> NDArray[np.int64]:
    """Return the first of `ranks`, as many as `room` has tokens for."""
    return ranks[: int(np.searchsorted(sizes[ranks].cumsum(), room, side="right"))]
