"""Translation: BLEU, chrF and TER as sacrebleu defines them, with its signatures.

Shapes: N sentences, K statistics of a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, ClassVar

import numpy as np

from ctxext.evaluation.applications.application import Item, Written, mean_row, resampled_row
from ctxext.evaluation.results import Row

ALONE = "chrf of a text"
"""What can be compared pair by pair: the others are those of all texts together."""
UNSPACED = {"zh": "zh", "ja": "char", "ko": "char", "th": "char"}
"""How sacrebleu splits languages that don't part words by spaces, or whose words it needs another program for."""


@dataclass(frozen=True)
class Translation(Written):
    """Sentences of at most 256 tokens; a group of pairs is a direction, and ends with the target language's code."""

    most: ClassVar[int] = 256

    def rows(self, items: Sequence[Item], answers: Sequence[Any]) -> list[Row]:
        """Return BLEU, chrF and TER of the whole group with their signatures, and the mean chrF of its texts.

        They go from 0 to 100, TER beyond.
        """
        references, known = [item.pair.targets for item in items], metrics(items[0].pair.group)
        rows = [corpus_row(name, metric, answers, references) for name, metric in known.items()]
        alone = mean_row(ALONE, self.values(ALONE, items, answers))
        return [*rows, alone | {"signature": str(known["chrf"].get_signature())}]

    def scores(self, item: Item, answer: Any) -> dict[str, float]:
        chrf = metrics(item.pair.group)["chrf"]
        return {ALONE: float(chrf.sentence_score(answer, item.pair.targets).score)}


def metrics(direction: str) -> dict[str, Any]:
    """Return sacrebleu's metrics by name, for the language in which `direction`, as en-de or en>de, ends."""
    from sacrebleu.metrics.bleu import BLEU  # an extra
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    language = re.split(r"[^a-z]+", direction.lower())[-1]
    return {"bleu": BLEU(tokenize=UNSPACED.get(language, "13a"), force=True), "chrf": CHRF(), "ter": TER()}


def corpus_row(name: str, metric: Any, answers: Sequence[str], references: Sequence[tuple[str, ...]]) -> Row:
    """Return the value of sacrebleu's `metric` for all `answers`, and its bootstrap over sentences."""
    streams = list(zip_longest(*references))  # the first references, the second ones, ...
    # What its own resampling is made of: its public one has neither percentiles nor a value without a seed's name.
    statistics = np.array(metric._extract_corpus_statistics(answers, streams))  # [N, K]

    def score(drawn: Any) -> float:
        return float(metric._compute_score_from_stats(statistics[drawn].sum(axis=0).tolist()).score)

    return resampled_row(name, len(answers), score) | {"signature": str(metric.get_signature())}
