"""Look-up in readable text: facts are stated among filler sentences, and asked for at the end.

    filler. filler. The code of Ada is 40713. filler. filler. ... Recall: the code of Ada is 40713.
                    statement, at a uniform place                 question             answer
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from numpy.random import Generator

from ctxext.maths.counted import generator

NAMES = (
    "Ada Agnes Albert Alice Amos Anna Arthur Basil Beatrice Bela Boris Bruno Carl Carmen Cecil Clara Conrad Cora Cyrus Daisy "
    "Dora Edgar Edith Elias Ella Emil Enid Erik Esther Ethan Eva Felix Fiona Flora Frank Freda Gerald Gilda Grace Greta "
    "Hanna Harold Hazel Hector Helen Henry Hilda Hugo Ida Igor Ines Iris Isaac Ivan Jasper Jenny Joan Jonas Judith Julian "
    "Karen Kasper Laura Leon Lewis Lily Louis Lucy Magda Marcus Maria Martin Maud Miles Mina Nadia Nelson Nina Nora Olaf "
    "Olga Oscar Otto Paula Percy Petra Philip Quentin Rachel Ralph Rita Robert Rosa Rufus Ruth Samuel Sarah Selma Silas Sofia "
    "Stella Stephen Susan Tessa Thomas Tilda Tobias Ursula Vera Victor Viola Walter Wanda Wilma Xenia Yuri Yvonne Zelda Zora"
).split()
QUALITIES = "old quiet narrow bright heavy early distant broken gentle green northern wooden empty famous slow cold public private".split()
THINGS = (
    "river garden market train bridge letter harbor winter village engine school forest window road army field "
    "library station tower ship island mill valley council border farm church canal meadow lantern"
).split()
DOINGS = (
    "stood beside|ran along|was built near|could be seen from|closed before|gave its name to|lay behind|opened after|"
    "was painted like|belonged to|was older than|led to|kept watch over|was sold with|changed less than|rested upon"
).split("|")
DIGITS = 5


class Fact(NamedTuple):
    """A name and the digits of its code."""

    name: str
    code: str

    @property
    def statement(self) -> str:
        """The sentence that states the fact."""
        return f" The code of {self.name} is {self.code}."

    @property
    def question(self) -> str:
        """The sentence that asks for it, up to the answer."""
        return f" Recall: the code of {self.name} is"

    @property
    def answer(self) -> str:
        """What has to follow the question."""
        return f" {self.code}."


@dataclass(frozen=True)
class Story:
    """Sentences in order; `planted` are the indices of the statements, `questions` of the questions with their answers."""

    sentences: list[str]
    planted: list[int]
    questions: list[int]

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.sentences).lstrip()


def draw_codes(draw: Generator, count: int) -> list[str]:
    """Return `count` different codes of 5 digits."""
    return [f"{code:0{DIGITS}d}" for code in draw.choice(10**DIGITS, size=count, replace=False)]


def draw_facts(draw: Generator, count: int) -> list[Fact]:
    """Return `count` facts of different names and codes; there are as many names as in NAMES."""
    names = draw.choice(len(NAMES), size=count, replace=False)
    return [Fact(NAMES[name], code) for name, code in zip(names, draw_codes(draw, count), strict=True)]


def filler(draw: Generator) -> str:
    """Return a sentence that states nothing that is asked for."""
    quality, other = (QUALITIES[i] for i in draw.integers(len(QUALITIES), size=2))
    thing, place = (THINGS[i] for i in draw.integers(len(THINGS), size=2))
    return f" The {quality} {thing} {DOINGS[draw.integers(len(DOINGS))]} the {other} {place}."


def fill(draw: Generator, budget: int, measure: Callable[[str], int]) -> list[str]:
    """Return filler sentences that measure at most `budget` together, and less by no more than one sentence."""
    sentences: list[str] = []
    while True:
        sentence = filler(draw)
        budget -= measure(sentence)
        if budget < 0:
            return sentences
        sentences.append(sentence)


def compose(draw: Generator, facts: list[Fact], asked: list[Fact], budget: int, measure: Callable[[str], int]) -> Story:
    """Return a story that measures at most `budget`: `facts` at uniform places among filler, then a question for each `asked`."""
    statements = [fact.statement for fact in facts]
    questions = [fact.question + fact.answer for fact in asked]
    sentences = fill(draw, budget - sum(map(measure, statements + questions)), measure)
    gaps = sorted(draw.integers(len(sentences) + 1, size=len(facts)), reverse=True)
    for gap, statement in zip(gaps, statements, strict=True):
        sentences.insert(int(gap), statement)
    planted = sorted(int(gap) + rank for rank, gap in enumerate(reversed(gaps)))
    return Story(sentences + questions, planted, list(range(len(sentences), len(sentences) + len(questions))))


def lesson(draw: Generator, budget: int, measure: Callable[[str], int], share: int = 40) -> Story:
    """Return a story for training: from one fact up to one for each `share` of `budget`, each asked once."""
    most = max(1, min(budget // share, len(NAMES)))
    facts = draw_facts(draw, int(draw.integers(1, most + 1)))
    asked = [facts[i] for i in draw.permutation(len(facts))]
    return compose(draw, facts, asked, budget, measure)


def document(seed: int, index: int, words: int) -> str:
    """Return the readable text number `index` of `seed`, of at most `words` words."""
    return lesson(generator(seed, "recall document", index), words, lambda sentence: len(sentence.split()), share=25).text
