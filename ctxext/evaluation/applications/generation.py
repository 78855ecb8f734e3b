"""Text generation: the bits that a byte of the target costs, and how varied the texts are that a model draws.

Shapes: B pairs, S tokens, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctxext.data.pairs import Pair
from ctxext.evaluation.answers.continuation import Cue, Ending, continued
from ctxext.evaluation.applications.application import Application, Item, ending_of
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.reader import Reader
from ctxext.evaluation.results import Row
from ctxext.maths.counted import generator
from ctxext.maths.intervals import ratio_bootstrap

MOST = 64
"""Tokens drawn for a text, at most."""
REPEATED = 4
"""Words in a row that count as repeated where they stand in the same text before."""
BITS = "bits per byte"


@dataclass(frozen=True)
class Generation(Application):
    """A text of at most `budget` tokens for each pair, drawn at temperature 1 by the pair's number as seed."""

    ending: Ending
    budget: int

    @classmethod
    def of(cls, ground: Ground, items: Sequence[Item]) -> Application:
        """Return the application to `items`."""
        return cls(ending_of(ground, items), budget_of(ground))

    def room(self, item: Item) -> int:
        return max(self.budget, len(item.target))

    def ways(self, item: Item) -> tuple[Any, ...]:
        return (self.budget, self.ending.stop, item.target, item.number)

    def answers(self, reader: Reader, items: Sequence[Item]) -> list[Any]:
        """Return for each of `items` the nll of its target in nats, and the text that is drawn."""

        def draw(logits: Tensor, number: int, count: int) -> int:
            return drawn(logits, items[number].number, count)

        cues = [Cue(reader.prompt(item.prompt, self.budget), self.budget) for item in items]
        texts = [self.ending.text(tokens) for tokens in continued(reader.model, cues, draw, self.ending.is_over)]
        return [{"nll": nll, "text": text} for nll, text in zip(losses(reader, items), texts, strict=True)]

    def rows(self, items: Sequence[Item], answers: Sequence[Any]) -> list[Row]:
        """Return the bits per byte of the targets, and how the drawn texts repeat and vary."""
        bits = np.array([answer["nll"] for answer in answers]) / math.log(2)
        sizes = np.array([item.target_bytes for item in items], dtype=np.float64)
        low, high = ratio_bootstrap(bits, sizes)
        rows: list[Row] = [{"metric": BITS, "value": float(bits.sum() / sizes.sum()), "low": low, "high": high}]
        texts = [answer["text"].split() for answer in answers]
        return rows + [{"metric": metric, "value": value} for metric, value in variety(texts).items()]

    def scores(self, item: Item, answer: Any) -> dict[str, float]:
        return {BITS: answer["nll"] / math.log(2) / item.target_bytes}

    def weight(self, item: Item) -> int:
        """Return the bytes of the target, over which the bits of all targets are counted."""
        return item.target_bytes

    def said(self, answer: Any) -> str:
        return str(answer["text"])


def budget_of(ground: Ground) -> int:
    """Return how many tokens are drawn: half of the shortest length and of the trained one is left to prompts."""
    return max(1, min(MOST, ground.trained_length // 2, ground.settings.lengths[0] // 2))


def passages(ground: Ground) -> list[Item]:
    """Return items of plain text: at each length the same end of each window of `ground`, after all before it."""
    scored, windows, tokenizer = ground.settings.scored_tokens, ground.windows, ground.tokenizer
    room, items = max(scored, budget_of(ground)), []
    sizes = windows.sizes[:, -room:][:, :scored].sum(dim=1).tolist()
    for length in ground.settings.lengths:
        for index, tokens in enumerate(windows.last(length).tolist()):
            prompt, target = tokens[: length - room], tokens[length - room :][:scored]
            # No source is kept: it is the document, and long.
            pair = Pair(windows.names[index], "", (tokenizer.decode(target),), "", "")
            items.append(Item(index, pair, prompt, target, sizes[index]))
    return items


def drawn(logits: Tensor, index: int, count: int) -> int:
    """Return the token drawn from `logits` [V] for the text `index`, in which `count` stand before."""
    cumulated = logits.double().softmax(dim=0).cumsum(dim=0)
    point = generator(0, "drawn text", index, count).random() * cumulated[-1]
    return min(int(torch.searchsorted(cumulated, point, right=True)), len(logits) - 1)


def losses(reader: Reader, items: Sequence[Item]) -> list[float]:
    """Return the nll of the target of each of `items`, in nats, summed over its tokens."""
    found: list[float] = []
    for (_, scored), group in groupby(items, key=lambda item: (len(item.prompt), len(item.target))):
        nll, _ = reader.score(torch.tensor([item.prompt + item.target for item in group]), scored)
        found += nll.double().sum(dim=1).tolist()
    return found


def variety(texts: Sequence[list[str]]) -> dict[str, float]:
    """Return by metric how `texts`, each in words, repeat and vary; what no text is long enough for is left out.

    Repetition is the share of runs of 4 words that stand in the same text before; distinct-n the share of different
    ones among all runs of n words.
    """
    found = {}
    runs = [list(in_a_row(text, REPEATED)) for text in texts]
    if total := sum(map(len, runs)):
        found[f"repetition-{REPEATED}"] = 1 - sum(len(set(mine)) for mine in runs) / total
    for size in (1, 2):
        every = [run for text in texts for run in in_a_row(text, size)]
        if every:
            found[f"distinct-{size}"] = len(set(every)) / len(every)
    return found


def in_a_row(words: list[str], size: int) -> Iterator[tuple[str, ...]]:
    """Yield every `size` of `words` that stand in a row."""
    return zip(*(words[start:] for start in range(size)), strict=False)
