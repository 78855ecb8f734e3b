"""What needles hold: codes of two words, or numbers, alike in their tokens so that none is likelier by its length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from numpy.random import Generator

from ctxext.refusal import nearest, require
from ctxext.tasks import recall
from ctxext.tasks.samples import Question

WORDS, NUMBERS = "words", "numbers"
KINDS = (WORDS, NUMBERS)
DISTRACTORS = 9
"""Wrong candidates beside the right ones."""
PROBES = 1009
"""Numbers and names that are looked at for the longest, at odd distances."""
POOL = 8
"""How many times as many are drawn as are taken for being alike."""
Encode = Callable[[str], list[int]]


def check_kind(where: str, kind: str) -> None:
    """Refuse a `kind` of values that doesn't exist at the configuration's path `where`."""
    require(kind in KINDS, f"{where}.kind must be among {', '.join(KINDS)}, got {kind!r}" + nearest(kind, KINDS))


def draw_values(draw: Generator, kind: str, number: int, digits: int) -> list[str]:
    """Return `number` different values of `kind`; numbers have `digits` digits."""
    if kind == WORDS:
        return recall.draw_codes(draw, number)
    places = draw.choice(9 * 10 ** (digits - 1), size=number, replace=False)
    return [str(place + 10 ** (digits - 1)) for place in places]


def alike(drawn: Sequence[str], number: int, encode: Encode) -> list[str]:
    """Return `number` of the `drawn` words, in their order: of as many tokens as most have, or nearest to that."""
    sizes = [size_of(value, encode) for value in drawn]
    ((usual, _),) = Counter(sizes).most_common(1)
    nearest_first = sorted(range(len(drawn)), key=lambda place: abs(sizes[place] - usual))
    return [drawn[place] for place in sorted(nearest_first[:number])]


def size_of(value: str, encode: Encode) -> int:
    """Return how many tokens `value` takes as an answer."""
    return len(encode(f" {value}."))


def longest(values: Iterable[str], encode: Encode) -> str:
    """Return that of `values` that takes most tokens."""
    return max(values, key=lambda value: size_of(value, encode))


def longest_value(kind: str, digits: int, encode: Encode) -> str:
    """Return a value of `kind` that takes as many tokens as any; of numbers, as any of many."""
    if kind == WORDS:
        word = longest(recall.WORDS, encode)
        return f"{word} {word}"
    step = 9 * 10 ** (digits - 1) // PROBES
    return longest((str(10 ** (digits - 1) + place * step) for place in range(PROBES)), encode)


def asked(tokens: list[int], golds: Sequence[str], others: Iterable[str], encode: Encode) -> Question:
    """Return the question of `tokens` for `golds`, beside the first of `others` that are none of them."""
    wrong = islice((value for value in others if value not in golds), DISTRACTORS)
    candidates = [f" {value}." for value in (*golds, *wrong)]
    return Question(tokens, candidates, [encode(candidate) for candidate in candidates], len(golds))
