"""Teacher-forced accuracy: at each place that is asked for, whether the token there is the likeliest.

Shapes: B samples, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch

from ctxext.evaluation.reader import Reader
from ctxext.tasks.samples import Dictated


def shares_right(reader: Reader, samples: Sequence[Dictated]) -> list[float]:
    """Return for each of `samples` the share of its labelled tokens that are the argmax, given all before them."""
    found: list[float] = []
    for _, group in groupby(samples, key=lambda sample: (len(sample.tokens), len(sample.labels))):
        alike = list(group)
        rows, places = (torch.tensor([getattr(sample, key) for sample in alike]) for key in ("tokens", "labels"))
        _, hits = reader.score_at(rows, places)
        found += hits.double().mean(dim=1).tolist()
    return found
