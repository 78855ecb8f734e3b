"""Losses and gradients that are no numbers, and losses that jump."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file

STEPS = ("trainer.steps=6", "trainer.save_every=2")


@pytest.fixture(scope="module")
def straight(program: Any) -> Path:
    assert program.run("straight", *STEPS, "trainer.keep=9").status == 0
    found: Path = program.root / "straight"
    return found


@pytest.mark.parametrize(("fault", "named"), [("nan", "the loss is nan"), ("gradient", "the gradient norm is ")])
def test_it_stops_before_the_update_with_step_and_samples_and_the_weights_of_before(
    fault: str, named: str, program: Any, straight: Path, left: Callable[[Path], Any]
) -> None:
    name = f"stopped by {fault}"
    ended = program.run(name, *STEPS, faults={fault: 5})
    folder, rows = program.root / name, left(straight).rows

    assert ended.status == 1
    (sentence,) = ended.sentences
    assert f"NonFiniteError: step 5: {named}" in sentence
    assert ", ".join(rows[4]["samples"]) in sentence
    assert "trainer.learning_rate" in sentence
    assert left(folder).rows == rows[:4]
    assert left(folder).saved == {step: left(straight).saved[step] for step in (2, 4)}
    dumped = folder / "nonfinite-00000005.safetensors"
    assert str(dumped) in sentence
    assert load_file(dumped)["tokens"].shape == (4, 64)
    with safe_open(dumped, framework="pt") as file:
        assert file.metadata()["samples"] == ", ".join(rows[4]["samples"])
    assert program.run(name, *STEPS).status == 0
    assert left(folder).rows == rows


def test_a_batch_is_skipped_where_that_is_asked_for_and_no_log_says_0(
    program: Any, left: Callable[[Path], Any]
) -> None:
    ended = program.run("skipping", *STEPS, "trainer.nonfinite=skip", faults={"nan": 3})
    found = left(program.root / "skipping")

    assert ended.status == 0, ended.said
    assert [row["step"] for row in found.rows] == [1, 2, 3, 4, 5, 6]
    assert "1 steps changed nothing, their loss or gradient was not finite: 3" in ended.said
    assert "loss" not in found.rows[2]
    assert found.rows[2]["skipped"] == "the loss is nan"
    assert "loss was nan" in found.rows[2]["note"]
    assert [step for step, _ in found.scalars["train/loss"]] == [1, 2, 4, 5, 6]
    assert all(value > 1 for _, value in found.scalars["train/loss"])
    text = (program.root / "skipping" / "metrics.jsonl").read_text(encoding="utf-8")
    assert not any(word in text for word in ('"loss": 0', "NaN", "Infinity"))


def test_a_skipped_batch_changes_neither_weights_nor_moments(
    program: Any, straight: Path, left: Callable[[Path], Any]
) -> None:
    program.run("skipped last", *STEPS, "trainer.nonfinite=skip", "trainer.save_every=1", faults={"nan": 6})
    found = left(program.root / "skipped last").saved

    assert found[5] == found[6]
    assert found[6] != left(straight).saved[6]


def test_so_many_in_a_row_end_it_also_where_it_was_resumed_in_between(program: Any) -> None:
    words = (*STEPS, "trainer.nonfinite=skip", "trainer.nonfinite_limit=3")
    assert program.run("too many", *words, faults={"nans": 2, "terminate": 3}).status == 75
    ended = program.run("too many", *words, faults={"nans": 2})

    assert ended.status == 1
    (sentence,) = ended.sentences
    assert "step 4: no update in 3 steps in a row, trainer.nonfinite_limit=3" in sentence


def test_a_spike_is_said_and_kept_beside_its_step_also_after_a_resume(
    program: Any, left: Callable[[Path], Any]
) -> None:
    words = ("trainer.steps=24", "trainer.save_every=20")
    ended = program.run("spike", *words, faults={"spike": 22})
    assert program.run("spike again", *words, faults={"terminate": 10}).status == 75
    again = program.run("spike again", *words, faults={"spike": 22})
    noted = [row["step"] for row in left(program.root / "spike").rows if "note" in row]

    assert ended.status == again.status == 0, ended.said
    assert noted == [22]
    assert "step 22: a spike, the loss is " in ended.said
    assert left(program.root / "spike") == left(program.root / "spike again")


def test_weights_that_are_no_numbers_are_never_saved(program: Any, left: Callable[[Path], Any]) -> None:
    ended = program.run("infinite", *STEPS, "trainer.learning_rate=1e38", "trainer.max_grad_norm=1e30")

    assert ended.status == 1
    (sentence,) = ended.sentences
    assert "NonFiniteError" in sentence
    assert "trainer.learning_rate" in sentence
    folder = program.root / "infinite"
    for path in (folder / "checkpoints").glob("step-*"):
        assert all(bool(tensor.isfinite().all()) for tensor in load_file(path / "model.safetensors").values())
    failure = json.loads((folder / "failure.json").read_text(encoding="utf-8"))
    assert failure["status"] == "failed"
