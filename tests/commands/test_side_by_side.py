import json
from pathlib import Path
from typing import Any

import pytest

from ctxext.commands.side_by_side import as_text, tables


def run(name: str, base: float, subjects: dict[str, float], target: int = 1024) -> dict[str, Any]:
    """Return the results of a run that measured each of `subjects` at its target, and the base at 256 too."""
    rows = [{"subject": "base", "length": 256, "nll": 3.0}]
    rows += [{"subject": subject, "length": target, "nll": nll} for subject, nll in {"base": base, **subjects}.items()]
    tasks = [
        {"subject": subject, "task": "passkey", "length": target, "depth": depth, "value": value}
        for subject in subjects
        for depth, value in (("all", 0.75), (0.5, 0.1))
    ]
    return {"run": {"name": name}, "lengths": {"target": target}, "by_length": rows, "tasks": tasks}


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    written = []
    for results in (run("a", 4.0, {"zero_shot": 3.5, "extended": 3.25}), run("b", 4.0, {"zero_shot": 3.75})):
        folder = tmp_path / results["run"]["name"]
        folder.mkdir()
        (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
        written.append(folder)
    return [*written, tmp_path / "of a job that failed"]


def test_controls_stand_once_and_each_run_has_a_line_for_each_subject_that_it_measured() -> None:
    found = tables([run("a", 4.0, {"zero_shot": 3.5, "extended": 3.25}), run("b", 4.0, {"zero_shot": 3.75})])
    assert found["NLL, nats a token"] == [
        ["", "256", "1024"],
        ["base", "3.000", "4.000"],
        ["a, zero_shot, to 1024", "", "3.500"],
        ["a, extended, to 1024", "", "3.250"],
        ["b, zero_shot, to 1024", "", "3.750"],
    ]
    assert found["PASSKEY, share right"] == [
        ["", "256", "1024"],
        ["a, zero_shot, to 1024", "", "0.75"],
        ["a, extended, to 1024", "", "0.75"],
        ["b, zero_shot, to 1024", "", "0.75"],
    ]


def test_runs_on_different_bases_share_no_line_of_it() -> None:
    lines = tables([run("a", 4.0, {"zero_shot": 3.5}), run("b", 5.0, {"zero_shot": 3.5})])["NLL, nats a token"]
    assert [line[0] for line in lines[1:]] == ["a, zero_shot, to 1024", "b, zero_shot, to 1024"]


def test_a_base_measured_at_other_lengths_by_each_run_is_one_line() -> None:
    lines = tables([run("a", 4.0, {}, 512), run("b", 5.0, {}, 1024)])["NLL, nats a token"]
    assert lines == [["", "256", "512", "1024"], ["base", "3.000", "4.000", "5.000"]]


def test_one_run_has_its_own_tables_and_needs_none_of_these() -> None:
    assert tables([run("a", 4.0, {"zero_shot": 3.5})]) == {}


def test_the_console_shows_both_and_leaves_out_jobs_without_results(folders: list[Path]) -> None:
    nll, passkey = as_text(folders)
    assert nll.splitlines()[1:4] == [
        "NLL, nats a token",
        "                       256    1024",
        "base                   3.000  4.000",
    ]
    assert "b, zero_shot, to 1024" in passkey
