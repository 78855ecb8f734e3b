"""Classification: the likeliest label, its accuracy, and F1 as the mean over labels (macro).

Shapes: B pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch

from ctxext.data.lettering import lettered
from ctxext.evaluation.answers.ranking import Prompt, candidate_totals
from ctxext.evaluation.applications.application import Application, Item, resampled_row, share_row
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.reader import Reader
from ctxext.evaluation.results import Row
from ctxext.refusal import require

RULE = "mean per token"
ACCURACY, MACRO = f"accuracy ({RULE})", f"macro-f1 ({RULE})"
"""Labels have unequal numbers of tokens: the likeliest is the one whose tokens are so on average."""


@dataclass(frozen=True)
class Classification(Application):
    """The likeliest of `labels`, whose tokens are `verbalised`."""

    labels: list[str]
    verbalised: list[list[int]]

    @classmethod
    def of(cls, ground: Ground, items: Sequence[Item]) -> Application:
        """Return the application to `items`: the labels are the dataset's, or, where it names none, those met."""
        labels = list(ground.source.labels) or sorted({pair.targets[0] for pair in ground.corpus.pairs})
        for item in items:
            target = item.pair.targets[0]
            require(target in labels, f"dataset.labels lacks {target!r}, the target of {item.pair.name}")
        ids = [lettered(ground.tokenizer).encode(label, add_special_tokens=False).ids for label in labels]
        return cls(labels, ids)

    def room(self, item: Item) -> int:
        return max(map(len, self.verbalised))

    def ways(self, item: Item) -> tuple[Any, ...]:
        return (self.verbalised,)

    @torch.inference_mode()
    def answers(self, reader: Reader, items: Sequence[Item]) -> list[list[float]]:
        """Return the nll of each label after each of `items`, in nats, summed over its tokens."""
        found: list[list[float]] = []
        for _, group in groupby(items, key=lambda item: len(item.prompt)):
            prompts = [Prompt(item.prompt, self.verbalised, 1) for item in group]
            found += candidate_totals(reader, prompts).T.tolist()
        return found

    def rows(self, items: Sequence[Item], answers: Sequence[Any]) -> list[Row]:
        """Return accuracy and macro-F1."""
        hits = self.values(ACCURACY, items, answers)
        right = np.array([self.labels.index(item.pair.targets[0]) for item in items])
        chosen = np.array([self.labels.index(self.said(answer)) for answer in answers])

        def score(drawn: Any) -> float:
            return macro_f1(right[drawn], chosen[drawn])

        return [share_row(ACCURACY, hits), resampled_row(MACRO, len(items), score)]

    def scores(self, item: Item, answer: Any) -> dict[str, float]:
        return {ACCURACY: float(self.said(answer) == item.pair.targets[0])}

    def said(self, answer: Any) -> str:
        """Return the label whose tokens are likeliest on average, from the nll of all; of equals, the first."""
        means = [total / len(tokens) for total, tokens in zip(answer, self.verbalised, strict=True)]
        return self.labels[means.index(min(means))]


def macro_f1(right: Any, said: Any) -> float:
    """Return the mean F1 of the labels that are among the numbers `right` [B] or `said` [B], each against the rest."""
    scores = []
    for label in np.union1d(right, said):
        both = ((right == label) & (said == label)).sum()
        scores.append(2 * both / ((right == label).sum() + (said == label).sum()))
    return float(np.mean(scores))
