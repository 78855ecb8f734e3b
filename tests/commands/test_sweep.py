"""How jobs end, and the table of a sweep."""

import json
from pathlib import Path

import pytest

from ctxext.commands.sweep import Outcome, exit_status, headline, table

RESULTS = {
    "lengths": {"target": 1024},
    "by_length": [
        {"subject": "base", "length": 1024, "nll": 9.0},
        {"subject": "extended", "length": 512, "nll": 8.0},
        {"subject": "extended", "length": 1024, "nll": 3.25},
    ],
    "tasks": [
        {"subject": "extended", "task": "passkey", "length": 1024, "depth": 0.0, "value": 1.0, "n": 10},
        {"subject": "extended", "task": "passkey", "length": 1024, "depth": 1.0, "value": 0.5, "n": 30},
        {"subject": "extended", "task": "other", "length": 1024, "depth": 1.0, "value": 0.0, "n": 30},
        {"subject": "extended", "task": "passkey", "length": 512, "depth": 1.0, "value": 0.0, "n": 30},
    ],
}


def outcome(folder: Path, status: str, sentence: str = "") -> Outcome:
    return Outcome(0, "yarn", 1024, folder, status, sentence)


def test_the_headline_is_of_the_extended_model_at_the_target(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(RESULTS), encoding="utf-8")
    assert headline(tmp_path) == ("3.250", "0.625")
    assert "yarn  1024            3.250  0.625    done" in table([outcome(tmp_path, "done")])


@pytest.mark.parametrize("content", ["", "[1", "[]", "{}", '{"lengths": {"target": 5}, "by_length": [], "tasks": []}'])
def test_what_was_not_measured_is_left_empty(content: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(content, encoding="utf-8")
    assert headline(tmp_path) == ("", "")


@pytest.mark.parametrize(
    ("ends", "is_sweep", "status"),
    [
        ([], False, 0),
        (["done"], False, 0),
        (["refused"], False, 2),
        (["failed"], False, 1),
        (["done", "refused"], True, 1),
        (["refused"], True, 1),
        (["done", "done"], True, 0),
    ],
)
def test_the_exit_status_says_what_ended_badly(ends: list[str], is_sweep: bool, status: int, tmp_path: Path) -> None:
    assert exit_status([outcome(tmp_path, end) for end in ends], is_sweep) == status
