"""Common words: a list in which some words stand often and the others seldom; the common ones are asked for."""

from dataclasses import dataclass
from itertools import chain

from numpy.random import Generator

from ctxext.maths.counted import generator
from ctxext.refusal import require
from ctxext.tasks.haystack import room_of, stacked
from ctxext.tasks.samples import Asked, Material, Place, Task
from ctxext.tasks.words import alike, dataset_words, filler, question

FEWEST = 10
"""Other words, below which a text is refused."""
SPARE = 2
"""Words drawn for each one wanted, so that those taken are alike in tokens."""
PROBES = 50
WRONG = 3
"""Wrong candidates for each right one, so that a guess finds one in four."""


@dataclass
class CommonWords(Task):
    """`common` words `times` each among as many others as fill the length, which stand `other_times`.

    Texts of fewer than `short` tokens have them `short_times` and `short_other_times`.
    """

    common: int
    times: int
    other_times: int
    short: int
    short_times: int
    short_other_times: int

    def __post_init__(self) -> None:
        """Refuse counts that make no word common."""
        where = "evaluation.parameters.common_words"
        require(self.common >= 1, f"{where}.common must be at least 1, got {self.common}")
        for times, others in (("times", "other_times"), ("short_times", "short_other_times")):
            most, least = getattr(self, times), getattr(self, others)
            require(least >= 1, f"{where}.{others} must be at least 1, got {least}")
            require(most > least, f"{where}.{times} must be above {others}={least}, got {most}")

    def sample(self, place: Place, material: Material) -> Asked:
        """Return the sample at `place`, its words in random order."""
        draw, encode = place.draw, material.encode
        is_short = place.length < self.short
        times = self.short_times if is_short else self.times
        other_times = self.short_other_times if is_short else self.other_times
        tokens = self.compared(draw, material)
        words = list(tokens)
        golds, others = words[: self.common], words[self.common :]
        asked = question(golds, others[: WRONG * self.common], encode)
        needles = [tokens[word] for word in golds * times + others[:FEWEST] * other_times]
        room = room_of(place, needles, [asked], lambda: len(asked.tokens) + self.longest(material) * (len(needles) + 1))
        said = golds * times + others[:FEWEST] * other_times
        more = (word for word in dataset_words(draw, material, place.length // other_times) if word not in tokens)
        for word in chain(others[FEWEST:], more):
            tokens[word] = encode(f" {word}")
            if other_times * len(tokens[word]) > room:
                break
            room -= other_times * len(tokens[word])
            said += [word] * other_times
        text, starts = stacked(room, filler(draw, encode), filler(draw, encode)).bury([], [])[0], [0] * len(said)
        for number in draw.permutation(len(said)).tolist():
            starts[number] = len(text)
            text += tokens[said[number]]
        return Asked(place, text, starts[: self.common * times], [asked])

    def compared(self, draw: Generator, material: Material) -> dict[str, list[int]]:
        """Return the words that are candidates with their tokens, first the common ones."""
        count = self.common + max(FEWEST, WRONG * self.common)
        return alike(dataset_words(draw, material, SPARE * count), count, material.encode)

    def longest(self, material: Material) -> int:
        """Return how many tokens a candidate takes at most, among many texts."""
        texts = (self.compared(generator(0, "words", text), material) for text in range(PROBES))
        return max(len(ids) for words in texts for ids in words.values())
