from collections.abc import Callable
from pathlib import Path

import pytest

from ctxext.evaluation.comparison.measures import in_order, lower_is_better, measured, name_of
from ctxext.evaluation.results import Results

PAIRS = {"subject": "base", "application": "translation", "length": 256, "n": 4, "value": 20.0}


def test_every_section_by_length_is_a_measure(run_in: Callable[..., Path]) -> None:
    applications = [PAIRS | {"group": "en-de", "metric": "bleu", "low": 1.0, "high": 30.0}]
    language = [{"subject": "base", "measure": "longppl", "length": 512, "value": 9.0}]
    folder = run_in("a", {"base": {256: [3.0]}}, {"base": {256: [0, 1]}}, applications=applications, language=language)
    found = measured(Results.load(folder / "results.json"))
    assert list(found) == ["perplexity", "nll", "passkey", "translation/en-de/bleu", "longppl"]
    assert found["nll"]["base", 256] == {"value": 3.0, "low": pytest.approx(2.7), "high": pytest.approx(3.3), "n": 1}
    assert found["passkey"]["base", 256]["value"] == 0.5
    assert found["translation/en-de/bleu"]["base", 256]["high"] == 30.0
    assert found["longppl"]["base", 512] == {"value": 9.0}


def test_cells_by_depth_are_no_measure_of_length(run_in: Callable[..., Path]) -> None:
    row = {"subject": "base", "task": "passkey", "length": 256, "depth": 0.5, "metric": "accuracy", "value": 1.0}
    tasks = [row | {"chance": 0.1, "n": 4, "low": 0.5, "high": 1.0}]
    folder = run_in("a", {"base": {256: [3.0]}}, tasks=tasks)
    assert "passkey" not in measured(Results.load(folder / "results.json"))


def test_a_group_is_named_unless_it_is_all() -> None:
    assert name_of({"application": "qa", "group": "", "metric": "f1"}) == "qa/f1"
    assert name_of({"application": "qa", "group": "all", "metric": "f1"}) == "qa/f1"
    assert name_of({"application": "qa", "group": "who", "metric": "f1"}) == "qa/who/f1"


def test_direction_is_that_of_the_metric() -> None:
    assert [lower_is_better(name) for name in ("nll", "translation/en-de/ter", "passkey", "translation/chrf")] == [
        True,
        True,
        False,
        False,
    ]


def test_measures_of_text_come_first_and_each_once() -> None:
    assert in_order(["passkey", "nll", "mqar", "perplexity", "passkey"]) == ["perplexity", "nll", "passkey", "mqar"]
