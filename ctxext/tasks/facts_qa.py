"""Questions about stated facts: one document has the answer, or two that lead to it, the others are about others.

The copper kettle is kept by Ada Marsh, who lives in Ashford.  ...  Question: where does Ada Marsh live? Answer: ->
  Ashford. |  Elmbridge. | ...
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, product

from numpy.random import Generator

from ctxext.refusal import require
from ctxext.tasks import recall
from ctxext.tasks.haystack import Haystack, room_of, stacked
from ctxext.tasks.knowledge import known
from ctxext.tasks.samples import Asked, Material, Place, Task
from ctxext.tasks.values import Encode, alike, asked, longest

SURNAMES = """
    Marsh Stone Field Brook Hill Wood Lane Moore Reed Frost Snow Winter Summer West North Cook Baker Miller Mason
    Taylor Fisher Hunter Carter Cooper Porter Turner Walker Weaver Ward Webb Young Long Short Swift Sharp Wise Rich
    Black White Gray
""".split()  # noqa: SIM905
PEOPLE = [f"{first} {last}" for first, last in product(recall.NAMES, SURNAMES)]
TOWNS = [
    f"{first}{last}"
    for first, last in product(
        """Ash Bel Clay Dun East Elm Fern Glen Green Hart High Holm Iron Kings Lang Lind Mill New Oak Old Pen Red Rose
        Salt Sand Silver Thorn Wat Wells Whit""".split(),  # noqa: SIM905
        ["ford", "bridge", "field", "haven", "mouth", "port", "stead", "ton", "wick", "worth"],
    )
]
THINGS = [
    f"{stuff} {thing}"
    for stuff, thing in product(
        "copper silver iron glass paper stone leather ivory amber bronze cedar marble".split(),  # noqa: SIM905
        """kettle ring clock flute mirror basket drum compass violin saddle helmet lamp bottle chair table knife spoon
        bowl cup key box whistle bell needle candle""".split(),  # noqa: SIM905
    )
]
"""What is kept; none of its words is in the filler."""
KINDS = ("where", "what", "who")
PROBED, ALIKE = 40, 12
"""Of so many drawn values of the asked kind, so many that are alike in tokens come first."""


@dataclass(frozen=True)
class Person:
    """What is stated of somebody; `teacher` is the name of another, or empty where no hop needs one."""

    name: str
    town: str
    thing: str
    teacher: str

    def document(self, form: int) -> str:
        """Return the document about them in the first or second `form`."""
        if form:
            learned = f" and learned from {self.teacher}" if self.teacher else ""
            return f" The {self.thing} is kept by {self.name}, who lives in {self.town}{learned}."
        learned = f" learned from {self.teacher}," if self.teacher else ""
        return f" {self.name}{learned} lives in {self.town} and keeps the {self.thing}."

    def value(self, kind: str) -> str:
        """Return what answers a question of `kind`; where there are teachers, "who" asks for them."""
        return {"where": self.town, "what": self.thing, "who": self.teacher or self.name}[kind]


def wording(kind: str, gold: Person, student: Person | None) -> str:
    """Return the question of `kind` about `gold`, who is named, asked for by a thing, or the teacher of `student`."""
    someone = gold.name if student is None else f"the teacher of {student.name}"
    keeper = f"keeps the {gold.thing}" if student is None else f"taught {someone}"
    asking = {"where": f"where does {someone} live", "what": f"what does {someone} keep", "who": f"who {keeper}"}
    cue = " The" if kind == "what" else ""
    return f" Question: {asking[kind]}? Answer:{cue}"


@dataclass
class FactsQa(Task):
    """A document about the one asked for among documents about others; with 2 `hops` a second one leads to it."""

    hops: int

    def __post_init__(self) -> None:
        """Refuse other numbers of hops than 1 and 2."""
        require(self.hops in (1, 2), f"evaluation.parameters.facts_qa.hops must be 1 or 2, got {self.hops}")

    def sample(self, place: Place, material: Material) -> Asked:
        """Return the sample at `place`, its documents in random order."""
        draw, encode = place.draw, material.encode
        kind = KINDS[int(draw.integers(len(KINDS)))]
        people = self.people(draw, kind, encode)
        # The first is the one asked for; each is taught by the next, but for the second, their student.
        gold, *others = [next(people) for _ in range(PROBED)]
        student = others[0] if self.hops == 2 else None
        question = asked(
            encode(wording(kind, gold, student)), [gold.value(kind)], [other.value(kind) for other in others], encode
        )
        told = [gold] if student is None else [gold, student]
        needles = [encode(person.document(int(draw.integers(2)))) for person in told]
        rest = chain(others[len(told) - 1 :], people)
        room = room_of(place, needles, [question], lambda: known(material, repr(self), lambda: self.longest(encode)))

        def line() -> list[int]:
            person = next(rest, None)
            return encode(recall.filler(draw) if person is None else person.document(int(draw.integers(2))))

        stack = stacked(room, line, lambda: encode(recall.filler(draw)))
        haystack = Haystack(stack.edge, [stack.lines[number] for number in draw.permutation(len(stack.lines))])
        order = draw.permutation(len(needles)).tolist()
        tokens, starts = haystack.bury([needles[number] for number in order], haystack.gaps(draw, len(needles)))
        return Asked(place, tokens, [starts[order.index(number)] for number in range(len(needles))], [question])

    def people(self, draw: Generator, kind: str, encode: Encode) -> Iterator[Person]:
        """Yield people of different names; towns and things come again only when all are used up, the first's never.

        The first values of `kind` are alike in tokens.
        """
        names = [PEOPLE[place] for place in draw.permutation(len(PEOPLE)).tolist()]
        pools = {
            "who": names,
            "where": [TOWNS[place] for place in draw.permutation(len(TOWNS))],
            "what": [THINGS[place] for place in draw.permutation(len(THINGS))],
        }
        pool = pools[kind]
        front = alike(pool[:PROBED], ALIKE, encode)
        taken = set(front)
        rest = [value for value in pool if value not in taken]
        # In the order of the pool, the unlike ones would be among the first, and the first is asked for.
        pools[kind] = [*(front[place] for place in draw.permutation(ALIKE).tolist()), *rest]
        names, towns, things = pools["who"], pools["where"], pools["what"]
        for number, name in enumerate(names):
            town, thing = (pool[number and 1 + (number - 1) % (len(pool) - 1)] for pool in (towns, things))
            yield Person(name, town, thing, teacher(names, number) if self.hops == 2 else "")

    def longest(self, encode: Encode) -> int:
        """Return how many tokens documents, question and answer take at most."""
        name = f"{longest(recall.NAMES, encode)} {longest(SURNAMES, encode)}"
        person = Person(name, longest(TOWNS, encode), longest(THINGS, encode), name if self.hops == 2 else "")
        told = max(len(encode(person.document(form))) for form in range(2))
        student = person if self.hops == 2 else None
        question = max(
            len(encode(wording(kind, person, student))) + len(encode(f" {person.value(kind)}.")) for kind in KINDS
        )
        return self.hops * told + question


def teacher(names: list[str], number: int) -> str:
    """Return who taught the person of this `number`: the first of `names` the second, and the next each other."""
    return {0: names[2], 1: names[0]}.get(number) or names[(number + 1) % len(names)]
