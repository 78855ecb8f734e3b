"""Needles in a haystack: facts among lines of filler, text, or other facts; what some of them say is asked for.

text. The code of Ada is treaty vessel. text. The code of Hugo is labor peace. text. ... Recall: the code of Ada is
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, cycle, islice

from numpy.random import Generator

from ctxext.refusal import require
from ctxext.tasks.haystack import KINDS, Haystack, check_haystack, line_of, room_of, stacked
from ctxext.tasks.knowledge import known
from ctxext.tasks.recall import NAMES, Fact
from ctxext.tasks.samples import Asked, Material, Place, Question, Task, written
from ctxext.tasks.values import DISTRACTORS, POOL, alike, asked, check_kind, draw_values, longest, longest_value

NEEDLE = "needle"
WHERE = "evaluation.parameters.niah_*"
DIGITS = 7
MOST = 1000
SAID = 100
"""Different values of the facts that a haystack of needles is made of."""


@dataclass
class Needles(Task):
    """Facts of `keys`, each with some `values` of a `kind`, in a `haystack`; `queries` of the keys are asked for."""

    keys: int
    values: int
    queries: int
    haystack: str
    kind: str

    def __post_init__(self) -> None:
        """Refuse numbers out of range and kinds that don't exist."""
        for name in ("keys", "values", "queries"):
            require(getattr(self, name) > 0, f"{WHERE}.{name} must be above 0, got {getattr(self, name)}")
        rule = f"{WHERE}.queries must be at most {WHERE}.keys={self.keys}, got {self.queries}"
        require(self.queries <= self.keys, rule)
        planted = self.keys * self.values
        require(planted <= MOST, f"{WHERE}.keys times {WHERE}.values must be at most {MOST}, got {planted}")
        check_haystack(WHERE, self.haystack, (*KINDS, NEEDLE))
        check_kind(WHERE, self.kind)

    @property
    def is_by_depth(self) -> bool:  # type: ignore[override]  # follows from the parameters
        """Whether a lone needle is planted, which stands at the depth that is asked for."""
        return self.keys == self.values == 1

    def sample(self, place: Place, material: Material) -> Asked:
        """Return the sample at `place`; several needles stand behind lines drawn with equal chances."""
        draw, encode = place.draw, material.encode
        names = drawn_names(draw, self.words_a_name)
        values, others = self.drawn_values(draw, material)
        held = {name: list(islice(values, self.values)) for name in islice(names, self.keys)}
        facts = [Fact(name, value) for name in held for value in held[name]]
        questions = [question(name, held, others, material) for name in islice(held, self.queries)]
        needles = [encode(fact.statement) for fact in facts]
        room = room_of(place, needles, questions, lambda: known(material, repr(self), lambda: self.least(material)))
        stack = self.stack(room, draw, place, material, facts, names, others)
        if self.is_by_depth:
            tokens, positions = stack.bury(needles, [stack.gap(place.depth)])
            return Asked(place, tokens, positions, questions)
        order = draw.permutation(len(needles)).tolist()
        tokens, starts = stack.bury([needles[fact] for fact in order], stack.gaps(draw, len(needles)))
        planted = dict(zip(order, starts, strict=True))
        return Asked(place, tokens, [planted[fact] for fact in range(self.queries * self.values)], questions)

    @property
    def words_a_name(self) -> int:
        """How many words a key has: a haystack of needles needs many keys."""
        return 2 if self.haystack == NEEDLE else 1

    def drawn_values(self, draw: Generator, material: Material) -> tuple[Iterator[str], list[str]]:
        """Return the values to plant and those that aren't, all different and alike in their tokens."""
        planted = self.keys * self.values
        number = planted + (SAID if self.haystack == NEEDLE else DISTRACTORS)
        drawn = alike(draw_values(draw, self.kind, POOL * number, DIGITS), number, material.encode)
        return iter(drawn[:planted]), drawn[planted:]

    def stack(
        self,
        room: int,
        draw: Generator,
        place: Place,
        material: Material,
        facts: list[Fact],
        names: Iterator[str],
        others: list[str],
    ) -> Haystack:
        """Return a haystack of `room` tokens without `facts`; one of needles gives `others` to more `names`."""
        encode = material.encode
        if self.haystack != NEEDLE:
            avoided = [*chain(*facts), *others, "code"]
            line = line_of(self.haystack, draw, place, material, avoided)
            return stacked(room, line, line)
        said = cycle(others)
        stack = stacked(
            room,
            lambda: encode(Fact(next(names), next(said)).statement),
            line_of("filler", draw, place, material, []),
        )
        # The first of `others` are candidates, and stand anywhere.
        return Haystack(stack.edge, [stack.lines[line] for line in draw.permutation(len(stack.lines))])

    def least(self, material: Material) -> int:
        """Return how many tokens suffice for any draw."""
        encode = material.encode
        name = " ".join([longest(NAMES, encode)] * self.words_a_name)
        fact = Fact(name, longest_value(self.kind, DIGITS, encode))
        planted = self.keys * self.values * len(encode(fact.statement))
        return planted + len(encode(fact.question)) + written([len(encode(fact.answer))] * self.values)


def drawn_names(draw: Generator, words: int) -> Iterator[str]:
    """Yield different names of `words` words, in random order, and when there are no more, names of one word more."""
    while True:
        for place in draw.permutation(len(NAMES) ** words).tolist():
            yield " ".join(NAMES[place // len(NAMES) ** word % len(NAMES)] for word in range(words))
        words += 1


def question(name: str, held: dict[str, list[str]], others: list[str], material: Material) -> Question:
    """Return the question for all that `name` holds, against what other keys hold, and then `others`."""
    rivals = chain(*(values for key, values in held.items() if key != name), others)
    return asked(material.encode(Fact(name, "").question), held[name], rivals, material.encode)
