"""The scores of an arm by document, sample or prediction: what is paired with those of another."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ctxext.evaluation.comparison.arms import Arm
from ctxext.evaluation.comparison.lines import CONTENT
from ctxext.evaluation.comparison.measures import name_of
from ctxext.evaluation.comparison.reading import Record
from ctxext.evaluation.results import Row


class Score(NamedTuple):
    """The sum of an item, how many tokens or samples it is of, and `content`, the same where the same was scored.

    `seeds` has the sum of each run, of which `value` is the mean; it is empty for one run.
    """

    value: float
    weight: float
    content: str
    seeds: tuple[float, ...] = ()


Item = tuple[Any, ...]
Scores = dict[Item, Score]


def scores_of(arm: Arm, measure: str, subject: str) -> dict[int, Scores]:
    """Return the scores of `measure` for `subject` by length and item; over several seeds the mean of each item.

    It is empty if a run of `arm` has none, and an item is left out if a run lacks it or scored another.
    """
    by_record = [dict(by_length(record, measure, subject)) for record in arm.records]
    lengths = set.intersection(*(set(found) for found in by_record))
    return {length: averaged([found[length] for found in by_record]) for length in sorted(lengths)}


def averaged(seeds: list[Scores]) -> Scores:
    """Return the mean over `seeds` of each item that all scored alike."""
    first, *others = seeds
    found = {}
    for item, score in first.items():
        same = [other[item] for other in others if item in other and other[item].content == score.content]
        if len(same) == len(others):
            values = (score.value, *(other.value for other in same))
            found[item] = score._replace(value=statistics.fmean(values), seeds=values if others else ())
    return found


def by_length(record: Record, measure: str, subject: str) -> Iterator[tuple[int, Scores]]:
    """Yield each length with the scores of `measure` that `record` has for `subject`."""
    found: dict[int, Scores] = {}
    for row, item, score in scored(record, measure):
        if row["subject"] == subject:
            found.setdefault(row["length"], {})[item] = score
    yield from found.items()


def scored(record: Record, measure: str) -> Iterable[tuple[Row, Item, Score]]:
    """Yield line, item and score of `measure` in the files of `record`."""
    if measure == "nll":
        return map(of_document, record.documents)
    if "/" in measure:
        return of_predictions(record.predictions, measure)
    return (of_sample(row) for row in record.samples if row["task"] == measure)


def of_document(row: Row) -> tuple[Row, Item, Score]:
    """Return a line of documents.jsonl as an item; tokens and bytes tell whether the same were scored."""
    return row, (row["document"],), Score(row["nll"], row["counts"], f"{row['counts']:g} {row['sizes']:g}")


def of_sample(row: Row) -> tuple[Row, Item, Score]:
    """Return a line of samples.jsonl as an item."""
    value = float(row["score"]) if "score" in row else float(row.get("rank") == 0)
    return row, (row["seed"], row["depth"], row["index"]), Score(value, 1.0, row[CONTENT])


def of_predictions(rows: Iterable[Row], measure: str) -> Iterator[tuple[Row, Item, Score]]:
    """Yield the lines of predictions.jsonl that have a score of `measure`, as items."""
    for row in rows:
        for metric, value in row["scores"].items():
            if name_of(row | {"metric": metric}) == measure:
                weight = float(row.get("weight", 1.0))
                yield row, (row["index"],), Score(value * weight, weight, row[CONTENT])
