"""What a task hands over: a text to read, what is asked of it, and where the evidence stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from numpy.random import Generator

from ctxext.maths.counted import generator


@dataclass(frozen=True)
class Place:
    """The name of a sample: every draw for it follows from these alone.

    `length` is that of prompt and answer in tokens, 0 for the sample without any filler; `depth` is where the evidence
    is to stand, from 0, the start of the text, to 1, its end.
    """

    task: str
    seed: int
    length: int
    depth: float
    index: int

    @property
    def draw(self) -> Generator:
        """A fresh generator of this sample's draws."""
        return generator(self.seed, f"{self.task} {self.depth}", self.length, self.index)


class Material(Protocol):
    """What samples are made of, for one tokenizer and one dataset."""

    @property
    def beginning(self) -> Sequence[int]:
        """The control tokens with which every text begins; most tokenizers have none."""

    @property
    def ordinary(self) -> Sequence[int]:
        """The ids that are no control tokens."""

    @property
    def sentences(self) -> Sequence[str]:
        """Sentences of the dataset, in order, each with the space before it."""

    def encode(self, text: str) -> list[int]:
        """Return the tokens of `text`, none of them a control token."""


SEPARATOR = 2
"""Tokens that go with each of several answers, as in "red, blue and green"."""


def written(sizes: Sequence[int]) -> int:
    """Return how many tokens it takes to write answers of `sizes` one after the other."""
    return sum(sizes) + (SEPARATOR * len(sizes) if len(sizes) > 1 else 0)


@dataclass(frozen=True)
class Question:
    """What is asked: `tokens` that go on from the text, and `candidates`, whose tokens are `answers`.

    The first `golds` candidates are right, the others wrong.
    """

    tokens: list[int]
    candidates: list[str]
    answers: list[list[int]]
    golds: int = 1

    @property
    def room(self) -> int:
        """How many tokens the answer may take: the longest candidate, or all that are right, one after the other."""
        sizes = [len(answer) for answer in self.answers]
        return max(*sizes, written(sizes[: self.golds]))


@dataclass(frozen=True)
class Sample:
    """A text of `tokens`, and at which of its places what is asked for is stated (`positions`)."""

    place: Place
    tokens: list[int]
    positions: list[int]


@dataclass(frozen=True)
class Asked(Sample):
    """A sample whose `questions` are asked one by one, each of the text alone; the score is the mean of theirs."""

    questions: list[Question]


@dataclass(frozen=True)
class Dictated(Sample):
    """A sample that is read to its end: the tokens at the places `labels` are to be predicted from all before them.

    `chance` is the share of them that a guess gets right.
    """

    labels: list[int]
    chance: float


class Task:
    """A generator of samples; the fields of the dataclass that it is are its parameters.

    `is_by_depth` says whether the evidence stands at the depth that is asked for; else it stands where the draw says.
    """

    is_by_depth: ClassVar[bool] = False

    def sample(self, place: Place, material: Material) -> Sample:
        """Return the sample at `place`: prompt and answer are `place.length` tokens, at 0 without filler.

        A length without room for what the task needs is refused with the shortest that has it.
        """
        raise NotImplementedError
