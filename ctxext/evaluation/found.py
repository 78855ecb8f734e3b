"""What a part of the evaluation found: its rows, and why others are missing."""

from collections.abc import Sequence
from typing import NamedTuple

from ctxext.evaluation.results import Row


class Found(NamedTuple):
    """Rows of a section of `results.json`, rows of its `missing`, and lines of `predictions.jsonl`."""

    rows: list[Row]
    missing: list[Row]
    records: Sequence[Row] = ()
