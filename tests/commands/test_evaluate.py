"""`ctxext eval`: a run, or a base, on a whole dataset."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctxext.commands.evaluate import evaluate
from ctxext.config.schema import Run
from ctxext.position.rope import RopeNtk
from ctxext.reporting import plots


@pytest.fixture
def saved(finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The finished run as `eval run=` composes it."""
    monkeypatch.setattr(plots, "draw", lambda results, folder: [])
    run: Run = finished.run
    return dataclasses.replace(run, run=str(finished.folder), cache=str(tmp_path / "cache"))


def results(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return content


def test_a_run_is_scored_on_every_document_without_training(saved: Run, tmp_path: Path) -> None:
    evaluation = dataclasses.replace(saved.evaluation, documents=1000)
    evaluate(dataclasses.replace(saved, evaluation=evaluation), tmp_path / "eval")
    found = results(tmp_path / "eval")

    assert {row["subject"] for row in found["by_length"]} == {"extended"}
    assert found["protocol"]["documents"] == found["by_length"][0]["tokens"] / 8 == 60
    assert found["run"]["steps"] == 4
    assert found["run"]["command"].startswith("ctxext eval")
    absent = {row["subject"]: row["reason"] for row in found["missing"] if row["what"] == "by_length"}
    scratch = "the run's base was trained from scratch, and the run keeps its own weights alone"
    untrained = "ctxext eval of a run takes its weights as they are"
    assert absent == {"base": scratch, "truncated": scratch, "zero_shot": untrained}
    assert not (tmp_path / "eval" / "checkpoints").exists()
    assert not (tmp_path / "eval" / "export").exists()
    assert not (tmp_path / "eval" / "metrics.jsonl").exists()


def test_another_method_reads_the_same_weights_otherwise(saved: Run, tmp_path: Path) -> None:
    evaluate(saved, tmp_path / "own")
    evaluate(dataclasses.replace(saved, position=RopeNtk(10000.0, 2.0)), tmp_path / "other")
    own, other = ([row["nll"] for row in results(tmp_path / name)["by_length"]] for name in ("own", "other"))

    assert own != other
    assert own == pytest.approx(other, abs=0.5)
    assert results(tmp_path / "other")["run"]["position"] == repr(RopeNtk(10000.0, 2.0))


def test_a_folder_of_weights_is_a_base_read_in_all_ways(
    finished: Any, tiny: Callable[..., Run], tmp_path: Path
) -> None:
    base = tmp_path / "base"
    base.mkdir()
    for file in (finished.folder / "export" / "hf").iterdir():
        (base / file.name).write_bytes(file.read_bytes())
    config = json.loads((base / "config.json").read_text())
    plain = {key: value for key, value in config.items() if key not in ("rope_parameters", "rope_scaling")}
    (base / "config.json").write_text(json.dumps(plain | {"max_position_embeddings": 32, "rope_theta": 10000.0}))
    words = (f"base.path={base}", "base.steps=0", "trainer.steps=0", "evaluation.lengths=[32,64]")
    evaluate(tiny(*words, "+method=rope_interp"), tmp_path / "eval")
    evaluate(tiny(*words), tmp_path / "plain")
    found, bare = results(tmp_path / "eval"), results(tmp_path / "plain")

    assert [row["subject"] for row in found["by_length"]] == ["base"] * 2 + ["truncated"] * 2 + ["zero_shot"] * 2
    assert (found["run"]["steps"], found["run"]["trained_tokens"]) == (0, 0)
    reasons = {row["subject"]: row["reason"] for row in bare["missing"] if row["what"] == "by_length"}
    assert reasons == {
        "zero_shot": "the method changes nothing, it is the base",
        "extended": "ctxext eval trains nothing",
    }
