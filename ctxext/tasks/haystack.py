"""Haystacks: lines that say nothing of what is asked for, as many as fill a text to a length, and needles among them.

edge line line needle line line needle line question | answer      exactly the length, edge the end of a line
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, chain

from numpy.random import Generator

from ctxext.refusal import Refusal, nearest, require
from ctxext.tasks import recall
from ctxext.tasks.samples import Material, Place, Question

FILLER, TEXT, REPEAT = "filler", "text", "repeat"
KINDS = (FILLER, TEXT, REPEAT)
"""Sentences of a small grammar, sentences of the dataset, or one sentence of the grammar again and again."""
WORD = re.compile(r"[a-z]+|\d+")
PIECE = re.compile(r"(?:\s*\S+){1,8}")
MOST = 32
"""Tokens of a line of text at most: where no space comes for long, a line ends all the same."""
Line = Callable[[], list[int]]


@dataclass(frozen=True)
class Haystack:
    """`lines` of tokens, and in front of them `edge`, the end of a line, for what no whole line can fill."""

    edge: list[int]
    lines: list[list[int]]

    def gap(self, depth: float) -> int:
        """Return behind how many lines `depth` is, the nearest to that share of the haystack's tokens."""
        before = list(accumulate(map(len, self.lines), initial=len(self.edge)))
        return min(range(len(before)), key=lambda gap: abs(before[gap] - depth * before[-1]))

    def gaps(self, draw: Generator, count: int) -> list[int]:
        """Return `count` numbers of lines, each drawn with equal chances, in rising order."""
        return sorted(draw.integers(len(self.lines) + 1, size=count).tolist())

    def bury(self, needles: Sequence[list[int]], gaps: Sequence[int]) -> tuple[list[int], list[int]]:
        """Return all tokens with each of `needles` behind as many lines as `gaps` says, and where each starts."""
        tokens, starts, before = [*self.edge], [], 0
        for needle, gap in zip(needles, gaps, strict=True):
            tokens += chain(*self.lines[before:gap])
            starts.append(len(tokens))
            tokens += needle
            before = gap
        return [*tokens, *chain(*self.lines[before:])], starts


def check_haystack(where: str, kind: str, known: Sequence[str]) -> None:
    """Refuse a `kind` of haystack that isn't `known` at the configuration's path `where`."""
    rule = f"{where}.haystack must be among {', '.join(known)}, got {kind!r}"
    require(kind in known, rule + nearest(kind, known))


def room_of(place: Place, needles: Sequence[list[int]], questions: Sequence[Question], least: Callable[[], int]) -> int:
    """Return how many tokens the haystack gets: what `needles` and the longest question with its answer leave.

    A length without room is refused with `least`, the tokens that suffice for any draw.
    """
    if not place.length:
        return 0
    asked = max(len(question.tokens) + question.room for question in questions)
    needed = sum(map(len, needles)) + asked
    if needed > place.length:
        shortest = max(needed, least())
        raise Refusal(
            f"evaluation.lengths: the task {place.task} needs {shortest} tokens or more, got {place.length}; "
            f"choose longer evaluation.lengths, or smaller evaluation.parameters.{place.task}"
        )
    return place.length - needed


def stacked(room: int, line: Line, edge: Line) -> Haystack:
    """Return a haystack of exactly `room` tokens, of whole `line`s and the end of as many `edge`s as it takes."""
    if not room:
        return Haystack([], [])
    lines = recall.filled(room, line, len)
    missing = room - sum(map(len, lines))
    end = edge()
    while len(end) < missing:
        end = edge() + end
    return Haystack(end[len(end) - missing :], lines)


def line_of(kind: str, draw: Generator, place: Place, material: Material, avoided: Collection[str]) -> Line:
    """Return what gives the lines of a haystack of `kind`; those of the dataset have none of the words of `avoided`."""
    if kind == TEXT:
        avoided_words = set(WORD.findall(" ".join(avoided).lower()))
        return partial(next, text_lines(draw, place, material, avoided_words))
    if kind == REPEAT:
        line = material.encode(recall.filler(draw))
        return lambda: line
    return lambda: material.encode(recall.filler(draw))


def text_lines(draw: Generator, place: Place, material: Material, avoided: set[str]) -> Iterator[list[int]]:
    """Yield the dataset's sentences from a drawn one on, round and round, in lines of a few words that follow up."""
    sentences, found = material.sentences, False
    start = int(draw.integers(max(len(sentences), 1)))
    while True:
        for sentence in chain(sentences[start:], sentences[:start]):
            if not avoided.isdisjoint(WORD.findall(sentence.lower())):
                continue
            for tokens in map(material.encode, PIECE.findall(sentence)):
                for first in range(0, len(tokens), MOST):
                    found = True
                    yield tokens[first : first + MOST]
        require(
            found,
            f"evaluation.parameters.{place.task}.haystack=text needs sentences of the dataset that name no key and no "
            f"answer, and found none among {len(sentences)}; use haystack=filler, or another dataset",
        )
