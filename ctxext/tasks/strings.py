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

    @property
    def chance(self) -> float:
        """The share that a guess gets right."""
        return 1 / self.symbols

    def sample(self, place: Place, material: Material) -> Dictated:
        """Return the sample at `place`; a length without a symbol and a vocabulary without enough ids are refused."""
        ordinary, length, where = np.array(material.ordinary), place.length or 4, f"the task {place.task} needs"
        require(length >= 4, f"evaluation.lengths: {where} 4 tokens or more, got {length}")
        needed = MARKS + self.symbols
        require(
            len(ordinary) >= needed,
            f"evaluation.parameters.{place.task}.symbols: {where} {needed} ids, the vocabulary has {len(ordinary)}; "
            f"choose symbols={max(len(ordinary) - MARKS, 2)}, or a larger model.vocab_size",
        )
        string = place.draw.integers(self.symbols, size=self.size(length))
        output = self.output(string)
        start, bar, alphabet = ordinary[0], ordinary[self.bar], ordinary[MARKS:]
        first = length - len(string) - len(output) - 1
        tokens = [*[start] * first, *alphabet[string], bar, *alphabet[output]]
        labels = list(range(length - len(output), length))
        return Dictated(place, [int(token) for token in tokens], [first], labels, self.chance)


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

    @property
    def chance(self) -> float:
        """The share that a guess gets right."""
        return 0.5


@dataclass
class BucketSort(String):
    """The string's symbols in order."""

    bar: ClassVar[int] = 4

    def output(self, string: Ids) -> Ids:
        """Return `string` sorted."""
        return np.sort(string)
