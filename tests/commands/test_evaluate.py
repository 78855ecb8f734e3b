"""`ctxext eval`: a run, or a base, on a whole dataset."""

import dataclasses
import json
import shlex
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctxext.commands.evaluate import evaluate
from ctxext.config.schema import Run
from ctxext.evaluation.ledger import Ledger
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


def test_an_interrupted_evaluation_ends_between_batches_with_75_and_goes_on(
    saved: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = dataclasses.replace(saved, evaluation=dataclasses.replace(saved.evaluation, batch_tokens=1))
    straight = dataclasses.replace(saved, cache=str(tmp_path / "other"))
    evaluate(straight, tmp_path / "straight")
    add = Ledger.add

    def add_and_signal(ledger: Ledger, scores: Any) -> None:
        add(ledger, scores)
        if len(ledger.known) == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Ledger, "add", add_and_signal)
    with pytest.raises(SystemExit) as raised:
        evaluate(saved, tmp_path / "cut")
    monkeypatch.setattr(Ledger, "add", add)
    (kept,) = (tmp_path / "cache" / "measured").iterdir()

    assert raised.value.code == 75
    assert f"ctxext eval hydra.run.dir={tmp_path / 'cut'}" in capsys.readouterr().out
    assert len(kept.read_text().splitlines()) == 3
    assert not (tmp_path / "cut" / "results.json").exists()
    evaluate(saved, tmp_path / "cut")
    assert results(tmp_path / "cut")["by_length"] == results(tmp_path / "straight")["by_length"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_program_with_the_command_that_goes_on(
    number: int, started: Callable[..., Any], finished: Any, tmp_path: Path
) -> None:
    slow = ("evaluation.documents=60", "evaluation.batch_tokens=1", "evaluation.measures=[sliding]")
    words = (f"run={finished.folder}", *slow, "evaluation.stride=1", f"cache={tmp_path / 'cache'}")
    with started("eval", *words, "hydra.run.dir=there") as process:
        while process.poll() is None and not list(tmp_path.glob("cache/measured/*.jsonl")):
            time.sleep(0.02)
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)

    assert process.returncode == 75, said
    (line,) = [line for line in said.splitlines() if line.startswith("interrupted")]
    typed = shlex.split(line.split(": ", 1)[1])
    assert typed[:2] == ["ctxext", "eval"]
    assert typed[-1] == f"hydra.run.dir={tmp_path / 'there'}"
    assert f"run={finished.folder}" in [word.replace("'", "") for word in typed]


def test_the_protocol_says_of_how_many_documents_they_were_drawn_and_that_the_run_was_trained_on_some(
    saved: Run, finished: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(saved, tmp_path / "own")
    said = capsys.readouterr().out
    other = dataclasses.replace(saved, dataset=dataclasses.replace(saved.dataset, seed=7))  # type: ignore[call-arg]
    evaluate(other, tmp_path / "other")
    own, strange = (results(tmp_path / name)["protocol"] for name in ("own", "other"))

    assert own["chosen_documents"] == "4 of 60 documents long enough, 192 tokens"
    trained = f"{finished.folder} was trained on this dataset: its training documents are among those scored"
    assert own["training_documents"] == trained
    assert "training_documents" not in strange
    assert f"eval   {own['chosen_documents']}\n" in said
    assert f"eval   {trained}\n" in said
