"""Summarisation: ROUGE as rouge-score defines it, beside what the first three sentences would score."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, ClassVar

from ctxext.evaluation.applications.application import Item, Written, mean_row
from ctxext.evaluation.results import Row

METRICS = ("rouge1", "rouge2", "rougeL", "rougeLsum")
LEAD = 3


@dataclass(frozen=True)
class Summarisation(Written):
    """Summaries of at most 128 tokens; each scores as it does beside the reference that suits it best."""

    most: ClassVar[int] = 128

    def rows(self, items: Sequence[Item], answers: Sequence[Any]) -> list[Row]:
        """Return the mean F of ROUGE-1, 2, L and Lsum of `answers`, and of the first sentences of the inputs."""
        leads = [" ".join(sentences(item.pair.body)[:LEAD]) for item in items]
        signature = f"f|stemmer:yes|sentences:.!?|version:{version('rouge-score')}"
        return [
            mean_row(metric + suffix, self.values(metric, items, texts)) | {"signature": signature}
            for suffix, texts in (("", answers), (f" of lead-{LEAD}", leads))
            for metric in METRICS
        ]

    def scores(self, item: Item, answer: Any) -> dict[str, float]:
        return rouge(answer, item.pair.targets)


def rouge(answer: str, references: Sequence[str]) -> dict[str, float]:
    """Return the F of `answer` by metric, each the best over `references`; only words of a to z and digits count."""
    found = scorer().score_multi([by_line(reference) for reference in references], by_line(answer))
    return {metric: float(found[metric].fmeasure) for metric in METRICS}


@cache
def scorer() -> Any:
    """Return rouge-score's scorer with its stemmer."""
    from rouge_score.rouge_scorer import RougeScorer  # an extra

    return RougeScorer(METRICS, use_stemmer=True)


def by_line(text: str) -> str:
    """Return `text` with a line for each sentence, by which Lsum tells them apart."""
    return "\n".join(sentences(text))


def sentences(text: str) -> list[str]:
    """Return the sentences of `text`; one ends at a line's end, or where space follows one of the marks .!?"""
    return [part.strip() for part in re.split(r"(?<=[.!?])\s+|\n+", text) if part.strip()]
