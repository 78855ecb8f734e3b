"""Common words: a list in which some words stand often and the others seldom; the common ones are asked for."""

from dataclasses import dataclass

from numpy.random import Generator

from ctxext.refusal import require
from ctxext.tasks.haystack import room_of, stacked
from ctxext.tasks.knowledge import known
from ctxext.tasks.samples import Asked, Material, Place, Task, written
from ctxext.tasks.words import QUESTION, alike, drawn_words, filler, question, short_words

SPARE = 2
"""Words drawn for each one wanted, so that those taken are alike in tokens."""
WRONG = 3
"""Wrong candidates for each right one, all of them in the text, so that a guess finds one in four."""
ENOUGH = 80
"""Words of few tokens among which candidates are drawn, at least."""


@dataclass(frozen=True)
class Shares:
    """`common` words stand `times` each, the others `other_times`."""

    common: int
    times: int
    other_times: int

    @property
    def candidates(self) -> int:
        """The words that are told from each other."""
        return self.common * (1 + WRONG)

    @property
    def said(self) -> int:
        """The words of the shortest text: the common ones, and as others the wrong candidates."""
        return self.common * (self.times + WRONG * self.other_times)


@dataclass
class CommonWords(Task):
    """`common` words `times` each among as many others as fill the length, which stand `other_times`.

    Texts of fewer than `short` tokens have them `short_times` and `short_other_times`, and those of fewer than
    `shorter` have `shorter_common` words `shorter_times`, and the others `short_other_times`.
    """

    common: int
    times: int
    other_times: int
    short: int
    short_times: int
    short_other_times: int
    shorter: int
    shorter_common: int
    shorter_times: int

    def __post_init__(self) -> None:
        """Refuse counts that make no word common."""
        where = "evaluation.parameters.common_words"
        for name in ("common", "shorter_common"):
            require(getattr(self, name) >= 1, f"{where}.{name} must be at least 1, got {getattr(self, name)}")
        for name, others in (
            ("times", "other_times"),
            ("short_times", "short_other_times"),
            ("shorter_times", "short_other_times"),
        ):
            most, least = getattr(self, name), getattr(self, others)
            require(least >= 1, f"{where}.{others} must be at least 1, got {least}")
            require(most > least, f"{where}.{name} must be above {others}={least}, got {most}")

    def shares(self, length: int) -> Shares:
        """Return how many words are common in a text of `length` tokens, and how often words stand."""
        if length < min(self.shorter, self.short):
            return Shares(self.shorter_common, self.shorter_times, self.short_other_times)
        if length < self.short:
            return Shares(self.common, self.short_times, self.short_other_times)
        return Shares(self.common, self.times, self.other_times)

    def sample(self, place: Place, material: Material) -> Asked:
        """Return the sample at `place`, its words in random order."""
        draw, encode, shares = place.draw, material.encode, self.shares(place.length)
        tokens = compared(draw, material, shares.candidates)
        golds, others = list(tokens)[: shares.common], list(tokens)[shares.common :]
        asked = question(golds, others, encode)
        said = golds * shares.times + others * shares.other_times
        room = room_of(place, [tokens[word] for word in said], [asked], lambda: least(material, shares))
        for word, ids in drawn_words(draw, material) if room else ():
            if word in tokens:
                continue
            if shares.other_times * len(ids) > room:
                break
            tokens[word] = ids
            room -= shares.other_times * len(ids)
            said += [word] * shares.other_times
        text, starts = stacked(room, filler(draw, encode), filler(draw, encode)).bury([], [])[0], [0] * len(said)
        for number in draw.permutation(len(said)).tolist():
            starts[number] = len(text)
            text += tokens[said[number]]
        return Asked(place, text, starts[: shares.common * shares.times], [asked])


def short(material: Material, count: int) -> dict[str, list[int]]:
    """Return the words of few tokens among which `count` are drawn, with their tokens."""
    enough = max(SPARE * count, ENOUGH)
    return known(material, ("short words", enough), lambda: short_words(material, enough))


def compared(draw: Generator, material: Material, count: int) -> dict[str, list[int]]:
    """Return `count` words that are candidates with their tokens, in random order."""
    words = list(short(material, count).items())
    some = dict(words[place] for place in draw.permutation(len(words))[: SPARE * count].tolist())
    return alike(draw, some, count)


def least(material: Material, shares: Shares) -> int:
    """Return how many tokens the shortest text, question and answer take at most."""
    longest = max(map(len, short(material, shares.candidates).values()))
    return shares.said * longest + len(material.encode(QUESTION)) + written([longest] * shares.common)
