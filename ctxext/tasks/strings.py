"""Strings of ids, and what is made of them: copied, reversed, counted, sorted; each behind a bar of its own.

start a b c b | a b c b        start a b c b : b c b a        start 1 0 1 1 ; 1        start 3 1 2 1 / 1 1 2 3
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ctxext.refusal import require
from ctxext.tasks.samples import Dictated, Material, Place, Task

Ids = NDArray[np.int64]
MARKS = 5
"""The first ordinary ids: the start, which fills up what the string leaves, and the bars."""


@dataclass
class String(Task):
    """A string of `symbols` different ids, as long as fits, a bar, and what is to be predicted."""

    symbols: int
    bar: ClassVar[int]

    def __post_init__(self) -> None:
        """Refuse an alphabet with nothing to tell apart."""
        require(self.symbols >= 2, f"symbols of a task of strings must be at least 2, got {self.symbols}")

    def output(self, string: Ids) -> Ids:
        """Return what follows `string`, whose symbols are numbers from 0."""
        raise NotImplementedError

    def size(self, length: int) -> int:
        """Return how many symbols the string of a text of `length` tokens has."""
        return (length - 2) // 2

    def asked(self, output: Ids) -> Ids:
        """Return the places of `output` that are to be predicted."""
        return np.arange(len(output))

    def chance(self, output: Ids) -> float:
        """Return the share that a guess gets right."""
        return 1 / self.symbols

    def sample(self, place: Place, material: Material) -> Dictated:
        """Return the sample at `place`; a length without a symbol and a vocabulary without enough ids are refused."""
        length, where = place.length or 4, f"the task {place.task} needs"
        require(length >= 4, f"evaluation.lengths: {where} 4 tokens or more, got {length}")
        needed, ids = MARKS + self.symbols, len(material.ordinary)
        require(
            ids >= needed,
            f"evaluation.parameters.{place.task}.symbols: {where} {needed} ids, the vocabulary has {ids}; "
            f"choose symbols={max(ids - MARKS, 2)}, or a larger model.vocab_size",
        )
        ordinary = np.array(material.ordinary[:needed])
        string = place.draw.integers(self.symbols, size=self.size(length))
        output = self.output(string)
        start, bar, alphabet = ordinary[0], ordinary[self.bar], ordinary[MARKS:]
        first = length - len(string) - len(output) - 1
        tokens = [*[start] * first, *alphabet[string], bar, *alphabet[output]]
        labels = (length - len(output) + self.asked(output)).tolist()
        return Dictated(place, [int(token) for token in tokens], [first], labels, self.chance(output))


@dataclass
class Copy(String):
    """The string again."""

    bar: ClassVar[int] = 1

    def output(self, string: Ids) -> Ids:
        """Return `string`."""
        return string


@dataclass
class Reverse(String):
    """The string from its end to its start."""

    bar: ClassVar[int] = 2

    def output(self, string: Ids) -> Ids:
        """Return `string` reversed."""
        return string[::-1]


@dataclass
class Parity(String):
    """Whether the sum of the string's numbers is odd: the symbol 1, else 0."""

    bar: ClassVar[int] = 3

    def output(self, string: Ids) -> Ids:
        """Return the parity of `string`."""
        return np.array([string.sum() % 2])

    def size(self, length: int) -> int:
        """Return how many symbols the string of a text of `length` tokens has: all but start, bar and answer."""
        return length - 3

    def chance(self, output: Ids) -> float:
        """Return the share that a guess gets right: of the two symbols, whatever the alphabet."""
        return 0.5


@dataclass
class BucketSort(String):
    """The string's symbols in order; predicted where a run of a symbol ends and where the next begins.

    All other places are told by the one before them.
    """

    bar: ClassVar[int] = 4

    def output(self, string: Ids) -> Ids:
        """Return `string` sorted."""
        return np.sort(string)

    def asked(self, output: Ids) -> Ids:
        """Return the last place of each run and the first of the next; the first place of all where there is one run.

        The first place is none of them otherwise: it is the least symbol, which a long string always has.
        """
        changes = np.flatnonzero(np.diff(output)) + 1
        places = np.union1d(changes - 1, changes)
        return places[places > 0] if len(changes) else np.zeros(1, np.int64)

    def chance(self, output: Ids) -> float:
        """Return the share that a guess gets right: the last symbol again, or always the next one."""
        places = self.asked(output)
        if places[0] == 0:
            return 1 / self.symbols
        steps = output[places] - output[places - 1]
        return max(float((steps == 0).mean()), float((steps == 1).mean()), 1 / self.symbols)
