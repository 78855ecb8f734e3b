"""Look-up in readable text: facts are stated among filler sentences, and asked for later.

filler. filler. The code of Ada is treaty vessel. filler. filler. ... Recall: the code of Ada is treaty vessel.
                statement                                             question             answer
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from numpy.random import Generator

from ctxext.maths.counted import generator

Piece = TypeVar("Piece")
NAMES = """
    Ada Agnes Albert Alice Amos Anna Arthur Basil Beatrice Bela Boris Bruno Carl Carmen Cecil Clara Conrad Cora
    Cyrus Daisy Dora Edgar Edith Elias Ella Emil Enid Erik Esther Ethan Eva Felix Fiona Flora Frank Freda Gerald
    Gilda Grace Greta Hanna Harold Hazel Hector Helen Henry Hilda Hugo Ida Igor Ines Iris Isaac Ivan Jasper Jenny
    Joan Jonas Judith Julian Karen Kasper Laura Leon Lewis Lily Louis Lucy Magda Marcus Maria Martin Maud Miles Mina
    Nadia Nelson Nina Nora Olaf Olga Oscar Otto Paula Percy Petra Philip Quentin Rachel Ralph Rita Robert Rosa Rufus
    Ruth Samuel Sarah Selma Silas Sofia Stella Stephen Susan Tessa Thomas Tilda Tobias Ursula Vera Victor Viola
    Walter Wanda Wilma Xenia Yuri Yvonne Zelda Zora
""".split()  # noqa: SIM905
QUALITIES = """
    old quiet narrow bright heavy early distant broken gentle green northern wooden empty famous slow cold public
    private
""".split()  # noqa: SIM905
THINGS = """
    river garden market train bridge letter harbor winter village engine school forest window road army field
    library station tower ship island mill valley council border farm church canal meadow lantern
""".split()  # noqa: SIM905
DOINGS = [
    "stood beside",
    "ran along",
    "was built near",
    "could be seen from",
    "closed before",
    "gave its name to",
    "lay behind",
    "opened after",
    "was painted like",
    "belonged to",
    "was older than",
    "led to",
    "kept watch over",
    "was sold with",
    "changed less than",
    "rested upon",
]
WORDS = """
    attention authority banks budget building business capital cause change character children citizens claim
    class commerce commission community concern constitution control country course credit danger defense demand
    development dollar duties education effort employment energy faith families favor fiscal force freedom
    friend future government growth health history honor income industry information interest justice labor
    lands legislation level major material measure message military money month nation needs object office
    officers opinion order peace people percent person place policy population power present price problem
    product program progress property prosperity protection purpose question reform report result revenue rights
    security service session spirit strength subject success supply system tariff taxes territory threat trade
    transport treaty trust value vessel water welfare work world years
""".split()  # noqa: SIM905
"""What codes are made of: common words, each one token of any usual tokenizer, and none of them in the filler."""


class Fact(NamedTuple):
    """A name and the two words of its code."""

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
    """Pieces of text in order, with the indices of the statements (`planted`) and of the `answers`."""

    pieces: list[str]
    planted: list[int]
    answers: list[int]

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces).lstrip()


def draw_codes(draw: Generator, count: int) -> list[str]:
    """Return `count` different codes of two words."""
    places = draw.choice(len(WORDS) ** 2, size=count, replace=False)
    return [f"{WORDS[place // len(WORDS)]} {WORDS[place % len(WORDS)]}" for place in places]


def draw_names(draw: Generator, count: int) -> list[str]:
    """Return `count` different names; there are as many as in NAMES."""
    return [NAMES[place] for place in draw.choice(len(NAMES), size=count, replace=False)]


def draw_facts(draw: Generator, count: int) -> list[Fact]:
    """Return `count` facts of different names and codes; there are as many names as in NAMES."""
    names = draw_names(draw, count)
    return [Fact(name, code) for name, code in zip(names, draw_codes(draw, count), strict=True)]


def filler(draw: Generator) -> str:
    """Return a sentence that states nothing that is asked for."""
    quality, other = (QUALITIES[i] for i in draw.integers(len(QUALITIES), size=2))
    thing, place = (THINGS[i] for i in draw.integers(len(THINGS), size=2))
    return f" The {quality} {thing} {DOINGS[draw.integers(len(DOINGS))]} the {other} {place}."


def fill(draw: Generator, budget: int, measure: Callable[[str], int]) -> list[str]:
    """Return filler sentences that measure at most `budget` together, and less by no more than one sentence."""
    return filled(budget, lambda: filler(draw), measure)


def filled(budget: int, next_piece: Callable[[], Piece], measure: Callable[[Piece], int]) -> list[Piece]:
    """Return pieces that measure at most `budget` together, and less by no more than one of them."""
    pieces: list[Piece] = []
    while True:
        piece = next_piece()
        budget -= measure(piece)
        if budget < 0:
            return pieces
        pieces.append(piece)


def lesson(draw: Generator, budget: int, measure: Callable[[str], int], most: int = 8) -> Story:
    """Return a story for training of at most `budget`: up to `most` facts among filler, each asked for soon and later.

    Half of the questions are about one of the last facts and half about any, so that look-up is learnt over short
    distances first and holds over all. The last piece is an answer, as in the tasks that score look-up.
    """
    coming = draw_facts(draw, int(draw.integers(1, most + 1)))
    density = draw.uniform(0.3, 1.0)  # of sentences that state or ask, among filler
    known = [coming.pop()]
    pieces, planted, answers = [known[0].statement], [0], []
    budget -= measure(known[0].statement) + max(measure(fact.question + fact.answer) for fact in [*coming, *known])
    while True:
        added = next_pieces(draw, known, coming, density)
        budget -= measure("".join(added))
        if budget < 0:
            break
        if len(added) == 2:
            answers.append(len(pieces) + 1)
        elif coming and added[0] == coming[-1].statement:
            planted.append(len(pieces))
            known.append(coming.pop())
        pieces += added
    asked = known[int(draw.integers(len(known)))]
    return Story([*pieces, asked.question, asked.answer], planted, [*answers, len(pieces) + 1])


def next_pieces(draw: Generator, known: list[Fact], coming: list[Fact], density: float) -> list[str]:
    """Return what comes next: a filler sentence, the statement of the last of `coming`, or question and answer."""
    if draw.random() > density:
        return [filler(draw)]
    if coming and draw.random() < 0.35:
        return [coming[-1].statement]
    soon = min(int(draw.geometric(0.4)), len(known)) if draw.random() < 0.5 else int(draw.integers(1, len(known) + 1))
    return [known[-soon].question, known[-soon].answer]


def document(seed: int, index: int, words: int) -> str:
    """Return the readable text number `index` of `seed`, of at most `words` words."""
    return lesson(generator(seed, "recall document", index), words, lambda piece: len(piece.split())).text
