import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctxext.evaluation.comparison.arms import arms_of
from ctxext.evaluation.comparison.reading import read
from ctxext.evaluation.comparison.tables import measures_of, tables
from ctxext.evaluation.results import Row

RunIn = Callable[..., Path]


def table(measure: str, *paths: Path) -> Row:
    return next(table for table in tables(arms_of(read(list(paths))[0])) if table["measure"] == measure)


def run(run_in: RunIn, name: str, base: float = 3.0, **changes: Any) -> Path:
    losses = {"base": {256: [base], 1024: [base + 1]}, "extended": {256: [2.0], 1024: [2.5]}}
    return run_in(name, losses, **changes)


def test_controls_that_agree_stand_once_and_what_each_run_measured_below(run_in: RunIn) -> None:
    found = table("nll", run(run_in, "a"), run(run_in, "b"))
    assert [(row["run"], row["subject"]) for row in found["rows"]] == [
        ("", "base"),
        ("A", "extended"),
        ("B", "extended"),
    ]
    assert found["rows"][0]["values"]["1024"]["value"] == 4.0
    assert (found["lengths"], found["trained"], found["targets"]) == ([256, 1024], 256, [1024])
    assert found["note"] == "nats a token, the same last 10 tokens of 1 documents at every length"


def test_controls_that_differ_stand_with_their_runs(run_in: RunIn) -> None:
    found = table("perplexity", run(run_in, "a"), run(run_in, "b", base=3.1))
    assert [(row["run"], row["subject"]) for row in found["rows"]] == [
        ("A", "base"),
        ("A", "extended"),
        ("B", "base"),
        ("B", "extended"),
    ]
    assert found["rows"][2]["values"]["256"]["value"] == pytest.approx(math.exp(3.1))


def test_a_control_that_runs_measured_at_other_lengths_is_one_row(run_in: RunIn) -> None:
    found = table("nll", run_in("a", {"base": {256: [3.0]}}), run_in("b", {"base": {512: [3.5]}}))
    assert [(row["run"], list(row["values"])) for row in found["rows"]] == [("", ["256", "512"])]


def test_a_dash_has_its_reason(run_in: RunIn) -> None:
    missing = [{"subject": "extended", "what": "by_length", "length": 2048, "reason": "out of memory at batch 1"}]
    lengths = {"trained": 256, "target": 1024, "evaluated": [256, 1024, 2048]}
    found = table("nll", run(run_in, "a", missing=missing, lengths=lengths), run(run_in, "b"))
    reasons = [row["missing"] for row in found["rows"] if row["subject"] == "extended"]
    assert reasons == [
        {"2048": "out of memory at batch 1"},
        {"2048": "not among the evaluation.lengths of the run"},
    ]


def test_a_task_says_its_metric_its_chance_and_how_many(run_in: RunIn) -> None:
    found = table("passkey", run_in("a", {"base": {256: [3.0]}}, {"base": {0: [0, 0], 256: [0, 1]}}))
    assert found["note"] == "accuracy, chance 0.10, 2 a cell"
    assert found["chance"] == 0.1
    assert found["lengths"] == [0, 256]
    assert found["lower_is_better"] is False
    assert found["rows"][0]["values"]["256"] == {"value": 0.5, "low": 0.0, "high": 1.0, "n": 2}


def test_bits_per_byte_stand_there_only_across_tokenizers(run_in: RunIn) -> None:
    rows = [{"subject": "base", "length": 256, "nll": 3.0, "perplexity": 20.0, "tokens": 10, "low": 2.0, "high": 4.0}]
    by_length = [row | {"bits_per_byte": 1.4} for row in rows]
    one = run_in("a", {"base": {256: [3.0]}}, by_length=by_length)
    same = run_in("b", {"base": {256: [3.0]}}, by_length=by_length)
    other = run_in("c", {"base": {256: [3.0]}}, by_length=by_length, run={"data": {"digest": "d", "tokenizer": "u"}})
    assert measures_of(arms_of(read([one, same])[0])) == ["perplexity", "nll"]
    assert measures_of(arms_of(read([one, other])[0])) == ["perplexity", "nll", "bits_per_byte"]
