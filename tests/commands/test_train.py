"""The whole of `ctxext train`, on a network of a few thousand weights."""

import dataclasses
import json
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from ctxext.commands.train import Plan, train
from ctxext.config.schema import Run
from ctxext.evaluation.results import Results
from ctxext.model.geometry import LstmGeometry
from ctxext.refusal import Refusal
from ctxext.reporting.journal import Journal

SUBJECTS = ["base", "truncated", "zero_shot", "extended"]
SHORT = ("evaluation.lengths=[32,64]", "evaluation.subjects=[base,extended]")


def metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, without the clock's."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in ("seconds", "waited")} for row in rows]


def numbers(folder: Path) -> dict[str, Any]:
    """What results.json says was measured."""
    results = json.loads((folder / "results.json").read_text())
    return {key: results[key] for key in ("by_length", "by_position", "tasks", "effective_length", "missing")}


def test_a_run_leaves_the_files_of_the_contract(finished: Any) -> None:
    found = {path.relative_to(finished.folder).as_posix() for path in finished.folder.rglob("*") if path.is_file()}

    assert {"results.json", "samples.jsonl", "metrics.jsonl", "report.md", "tokenizer.json"} <= found
    for step in (2, 4):
        folder = f"checkpoints/step-{step:08d}"
        names = ("model.safetensors", "optimizer.safetensors", "state.json", "MANIFEST.json")
        assert {f"{folder}/{name}" for name in names} <= found
    exported = "config.json model.safetensors tokenizer.json tokenizer_config.json generation_config.json README.md"
    assert {f"export/hf/{name}" for name in exported.split()} <= found
    assert sum(name.startswith("events.out.") for name in found) == 1
    assert any(name.startswith("plots/") for name in found)


def test_results_hold_the_keys_of_the_contract(finished: Any) -> None:
    results = finished.results

    assert list(results) == [
        *("schema", "run", "lengths", "protocol", "by_length", "by_position", "tasks", "effective_length"),
        *("cost", "export", "missing", "language", "applications"),
    ]
    assert {"name", "method", "seed", "command", "versions", "data"} <= results["run"].keys()
    assert results["lengths"] == {"trained": 48, "target": 96, "evaluated": [46, 48, 96, 192]}
    assert {"perplexity", "scored_tokens", "documents", "interval"} <= results["protocol"].keys()
    assert [(row["subject"], row["length"]) for row in results["by_length"]] == [
        (subject, length) for subject in SUBJECTS for length in (46, 48, 96, 192)
    ]
    keys = {"subject", "length", "nll", "perplexity", "bits_per_byte", "accuracy", "tokens", "low", "high"}
    assert all(keys <= row.keys() for row in results["by_length"])
    keys = {"subject", "task", "length", "depth", "metric", "value", "chance", "n", "low", "high"}
    assert all(keys <= row.keys() for row in results["tasks"])
    assert {row["subject"] for row in results["by_position"]} == {"base", "zero_shot", "extended"}
    assert results["export"]["label"] == "exact"
    Results.load(finished.folder / "results.json")


def test_metrics_and_samples_hold_the_keys_of_the_contract(finished: Any) -> None:
    rows, samples = finished.lines("metrics.jsonl"), finished.lines("samples.jsonl")

    keys = {"step", "loss", "learning_rate", "grad_norm", "tokens", "seconds", "waited", "samples"}
    probed = {"validation/nll/48", "validation/nll/96"}
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert [row.keys() - keys for row in rows] == [set(), probed, set(), probed]
    assert all(row.keys() >= keys and len(row["samples"]) == 2 for row in rows)
    keys = {"subject", "task", "length", "depth", "index", "seed", "positions", "answer", "candidates", "rank"}
    assert all(sample.keys() == keys | {"metric", "chance"} for sample in samples)
    assert [sample["subject"] for sample in samples] == [subject for subject in SUBJECTS for _ in range(5 * 4)]


def test_truncated_is_the_base_up_to_the_trained_length_and_constant_beyond(finished: Any) -> None:
    nll = {(row["subject"], row["length"]): row["nll"] for row in finished.results["by_length"]}

    assert [nll["truncated", length] for length in (46, 48)] == [nll["base", length] for length in (46, 48)]
    assert nll["truncated", 96] == nll["truncated", 192]
    assert nll["truncated", 192] != nll["base", 192]


