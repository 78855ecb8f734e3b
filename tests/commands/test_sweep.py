"""How jobs end, and the table of a sweep."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from ctxext.commands.sweep import Outcome, begun_in, cut_off, ended_in, exit_status, headline, table, verdict
from ctxext.training.lock import lock

RESULTS: dict[str, Any] = {
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


@pytest.mark.parametrize(("left", "nll"), [({"base", "zero_shot"}, "7.000"), ({"base"}, "9.000"), ({"truncated"}, "")])
def test_without_an_extended_model_the_untrained_one_or_the_base_stands_for_the_job(
    left: set[str], nll: str, tmp_path: Path
) -> None:
    rows = [*RESULTS["by_length"], {"subject": "zero_shot", "length": 1024, "nll": 7.0}]
    rows += [{"subject": "truncated", "length": 1024, "nll": 6.0}]
    results = RESULTS | {"by_length": [row for row in rows if row["subject"] in left]}
    (tmp_path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    assert headline(tmp_path)[0] == nll


def test_a_job_that_is_done_takes_away_what_an_earlier_try_recorded(tmp_path: Path) -> None:
    outcome(tmp_path, "failed", "out of memory").record()
    said = json.loads((tmp_path / "failure.json").read_text(encoding="utf-8"))
    assert (said["status"], said["sentence"], said["folder"]) == ("failed", "out of memory", str(tmp_path))
    for _ in range(2):
        outcome(tmp_path, "done").record()
        assert not (tmp_path / "failure.json").exists()


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


def test_a_full_disk_is_said_in_a_sentence_of_its_own(tmp_path: Path) -> None:
    status, said = verdict(OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "x")), tmp_path)

    assert status == "failed"
    assert said.startswith(f"{tmp_path / 'x'}: could not be written")


def test_a_failure_that_can_t_be_recorded_is_still_said_by_its_status(tmp_path: Path) -> None:
    (tmp_path / "failure.json").mkdir()
    Outcome(0, "a", 64, tmp_path, "failed", "why").record()


def test_an_error_without_words_is_said_in_some(tmp_path: Path) -> None:
    assert verdict(MemoryError(), tmp_path) == ("failed", "MemoryError: out of memory")
    assert verdict(KeyError(), tmp_path) == ("failed", "KeyError: without a reason")


CONFIG = "name: yarn\ncontext_length: 64\n"


def test_a_job_at_work_is_running_and_one_that_was_killed_is_unfinished(tmp_path: Path) -> None:
    job = tmp_path / "0_yarn_64"
    with lock(job, pytest.fail):
        (job / "config.yaml").write_text(CONFIG, encoding="utf-8")
        assert [outcome.status for outcome in ended_in(tmp_path, "train")] == ["running"]
    (killed,) = ended_in(tmp_path, "train")
    assert (killed.status, killed.sentence) == ("unfinished", "it was killed; the same command line goes on")
    assert [outcome.status for outcome in ended_in(tmp_path, "check")] == ["done"]
    (unknown,) = ended_in(tmp_path)
    assert unknown.sentence.endswith("or it measures nothing")


STRANGE = [
    ("failure.json", "[" * 100_000),
    ("failure.json", "[]"),
    ("failure.json", '{"status": 1, "sentence": [], "name": "a", "context_length": 1}'),
    ("failure.json", '{"status": "failed", "sentence": "why", "name": "a", "context_length": "1"}'),
    ("config.yaml", "name: [yarn]\ncontext_length: 64\n"),
    ("config.yaml", "- yarn\n"),
    ("config.yaml", "name: &a yarn\nother: *a\ncontext_length: 64\n"),
    ("config.yaml", "name: [\n"),
]


@pytest.mark.parametrize(("file", "text"), STRANGE)
def test_a_folder_that_says_something_else_is_no_job(file: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "0_yarn_64").mkdir()
    (tmp_path / "0_yarn_64" / file).write_text(text, encoding="utf-8")
    assert list(ended_in(tmp_path, "train")) == []


@pytest.mark.parametrize("value", ["x", 10**400, [1], None])
def test_numbers_that_are_none_are_left_empty(value: object, tmp_path: Path) -> None:
    row = {"subject": "base", "task": "passkey", "length": 5, "value": value, "n": 10**9}
    results = {"lengths": {"target": 5}, "by_length": [], "tasks": [row]}
    (tmp_path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    assert headline(tmp_path) == ("", "")


def test_a_job_has_begun_once_hydra_has_written_into_its_folder_anew(tmp_path: Path) -> None:
    file = tmp_path / "0_yarn_64" / ".hydra" / "hydra.yaml"
    file.parent.mkdir(parents=True)
    assert begun_in(tmp_path) == {}
    file.touch()
    earlier = begun_in(tmp_path)
    assert begun_in(tmp_path) == earlier
    os.utime(file, ns=(0, 0))
    assert begun_in(tmp_path) != earlier


def test_what_a_launcher_raised_is_told_briefly(tmp_path: Path) -> None:
    said = cut_off(tmp_path, 1, 3, "Job 7 has not produced any output\n" * 100)
    assert "1 of 3 jobs had begun" in said
    assert f"hydra.sweep.dir={tmp_path} goes on (Job 7 has not" in said
    assert len(said) < 400 + len(str(tmp_path))
    assert "\n" not in said
