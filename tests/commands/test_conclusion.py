"""What a run says of itself when it ends."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctxext.commands import exporting
from ctxext.commands.conclusion import facts, hyperparameters, method_of
from ctxext.commands.foundation import prepared
from ctxext.commands.train import train
from ctxext.config.schema import Run
from ctxext.reporting.journal import Journal
from ctxext.reporting.scalars import HYPERPARAMETERS


def test_the_facts_are_those_of_the_run(tiny: Callable[..., Run], tmp_path: Path) -> None:
    run = tiny("+method=yarn", "trainer.batch_tokens=300", "seed=3")
    data = prepared(run, Journal(tmp_path, "a"))
    found = facts(run, "train", data)

    assert {"name", "method", "seed", "command", "versions", "data"} <= found.keys()
    assert (found["name"], found["seed"], found["base"], found["steps"]) == ("yarn", 3, "none", 4)
    assert found["trained_tokens"] == 4 * 4 * 64, "whole rows only"
    assert found["position"].startswith("Yarn(")
    assert {"torch", "tokenizers", "ctxext", "python"} <= found["versions"].keys()
    assert found["data"]["source"] == "Recall"
    tokens = {part: len(getattr(data, part).tokens) for part in ("train", "validation", "test")}
    assert found["data"]["tokens"] == {f"kept: {part}": count for part, count in tokens.items()}


def test_the_run_table_shows_what_tells_methods_apart(tiny: Callable[..., Run]) -> None:
    plain, scaled = hyperparameters(tiny()), hyperparameters(tiny("+method=rope_interp"))
    windowed = hyperparameters(tiny("+method=streaming_llm"))

    assert set(plain) | set(scaled) | set(windowed) <= set(HYPERPARAMETERS)
    assert (scaled["position"], scaled["factor"], "factor" in plain) == ("RopeInterp", 2.0, False)
    assert {"window", "sinks"} <= windowed.keys()
    assert plain["base"] == "none"


def test_a_run_s_record_says_what_it_was(finished: Any) -> None:
    results = finished.results

    assert results["run"]["method"] == "rope_interp"
    assert results["run"]["command"].startswith("ctxext train")
    assert {row["subject"] for row in results["cost"]} == {"base", "truncated", "zero_shot", "extended"}
    assert results["export"].keys() >= {"format", "label", "max_logit_difference"}
    assert "rope_interp" in (finished.folder / "export" / "hf" / "README.md").read_text()
    assert dataclasses.is_dataclass(finished.run)


def test_an_export_that_fails_loses_no_number(
    tiny: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(exporting, "export_huggingface", fail)
    words = "trainer.steps=0 evaluation.lengths=[32,64] evaluation.subjects=[base] export.format=[hf]"
    with pytest.raises(OSError, match="the disk is full"):
        train(tiny(*words.split()), tmp_path / "run")

    results = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    assert [row["length"] for row in results["by_length"] if row["subject"] == "base"] == [32, 64]
    assert results["export"] == {}
    assert (tmp_path / "run" / "samples.jsonl").is_file()


def test_a_name_that_the_user_typed_is_no_method(tiny: Callable[..., Run]) -> None:
    assert method_of(tiny("name=first_try")) == ""
    assert method_of(tiny()) == ""
    assert method_of(tiny("+method=yarn")) == "yarn"
    assert hyperparameters(tiny("name=first_try"))["method"] == "none"
