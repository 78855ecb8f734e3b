"""Lessons: samples of the tasks as rows to train on, in which exactly the answers are targets.

   front filler | sample of a drawn length, its answer | another one, its answer          each a document of its own

Shapes: S tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ctxext.maths.counted import generator
from ctxext.refusal import Refusal
from ctxext.tasks import recall
from ctxext.tasks.beginning import begun
from ctxext.tasks.haystack import stacked
from ctxext.tasks.samples import Asked, Dictated, Material, Place, Sample, Task

RECALL = "recall"
"""The lessons that are stories, and no samples of a task."""


@dataclass(frozen=True)
class TrainingPlace(Place):
    """The name of a sample that is trained on, `part` of lesson `index`: its draws are those of no sample measured."""

    part: int

    @property
    def draw(self) -> Generator:
        """A fresh generator of this sample's draws."""
        return generator(self.seed, f"lesson {self.task} {self.depth}", self.length, self.index, self.part)


@dataclass(frozen=True)
class Lesson:
    """The tokens of a lesson [S], which of them are answers, and the document of each, counted from 0."""

    tokens: NDArray[np.int64]
    answers: NDArray[np.bool_]
    documents: NDArray[np.int64]


@dataclass(frozen=True)
class Lessons:
    """Lessons in `tasks`, by name, in turn; those in recall are made elsewhere and need no task."""

    names: tuple[str, ...] = (RECALL,)
    tasks: Mapping[str, Task] = field(default_factory=dict)

    def name(self, number: int) -> str:
        """Return what lesson `number` is in."""
        return self.names[number % len(self.names)]

    def write(self, seed: int, number: int, size: int, material: Material) -> Lesson:
        """Return lesson `number` of `seed`, of exactly `size` tokens; refuse a task that has no sample as short."""
        draw, name = generator(seed, "lengths of lessons", number), self.name(number)
        parts: list[tuple[list[int], list[int]]] = []
        room = size
        while room:
            sample = self.sample(draw, Place(name, seed, room, 0.0, number), len(parts), material)
            if sample is None:
                break
            parts.append(told(draw, sample))
            room -= len(parts[-1][0])
        edge = lambda: material.encode(recall.filler(draw))  # noqa: E731
        front, _ = stacked(room, edge, edge).bury([], [])
        return packed([(front, []), *parts] if front else parts)

    def sample(self, draw: Generator, most: Place, part: int, material: Material) -> Sample | None:
        """Return a sample of a drawn length up to that of `most`, or of just that; None where neither has room.

        If that is the lesson's first, there is no lesson, which is refused.
        """
        task = self.tasks[most.task]
        depth = float(draw.random()) if task.is_by_depth else 0.0
        lengths = int(draw.integers(1, most.length + 1)), most.length
        for length in lengths:
            try:
                return begun(task, TrainingPlace(most.task, most.seed, length, depth, most.index, part), material)
            except Refusal as refusal:
                if part == 0 and length == most.length:
                    said = str(refusal).removeprefix("evaluation.lengths: ")
                    raise Refusal(f"dataset.lessons: rows of {length - 1} tokens don't do, {said}") from refusal
        return None


def told(draw: Generator, sample: Sample) -> tuple[list[int], list[int]]:
    """Return the tokens of `sample` to be read, and the places of the answers among them.

    Of questions one is drawn, and of its right answers one, as they are ranked: each right behind the question.
    """
    if isinstance(sample, Dictated):
        return sample.tokens, sample.labels
    assert isinstance(sample, Asked)
    question = sample.questions[int(draw.integers(len(sample.questions)))]
    answer = question.answers[int(draw.integers(question.golds))]
    prompt = [*sample.tokens, *question.tokens]
    return [*prompt, *answer], list(range(len(prompt), len(prompt) + len(answer)))


def packed(parts: list[tuple[list[int], list[int]]]) -> Lesson:
    """Return `parts`, tokens and the places of the answers among them, one behind the other."""
    answers = [np.isin(np.arange(len(tokens)), places) for tokens, places in parts]
    documents = np.repeat(np.arange(len(parts)), [len(tokens) for tokens, _ in parts])
    return Lesson(
        np.concatenate([np.array(tokens, np.int64) for tokens, _ in parts]), np.concatenate(answers), documents
    )
