"""Question answering: exact match and F1 of tokens, as SQuAD defines them (Rajpurkar et al. 2016, 1606.05250)."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ctxext.evaluation.applications.application import Item, Written, mean_row, share_row
from ctxext.evaluation.results import Row

EXACT, F1, F1_WHOLE = "exact match", "f1", "f1 (yes, no and noanswer whole)"
WHOLE = ("yes", "no", "noanswer")
PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class QuestionAnswering(Written):
    """Answers of at most 32 tokens; each scores as it does beside the reference that suits it best."""

    most: ClassVar[int] = 32

    def rows(self, items: Sequence[Item], answers: Sequence[Any]) -> list[Row]:
        """Return exact match and F1, and, if a reference is yes, no or noanswer, F1 where these count whole."""
        is_whole = any(normal(target) in WHOLE for item in items for target in item.pair.targets)
        exact = share_row(EXACT, self.values(EXACT, items, answers))
        means = [mean_row(metric, self.values(metric, items, answers)) for metric in (F1, F1_WHOLE)]
        return [exact, *means] if is_whole else [exact, means[0]]

    def scores(self, item: Item, answer: Any) -> dict[str, float]:
        return {name: max(score(answer, target) for target in item.pair.targets) for name, score in METRICS.items()}


def normal(text: str) -> str:
    """Return `text` in lower case, without ASCII punctuation, then without a, an and the, its space squeezed."""
    bare = text.lower().translate(PUNCTUATION)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def exact_match(prediction: str, reference: str) -> float:
    """Return 1 if `prediction` and `reference` are normally the same, else 0."""
    return float(normal(prediction) == normal(reference))


def f1(prediction: str, reference: str) -> float:
    """Return the harmonic mean of precision and recall of the words; if either side is empty, whether both are."""
    said, right = normal(prediction).split(), normal(reference).split()
    if not said or not right:
        return float(said == right)
    common = sum((Counter(said) & Counter(right)).values())
    return 2 * common / (len(said) + len(right))


def f1_whole(prediction: str, reference: str) -> float:
    """Return the F1, but 0 if either side is exactly yes, no or noanswer and the other isn't the same."""
    said, right = normal(prediction), normal(reference)
    return 0.0 if said != right and (said in WHOLE or right in WHOLE) else f1(prediction, reference)


METRICS = {EXACT: exact_match, F1: f1, F1_WHOLE: f1_whole}
