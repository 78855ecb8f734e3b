"""The benchmark: how it counts and tells, and in small the whole of it."""

import json
import math
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "bench.py"
PAGE = ROOT / "docs" / "benchmarks.md"
COLUMNS = ("measure", "goal", "reached", "met?", "spread", "against")


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function from a name to that module of the benchmark."""
    monkeypatch.syspath_prepend(SCRIPT.parent)

    def module(name: str) -> ModuleType:
        return import_module(f"benchmarks.{name}")

    return module


def bench(*words: str) -> "subprocess.CompletedProcess[str]":
    """Return how the script ends with `words`."""
    line = [sys.executable, str(SCRIPT), *words]
    return subprocess.run(line, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)


def goals_of(page: str) -> dict[str, dict[str, str]]:
    """Return the cells of the goals' table of `page` by measure and column."""
    section = page.partition("## Goals")[2].partition("**How")[0] or page
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    rows = [dict(zip(COLUMNS, map(str.strip, line), strict=False)) for line in lines[2:]]
    return {row["measure"]: row for row in rows}


def test_an_exponent_is_the_slope_over_all_lengths(package: Any) -> None:
    findings = package("findings")
    lengths = [1024, 4096, 16384]
    assert findings.exponent(lengths, [length**1.5 for length in lengths]) == pytest.approx(1.5)
    assert findings.exponents({1: [1.0, 1.0], 2: [2.0, 4.0], 4: [4.0, 16.0]}) == pytest.approx([1.0, 2.0])
    with pytest.raises(AssertionError, match="two points"):
        findings.exponent([1, 2], [1.0, 2.0])


def test_sides_are_warmed_up_and_then_run_in_turn(package: Any) -> None:
    calls: list[str] = []
    times = package("clock").in_turn({name: lambda name=name: calls.append(name) for name in "AB"}, 2, {"A": 1, "B": 2})
    assert "".join(calls) == "AB" + 2 * "ABB"
    assert {name: len(found) for name, found in times.items()} == {"A": 2, "B": 2}


@pytest.mark.parametrize("difference", [0.2, math.nan])
def test_sides_that_differ_end_the_run_in_words(package: Any, difference: float) -> None:
    findings = package("findings")
    findings.agree("the losses", 0.1, 0.1)
    with pytest.raises(SystemExit, match="the losses differ by"):
        findings.agree("the losses", difference, 0.1)


def test_tensors_of_other_shapes_do_not_agree(package: Any) -> None:
    difference = package("clock").largest_difference
    assert difference(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 5.0])) == 3
    assert math.isnan(difference(torch.zeros(2), torch.zeros(1, 2)))


def test_a_part_comes_back_from_json_as_it_was(package: Any) -> None:
    findings = package("findings")
    part = findings.Part(tables=[findings.Table("title", ["a"], [["1"]])], remarks=["said"])
    part.add("key", [3.0, 1.0, 2.0])
    assert findings.Part.of(json.loads(json.dumps(part.as_dict()))) == part
    assert part.findings == [findings.Finding("key", 2.0, 1.0, 3.0)]


def test_the_operations_of_a_token_are_those_of_the_formula(package: Any) -> None:
    geometry = SimpleNamespace(num_attention_heads=3, head_dim=64, num_hidden_layers=6)
    assert package("training").operations(geometry, 3_000_000, 4096) == 18_000_000 + 12 * 6 * 3 * 64 * 2048


def test_the_page_says_what_was_reached_missed_and_not_measured(package: Any) -> None:
    findings, page, goals = package("findings"), package("page"), package("goals")
    part = findings.Part()
    part.add("loss_time", [0.7])
    part.add("loss_memory", [0.1004, 0.1001, 0.3])
    rows = goals_of(page.page_of({"loss": part}, "full", 3.0))
    told = {goal.key: rows[goal.measure] for goal in goals.GOALS}
    assert told["loss_time"]["met?"] == "yes"
    assert told["loss_memory"]["met?"] == "**missed**"
    assert told["loss_memory"]["reached"] == "0.100"
    assert told["loss_memory"]["spread"] == "0.100-0.300"
    assert all(told[key]["reached"] == "not measured" for key in set(told) - {"loss_time", "loss_memory"})
    assert "numbers mean nothing" in page.page_of({"loss": part}, "quick", 3.0)


def test_goals_are_bounds_from_either_side(package: Any) -> None:
    goals = {goal.key: goal for goal in package("goals").GOALS}
    assert goals["decoding"].is_met(1.6)
    assert not goals["decoding"].is_met(1.599)
    assert goals["window_dense"].is_met(0.27)
    assert not goals["window_dense"].is_met(0.271)


def test_a_part_that_is_not_there_is_refused_in_words() -> None:
    ended = bench("--only", "loss,speed")
    assert ended.returncode == 2
    assert "no part speed" in ended.stderr


def test_the_page_has_a_row_for_each_goal(package: Any) -> None:
    rows = goals_of(PAGE.read_text(encoding="utf-8"))
    assert [*rows] == [goal.measure for goal in package("goals").GOALS]
    assert [row["goal"] for row in rows.values()] == [goal.words for goal in package("goals").GOALS]


@pytest.mark.slow
def test_the_whole_benchmark_in_small_measures_every_goal(package: Any, tmp_path: Path) -> None:
    page, kept = tmp_path / "page.md", tmp_path / "all.json"
    ended = bench("--quick", "--page", str(page), "--json", str(kept))
    assert ended.returncode == 0, ended.stderr
    parts = json.loads(kept.read_text(encoding="utf-8"))["parts"]
    found = {finding["key"]: finding for part in parts.values() for finding in part["findings"]}
    rows = goals_of(page.read_text(encoding="utf-8"))
    for goal in package("goals").GOALS:
        numbers = [found[goal.key][name] for name in ("low", "value", "high")]
        assert all(map(math.isfinite, numbers)), goal.key
        assert numbers == sorted(numbers)
        assert rows[goal.measure]["reached"] != "not measured"
