"""Questions about a text: documents about people stand among filler sentences, and one of them has the answer.

filler. Ada Marsh lives in Ashford and keeps the iron ring. filler. The glass clock is kept by ... filler.
Question: where does Ada Marsh live?  ->  Ashford
"""

from dataclasses import dataclass

from numpy.random import Generator

from ctxext.maths.counted import generator
from ctxext.tasks.facts_qa import KINDS, SURNAMES, THINGS, TOWNS, Person, wording
from ctxext.tasks.filler import draw_filler
from ctxext.tasks.recall import NAMES

STATEMENT_WORDS, QUESTION_WORDS = 12, 6
"""The words of the longest document about a person, and of the longest question."""
MOST_PEOPLE = min(len(NAMES), len(TOWNS), len(THINGS))


@dataclass(frozen=True)
class Inquiry:
    """The `sentences` of a text, each with the space before it, the `place` of the one asked for, and its answer."""

    sentences: list[str]
    place: int
    question: str
    answer: str

    @property
    def text(self) -> str:
        """The whole text, the question on a line of its own."""
        return f"{''.join(self.sentences).lstrip()}\n{self.question}"


def draw_people(draw: Generator, count: int) -> list[Person]:
    """Return `count` people, at most MOST_PEOPLE: no name, town or thing is of two of them."""
    names, towns, things = (draw.permutation(values)[:count].tolist() for values in (NAMES, TOWNS, THINGS))
    surnames = draw.choice(SURNAMES, size=count).tolist()
    return [
        Person(f"{name} {surname}", town, thing, "")
        for name, surname, town, thing in zip(names, surnames, towns, things, strict=True)
    ]


def inquiry(seed: int, index: int, words: int, people: int) -> Inquiry:
    """Return text number `index` of `seed`: at most `words` words with its question, about `people`, one asked about.

    Everybody has whatever may be asked for. There must be room: STATEMENT_WORDS for each, and QUESTION_WORDS.
    """
    draw = generator(seed, "inquiry", index)
    gold, *others = draw_people(draw, people)
    kind = KINDS[int(draw.integers(len(KINDS)))]
    question = wording(kind, gold, None).partition(" Answer:")[0].lstrip()
    stated = [person.document(int(draw.integers(2))) for person in (gold, *others)]
    room = words - sum(len(sentence.split()) for sentence in (*stated, question))
    sentences = [*stated, *draw_filler(draw, room)]
    order = draw.permutation(len(sentences)).tolist()
    return Inquiry([sentences[place] for place in order], order.index(0), question, gold.value(kind))