def test_training_changed_the_weights_of_the_method_and_the_base_was_measured_before(finished: Any) -> None:
    nll = {(row["subject"], row["length"]): row["nll"] for row in finished.results["by_length"]}

    assert len({nll[subject, 96] for subject in ("base", "zero_shot", "extended")}) == 3
    assert nll["extended", 96] < nll["zero_shot", 96]


def test_the_same_folder_again_does_nothing_and_says_the_same(
    tiny: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, folder = tiny("+method=rope_interp", *SHORT), tmp_path / "run"
    train(run, folder)
    first, rows = numbers(folder), metrics(folder)
    capsys.readouterr()
    train(run, folder)
    said = capsys.readouterr().out

    assert (numbers(folder), metrics(folder)) == (first, rows)
    assert "going on from step-00000004" in said
    assert "steps of 256 tokens" not in said
    assert len([path for path in folder.glob("events.out.*") if path.stat().st_size]) == 1


def test_a_run_does_not_depend_on_what_ran_before_it(tiny: Callable[..., Run], tmp_path: Path) -> None:
    runs = {name: tiny(f"+method={name}", *SHORT) for name in ("rope_interp", "sliding_window")}

    def carry_out(place: str, *names: str) -> dict[str, tuple[Any, Any]]:
        found = {}
        for name in names:
            folder = tmp_path / place / name
            train(dataclasses.replace(runs[name], cache=str(tmp_path / place / "cache")), folder)
            found[name] = (numbers(folder), metrics(folder))
        return found

    assert carry_out("forth", "rope_interp", "sliding_window") == carry_out("back", "sliding_window", "rope_interp")


def test_without_training_there_is_no_extended_and_that_is_said(tiny: Callable[..., Run], tmp_path: Path) -> None:
    train(tiny("trainer.steps=0", "evaluation.lengths=[32,64]", "evaluation.subjects=[base,extended]"), tmp_path)
    results = json.loads((tmp_path / "results.json").read_text())

    assert {row["subject"] for row in results["by_length"]} == {"base"}
    reasons = {row["subject"]: row["reason"] for row in results["missing"] if row["what"] == "by_length"}
    assert reasons == {
        "truncated": "not among evaluation.subjects",
        "zero_shot": "the method changes nothing before training, it is the base",
        "extended": "trainer.steps=0: nothing was trained",
    }
    assert results["export"] == {}
    assert not (tmp_path / "checkpoints").exists()


def test_what_can_have_no_effect_is_said(
    tiny: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Refusal):
        train(tiny("+method=rope_interp", "position.factor=3", "evaluation.lengths=[16,9000]"), tmp_path)

    said = capsys.readouterr().out
    assert "position.factor=3 is used, although context_length / base.trained_length is 2" in said


def test_lengths_that_no_text_has_are_refused_before_anything_is_trained(
    tiny: Callable[..., Run], tmp_path: Path
) -> None:
    with pytest.raises(Refusal, match=r"evaluation\.lengths needs documents held out of 9000 tokens or more"):
        train(tiny("evaluation.lengths=[16,9000]"), tmp_path / "run")

    assert not (tmp_path / "cache" / "bases").exists()


def test_other_settings_in_a_folder_are_refused_with_what_differs(tiny: Callable[..., Run], tmp_path: Path) -> None:
    train(tiny(*SHORT), tmp_path / "run")
    with pytest.raises(Refusal) as raised:
        train(tiny(*SHORT, "trainer.learning_rate=0.5"), tmp_path / "run")

    sentence = str(raised.value)
    assert "trainer.learning_rate was 0.0003 and is 0.5; use another hydra.run.dir" in sentence
    assert "\n" not in sentence
    train(tiny(*SHORT, "trainer.learning_rate=0.5", "trainer.resume=never"), tmp_path / "run")


def test_a_recurrent_network_is_trained_and_not_exported(tiny: Callable[..., Run], tmp_path: Path) -> None:
    run = tiny(*SHORT)
    export = dataclasses.replace(run.export, format=["hf"])
    train(dataclasses.replace(run, model=LstmGeometry(300, 16, 24, 1), export=export), tmp_path)
    results = json.loads((tmp_path / "results.json").read_text())

    assert results["export"]["label"] == "not exportable"
    assert not (tmp_path / "export" / "hf").exists()
    assert {row["subject"] for row in results["by_length"]} == {"base", "extended"}


def test_a_plan_says_which_subjects_there_are() -> None:
    both = Plan("base", "method", is_changed=True, is_trained=True)
    neither = Plan("base", "method", is_changed=False, is_trained=False)

    assert both.untrained() == {"base": "base", "truncated": "base", "zero_shot": "method"}
    assert neither.untrained() == {"base": "base", "truncated": "base"}
    assert both.reasons() == {}
    assert list(neither.reasons()) == ["zero_shot", "extended"]


@pytest.mark.parametrize(("stage", "step"), [("base", 2), ("run", 3), ("run", 4)])
def test_an_interrupted_run_ends_with_75_and_goes_on_bit_for_bit(
    stage: str,
    step: int,
    tiny: Callable[..., Run],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tiny("+method=rope_interp", *SHORT)
    train(run, tmp_path / "straight")
    cut = dataclasses.replace(run, cache=str(tmp_path / "other"))
    log_step = Journal.log_step

    def log_and_signal(journal: Journal, row: dict[str, Any]) -> None:
        log_step(journal, row)
        if row["step"] == step and (journal.name == run.name) == (stage == "run"):
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Journal, "log_step", log_and_signal)
    capsys.readouterr()
    with pytest.raises(SystemExit) as raised:
        train(cut, tmp_path / "cut")
    monkeypatch.undo()
    said = capsys.readouterr().out

    assert raised.value.code == 75
    assert f"hydra.run.dir={tmp_path / 'cut'}" in said
    assert not (tmp_path / "cut" / "results.json").exists()
    assert (tmp_path / "cut" / "metrics.jsonl").exists() == (stage == "run")
    assert (tmp_path / "other" / "measured").exists() == (stage == "run"), "half a base is not measured"
    train(cut, tmp_path / "cut")
    assert metrics(tmp_path / "cut") == metrics(tmp_path / "straight")
    assert numbers(tmp_path / "cut") == numbers(tmp_path / "straight")
    saved = "checkpoints/step-00000004"
    for file in ("model.safetensors", "optimizer.safetensors"):
        mine, theirs = (load_file(tmp_path / name / saved / file) for name in ("cut", "straight"))
        assert mine.keys() == theirs.keys()
        assert all(mine[name].equal(theirs[name]) for name in theirs)


def test_the_program_exits_with_75_when_it_is_terminated_and_says_what_goes_on(
    started: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    folder = tmp_path / "a folder"
    words = ("trainer.steps=100000", "evaluation.lengths=[32,64]", "evaluation.subjects=[extended]")
    with started("train", *words, f"hydra.run.dir='{folder}'") as process:
        while process.poll() is None and not (folder / "metrics.jsonl").exists():
            time.sleep(0.02)
        process.terminate()
        said, _ = process.communicate(timeout=60)

    assert process.returncode == 75, said
    (line,) = [line for line in said.splitlines() if line.startswith("interrupted")]
    typed = shlex.split(line.split(": ", 1)[1])
    assert typed[:3] == ["ctxext", "train", "base=none"]
    assert typed[-2:] == ["evaluation.subjects=[extended]", f"hydra.run.dir={folder}"]
    assert f"saved at step {len(metrics(folder))}" in said


def test_the_tokenizer_is_kept_with_the_run(finished: Any) -> None:
    assert Tokenizer.from_file(str(finished.folder / "tokenizer.json")).get_vocab_size() == 300


def test_a_base_that_ends_with_its_table_is_left_out_beyond_it_and_shown_so(
    tiny: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lengths = ("base.trained_length=64", "context_length=128", "evaluation.lengths=[60,64,128]")
    task = ("evaluation.tasks=[passkey]", "evaluation.samples=2", "evaluation.depths=[0.5]")
    train(tiny("+method=learned_interp", *lengths, *task), tmp_path)

    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    read = {s: [r["length"] for r in results["by_length"] if r["subject"] == s] for s in ("base", "truncated")}
    assert read == {"base": [60, 64], "truncated": [60, 64, 128]}
    assert {row["subject"] for row in results["by_length"]} == {"base", "truncated", "zero_shot", "extended"}
    missing = [row for row in results["missing"] if row.get("subject") == "base" and row.get("length")]
    assert [(row["what"], row["length"]) for row in missing] == [
        *(("cost", 128), ("by_length", 128), ("passkey", 128)),
    ]
    out = capsys.readouterr().out
    (number,) = re.findall(r"\[(\d)\] base [^[]*by_length[^[]* at 128: its positions end at 64 tokens", out)
    assert re.search(rf"extended - base .*\u2013 \[{number}\]", out)


LORA = ("trainer.adapter=lora", "trainer.lora_rank=4", "+method=rope_interp", *SHORT, "trainer.learning_rate=0.01")


def test_an_adapter_is_trained_merged_and_exported_with_what_was_trained_beside_it(
    tiny: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tiny(*LORA, "export.format=[hf]", "evaluation.subjects=[base,zero_shot,extended]"), tmp_path / "run")
    said = " ".join(capsys.readouterr().out.split())
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    nll = {row["subject"]: row["nll"] for row in results["by_length"] if row["length"] == 64}
    exported = load_file(tmp_path / "run" / "export" / "hf" / "model.safetensors")
    saved = load_file(tmp_path / "run" / "checkpoints" / "step-00000004" / "model.safetensors")

    assert nll["extended"] < nll["zero_shot"]
    assert results["export"]["label"] == "exact"
    assert re.search(r"lora of rank 4: [\d,]+ of [\d,]+ weights are trained", said)
    assert re.search(r"memory \S+ [kMG]?B predicted at the peak of training, .*: .* held before it", said)
    assert re.search(r"at the peak of training, \S+ [kMG]?B predicted", said)
    assert re.search(r"merged: the logits differ from the adapter's by \S+ of their scale", said)
    assert torch.equal(exported["model.embed_tokens.weight"], saved["embed_tokens.weight"])
    assert torch.equal(exported["model.norm.weight"], saved["norm.weight"])
    assert not any("lora" in name or "base_layer" in name for name in exported)
    second, first = (saved[f"layers.0.self_attn.q_proj.lora_{letter}.default.weight"] for letter in "BA")
    frozen = saved["layers.0.self_attn.q_proj.base_layer.weight"]  # a base trained here is kept in the checkpoint
    torch.testing.assert_close(exported["model.layers.0.self_attn.q_proj.weight"], frozen + second @ first * 4)


def test_the_base_and_truncated_measured_beside_an_adapter_are_those_of_full_training(
    tiny: Callable[..., Run], tmp_path: Path
) -> None:
    shown = "evaluation.subjects=[base,truncated,zero_shot,extended]"
    for name, words in (("full", ("+method=rope_interp", *SHORT)), ("adapter", LORA)):
        train(dataclasses.replace(tiny(*words, shown), cache=str(tmp_path / name / "cache")), tmp_path / name)
    full, adapter = (
        {(row["subject"], row["length"]): row["nll"] for row in numbers(tmp_path / name)["by_length"]}
        for name in ("full", "adapter")
    )

    untrained = [key for key in full if key[0] != "extended"]
    assert len(untrained) == 6
    assert {key: full[key] for key in untrained} == {key: adapter[key] for key in untrained}
    assert full["extended", 64] != adapter["extended", 64]
    folders = [
        sorted(path.name for path in (tmp_path / name / "cache" / "bases").iterdir()) for name in ("full", "adapter")
    ]
    assert folders[0] == folders[1], "the base is trained in full, and found again"


@pytest.mark.parametrize("step", [2, 3])
def test_an_interrupted_adapter_goes_on_bit_for_bit(
    step: int, tiny: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny(*LORA, "trainer.lora_dropout=0.2", "trainer.gradient_checkpointing=true")
    train(run, tmp_path / "straight")
    log_step = Journal.log_step

    def log_and_signal(journal: Journal, row: dict[str, Any]) -> None:
        log_step(journal, row)
        if row["step"] == step:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Journal, "log_step", log_and_signal)
    with pytest.raises(SystemExit):
        train(run, tmp_path / "cut")
    monkeypatch.undo()
    train(run, tmp_path / "cut")

    assert metrics(tmp_path / "cut") == metrics(tmp_path / "straight")
    assert numbers(tmp_path / "cut") == numbers(tmp_path / "straight")
    for file in ("model.safetensors", "optimizer.safetensors"):
        mine, theirs = (load_file(tmp_path / name / "checkpoints/step-00000004" / file) for name in ("cut", "straight"))
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[key], theirs[key]) for key in mine)
