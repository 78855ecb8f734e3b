"""Translation that can be checked: plain sentences and two invented languages, whose words and order follow a cipher.

plain  the old river meets the quiet garden.
red    each word its red word, the sentence from its end to its beginning
blue   each word its blue word, neighbours changed places
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from numpy.random import Generator

from ctxext.maths.counted import generator
from ctxext.tasks.recall import QUALITIES, THINGS

ARTICLES = ["the", "a", "this", "every"]
DEEDS = """
    meets follows guards leaves crosses feeds calls hides joins lights covers serves warms finds passes needs
""".split()  # noqa: SIM905
VOCABULARY = [*ARTICLES, *QUALITIES, *THINGS, *DEEDS]
PLAIN, RED, BLUE = "plain", "red", "blue"
SYLLABLES = {RED: ("krvzgt", "aou"), BLUE: ("lmnpsf", "iey")}
"""The consonants and the vowels of each invented language; no two share a letter."""
SENTENCE_WORDS = 7

Sentence = list[int]
"""What a sentence means in any language: the places of its words in VOCABULARY, in the order of the plain language."""


@dataclass(frozen=True)
class Language:
    """A language: its `words`, one for each of VOCABULARY, and how it orders a sentence."""

    name: str
    words: list[str]

    def write(self, sentences: Sequence[Sentence]) -> str:
        """Return the text that says `sentences`."""
        return " ".join(" ".join(self.words[place] for place in self.order(sentence)) + "." for sentence in sentences)

    def read(self, text: str) -> list[Sentence]:
        """Return the sentences that `text` says."""
        parts = [part.split() for part in text.split(".") if part.strip()]
        return [self.order([self.places[word] for word in part]) for part in parts]

    def order(self, sentence: Sentence) -> Sentence:
        """Return `sentence` in this language's order, or, since each order is its own inverse, in the plain one."""
        if self.name == RED:
            return sentence[::-1]
        if self.name == BLUE:
            return [place for start in range(0, len(sentence), 2) for place in sentence[start : start + 2][::-1]]
        return list(sentence)

    @cached_property
    def places(self) -> dict[str, int]:
        """The place in VOCABULARY of each word."""
        return {word: place for place, word in enumerate(self.words)}


LANGUAGES = (PLAIN, RED, BLUE)
DIRECTIONS = [f"{source}-{target}" for source in LANGUAGES for target in LANGUAGES if source != target]


@cache
def language(name: str) -> Language:
    """Return the language called `name`, one of LANGUAGES: the same words in every run."""
    return Language(name, VOCABULARY if name == PLAIN else invented_words(name))


def invented_words(name: str) -> list[str]:
    """Return a word of two or three syllables for each word of VOCABULARY, no two the same."""
    draw, (consonants, vowels) = generator(0, f"words of {name}"), SYLLABLES[name]
    found: dict[str, None] = {}
    while len(found) < len(VOCABULARY):
        syllables = [(draw.integers(len(consonants)), draw.integers(len(vowels))) for _ in range(draw.integers(2, 4))]
        found["".join(consonants[first] + vowels[second] for first, second in syllables)] = None
    return list(found)


def draw_sentence(draw: Generator) -> Sentence:
    """Return a sentence of SENTENCE_WORDS words: who does what to whom."""
    kinds = (ARTICLES, QUALITIES, THINGS, DEEDS, ARTICLES, QUALITIES, THINGS)
    return [VOCABULARY.index(kind[draw.integers(len(kind))]) for kind in kinds]


def translation(seed: int, index: int, words: int, direction: str) -> tuple[str, str]:
    """Return text number `index` of `seed`, of at most `words` words but one sentence at least, in both languages."""
    draw = generator(seed, "translation", index)
    sentences = [draw_sentence(draw) for _ in range(max(words // SENTENCE_WORDS, 1))]
    source, target = (language(name).write(sentences) for name in direction.split("-"))
    return source, target
