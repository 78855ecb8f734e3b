"""Words to count: those of a dataset, and coded ones without meaning; and the question for the most frequent of them.

nation upon ... tariff nation report upon ... Recall: the words said most often are ->  nation |  upon | ...
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from numpy.random import Generator

from ctxext.maths.counted import generator
from ctxext.tasks import recall
from ctxext.tasks.haystack import Line
from ctxext.tasks.samples import Material, Question
from ctxext.tasks.values import Encode

SYLLABLES = [consonant + vowel for consonant in "bdfghjklmnprstvz" for vowel in "aeiou"]
FILLER = frozenset(re.findall(r"\w+", " ".join([*recall.QUALITIES, *recall.THINGS, *recall.DOINGS]).lower()))
"""The words of filler sentences, which are never counted."""
PROBES = 997
QUESTION = " Recall: the words said most often are"


def coded_words(draw: Generator) -> Iterator[str]:
    """Yield different words of 6 letters without meaning."""
    seen = set()
    while True:
        word = "".join(SYLLABLES[syllable] for syllable in draw.integers(len(SYLLABLES), size=3))
        if word not in seen:
            seen.add(word)
            yield word


def dataset_words(draw: Generator, material: Material, count: int) -> list[str]:
    """Return `count` different words of the sentences of `material` from a drawn one on, in random order.

    Where there are too few, coded words stand among them.
    """
    sentences, found = material.sentences, dict[str, None]()
    start = int(draw.integers(max(len(sentences), 1)))
    for number in range(len(sentences)):
        sentence = sentences[(start + number) % len(sentences)]
        found |= dict.fromkeys(word for word in re.findall(r"\b[a-z]{4,}\b", sentence) if word not in FILLER)
        if len(found) >= count:
            break
    coded = (word for word in coded_words(draw) if word not in found)
    words = [*found, *islice(coded, max(count - len(found), 0))]
    return [words[place] for place in draw.permutation(len(words))[:count]]


def alike(words: Iterable[str], count: int, encode: Encode) -> dict[str, list[int]]:
    """Return `count` of `words`, in their order, with their tokens: as many as most have, or nearest to that."""
    tokens = {word: encode(f" {word}") for word in words}
    ((usual, _),) = Counter(map(len, tokens.values())).most_common(1)
    kept = set(sorted(tokens, key=lambda word: abs(len(tokens[word]) - usual))[:count])
    return {word: ids for word, ids in tokens.items() if word in kept}


def most_tokens(encode: Encode) -> int:
    """Return how many tokens a coded word takes at most, among many."""
    return max(len(encode(f" {word}")) for word in islice(coded_words(generator(0, "coded words")), PROBES))


def filler(draw: Generator, encode: Encode) -> Line:
    """Return what gives sentences none of whose words is counted."""
    return lambda: encode(recall.filler(draw))


def question(golds: Sequence[str], others: Sequence[str], encode: Encode) -> Question:
    """Return the question for `golds` beside `others`."""
    candidates = [f" {word}" for word in (*golds, *others)]
    return Question(encode(QUESTION), candidates, [encode(candidate) for candidate in candidates], len(golds))
