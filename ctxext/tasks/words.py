"""Words to count: those of a dataset, and coded ones without meaning; and the question for the most frequent of them.

nation upon ... tariff nation report upon ... Recall: the words said most often are ->  nation |  upon | ...
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from numpy.random import Generator

from ctxext.maths.counted import generator
from ctxext.tasks import recall
from ctxext.tasks.haystack import Line
from ctxext.tasks.knowledge import known
from ctxext.tasks.samples import Material, Question
from ctxext.tasks.values import Encode

SYLLABLES = [consonant + vowel for consonant in "bdfghjklmnprstvz" for vowel in "aeiou"]
FILLER = frozenset(re.findall(r"\w+", " ".join([*recall.QUALITIES, *recall.THINGS, *recall.DOINGS]).lower()))
"""The words of filler sentences, which are never counted."""
COUNTED = re.compile(r"\b[a-z]{4,16}\b")
"""What is counted of a dataset: a word far longer than others would be a gap in the list."""
PROBES = 997
AT_ONCE = 64
"""Words drawn by one call, which is many times faster than one by one."""
QUESTION = " Recall: the words said most often are"


def coded_words(draw: Generator) -> Iterator[str]:
    """Yield different words of 6 letters without meaning."""
    seen = set()
    while True:
        for syllables in draw.integers(len(SYLLABLES), size=(AT_ONCE, 3)).tolist():
            word = "".join(SYLLABLES[syllable] for syllable in syllables)
            if word not in seen:
                seen.add(word)
                yield word


def dataset_words(material: Material) -> dict[str, list[int]]:
    """Return the different words of the sentences of `material` with their tokens."""
    said = dict.fromkeys(word for sentence in material.sentences for word in COUNTED.findall(sentence))
    return {word: material.encode(f" {word}") for word in said if word not in FILLER}


def short_words(material: Material, enough: int) -> dict[str, list[int]]:
    """Return the words of `material` that have at most so many tokens as `enough` of them have.

    Where the dataset has fewer words, coded ones stand among them.
    """
    words = known(material, "dataset words", lambda: dataset_words(material))
    missing = max(enough - len(words), 0)
    coded = (word for word in coded_words(generator(0, "short words")) if word not in words)
    words = words | {word: material.encode(f" {word}") for word in islice(coded, missing)}
    most = sorted(map(len, words.values()))[enough - 1]
    return {word: tokens for word, tokens in words.items() if len(tokens) <= most}


def drawn_words(draw: Generator, material: Material) -> Iterator[tuple[str, list[int]]]:
    """Yield different words with their tokens: those of `material` in random order, and then coded ones."""
    words = known(material, "dataset words", lambda: dataset_words(material))
    pairs = list(words.items())
    for place in draw.permutation(len(pairs)).tolist():
        yield pairs[place]
    for word in coded_words(draw):
        if word not in words:
            yield word, material.encode(f" {word}")


def alike(draw: Generator, tokens: Mapping[str, list[int]], count: int) -> dict[str, list[int]]:
    """Return `count` of the words of `tokens` in random order: of as many tokens as most have, or nearest to that."""
    ((usual, _),) = Counter(map(len, tokens.values())).most_common(1)
    kept = sorted(tokens, key=lambda word: abs(len(tokens[word]) - usual))[:count]
    # In the order in which they come, the unlike ones would be among the first, and so among the golds.
    return {kept[place]: tokens[kept[place]] for place in draw.permutation(len(kept)).tolist()}


def most_tokens(material: Material) -> int:
    """Return how many tokens a coded word takes at most, among many."""
    words = islice(coded_words(generator(0, "coded words")), PROBES)
    return known(material, "coded words", lambda: max(len(material.encode(f" {word}")) for word in words))


def filler(draw: Generator, encode: Encode) -> Line:
    """Return what gives sentences none of whose words is counted."""
    return lambda: encode(recall.filler(draw))


def question(golds: Sequence[str], others: Sequence[str], encode: Encode) -> Question:
    """Return the question for `golds` beside `others`."""
    candidates = [f" {word}" for word in (*golds, *others)]
    return Question(encode(QUESTION), candidates, [encode(candidate) for candidate in candidates], len(golds))
