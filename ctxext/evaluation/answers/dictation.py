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
    for _, group in groupby(samples, key=lambda sample: (len(sample.tokens), min(sample.labels))):
        alike = list(group)
        first = min(alike[0].labels)
        rows = torch.tensor([sample.tokens for sample in alike])
        _, hits = reader.score(rows, rows.shape[1] - first)
        for row, sample in zip(hits.double(), alike, strict=True):
            found.append(float(row[torch.tensor(sample.labels) - first].mean()))
    return found
