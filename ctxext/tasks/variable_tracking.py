"""Variable tracking: a number is given to a name, and on to other names; all that hold it are asked for.

filler. Let PQTRA be 4815162. filler. Let WXKDE be PQTRA. filler. ... Recall: 4815162 is held by ->  PQTRA. | ...
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from numpy.random import Generator

from ctxext.refusal import require
from ctxext.tasks.haystack import KINDS, check_haystack, line_of, room_of, stacked
from ctxext.tasks.knowledge import known
from ctxext.tasks.samples import Asked, Material, Place, Task, written
from ctxext.tasks.values import DISTRACTORS, NUMBERS, POOL, PROBES, alike, asked, draw_values, longest, longest_value

WHERE = "evaluation.parameters.variable_tracking"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CAPITALS, DIGITS = 5, 7


@dataclass
class VariableTracking(Task):
    """Some `chains` of a number and its `hops` from name to name in a `haystack`; the first chain is asked for."""

    chains: int
    hops: int
    haystack: str

    def __post_init__(self) -> None:
        """Refuse numbers out of range and kinds that don't exist."""
        require(self.chains > 0, f"{WHERE}.chains must be above 0, got {self.chains}")
        require(self.hops >= 0, f"{WHERE}.hops must be at least 0, got {self.hops}")
        check_haystack(WHERE, self.haystack, KINDS)

    def sample(self, place: Place, material: Material) -> Asked:
        """Return the sample at `place`; the statements stand behind lines drawn with equal chances, chains mixed."""
        draw, encode, held = place.draw, material.encode, self.hops + 1
        number = self.chains * held + DISTRACTORS
        names = alike(draw_names(draw, POOL * number), number, encode)
        numbers = alike(draw_values(draw, NUMBERS, POOL * self.chains, DIGITS), self.chains, encode)
        linked = [names[first : first + held] for first in range(0, self.chains * held, held)]
        statements = [[encode(s) for s in stated(*pair)] for pair in zip(numbers, linked, strict=True)]
        question = asked(encode(f" Recall: {numbers[0]} is held by"), names[:held], names[held:], encode)
        room = room_of(
            place, [*chain(*statements)], [question], lambda: known(material, repr(self), lambda: self.least(material))
        )
        line = line_of(self.haystack, draw, place, material, [*names, *numbers])
        stack = stacked(room, line, line)
        order = draw.permutation([label for label in range(self.chains) for _ in range(held)]).tolist()
        coming = [iter(steps) for steps in statements]
        tokens, starts = stack.bury([next(coming[label]) for label in order], stack.gaps(draw, len(order)))
        positions = [start for label, start in zip(order, starts, strict=True) if label == 0]
        return Asked(place, tokens, positions, [question])

    def least(self, material: Material) -> int:
        """Return how many tokens suffice for any draw."""
        encode = material.encode
        step = len(LETTERS) ** CAPITALS // PROBES
        name = longest((spelt(place * step) for place in range(PROBES)), encode)
        number = longest_value(NUMBERS, DIGITS, encode)
        planted = self.chains * sum(len(encode(s)) for s in stated(number, [name] * (self.hops + 1)))
        asking = len(encode(f" Recall: {number} is held by"))
        return planted + asking + written([len(encode(f" {name}."))] * (self.hops + 1))


def stated(number: str, names: list[str]) -> list[str]:
    """Return the statements that give `number` to the first of `names`, and each one's to the next."""
    return [f" Let {name} be {held}." for name, held in zip(names, [number, *names], strict=False)]


def draw_names(draw: Generator, count: int) -> list[str]:
    """Return `count` different names of five capitals."""
    return [spelt(place) for place in draw.choice(len(LETTERS) ** CAPITALS, size=count, replace=False).tolist()]


def spelt(place: int) -> str:
    """Return the name number `place`."""
    return "".join(LETTERS[place // len(LETTERS) ** letter % len(LETTERS)] for letter in range(CAPITALS))
