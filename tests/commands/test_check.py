"""`ctxext check`, for every overlay, and the part of it that comes before training."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ctxext import cli
from ctxext.commands import check as command
from ctxext.commands.check import Unproved, check, demand, foundation, prove_in_brief, spans
from ctxext.commands.train import train
from ctxext.config.folders import option_files
from ctxext.config.schema import Run
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.geometry import DecoderGeometry, LstmGeometry, VanillaGeometry
from ctxext.proving.finding import Finding
from ctxext.proving.specimen import Specimen, members_of, specimen
from ctxext.proving.suite import prove
from ctxext.reporting.journal import Journal

SMALL = ("base=none", "base.trained_length=16", "evaluation.scored_tokens=4")
LENGTHS = ("context_length=64", "evaluation.lengths=[16,32,64]")
GEOMETRY = (
    "model.vocab_size=67",
    "model.hidden_size=32",
    "model.intermediate_size=40",
    "model.num_hidden_layers=4",
    "model.num_attention_heads=4",
    "model.num_key_value_heads=2",
    "model.head_dim=8",
)
OTHERS = {LstmGeometry: LstmGeometry(67, 8, 12, 1), VanillaGeometry: VanillaGeometry(67, 32, 40, 2, 4, 1e-5)}


def small(path: Path, built: Callable[..., Run]) -> Run:
    """Return a run of a few thousand weights with the overlay in `path`, at lengths in which its method acts."""
    text = path.read_text(encoding="utf-8")
    # An overlay that follows the trained length has no use for another.
    lengths = () if "\ncontext_length:" in text else LENGTHS
    words = [f"+method={path.stem}", *SMALL, *lengths]
    if "override /model:" in text:
        run = built(*words)
        return replace(run, model=OTHERS.get(type(run.model), run.model))
    return built(*words, *GEOMETRY)


def broken(specimen: Specimen) -> Finding:
    """Find that nothing holds."""
    return Finding("causality", False, float("inf"), "outputs see later ones")


@pytest.mark.parametrize("path", option_files("method"), ids=lambda path: path.stem)
def test_every_overlay_is_proved(path: Path, built: Callable[..., Run]) -> None:
    run = small(path, built)
    examined = specimen(foundation(run), members_of(run), run.base.trained_length, run.context_length)
    findings = list(prove(examined))
    demand(findings)
    assert sum(finding.holds is True for finding in findings) >= 5
    extends = {finding.name: finding.holds for finding in findings}["effect"]
    assert extends is True or not examined.extends


def test_it_shows_and_keeps_what_it_found_and_trains_nothing(
    tiny: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(tiny("+method=yarn", "mask=sliding_window", "mask.window=24"), tmp_path / "run")

    said = capsys.readouterr().out
    assert all(title in said for title in ("PROPERTIES", "MASK", "COST", "FIRST ROW"))
    kept = json.loads((tmp_path / "run" / "check.json").read_text(encoding="utf-8"))
    counts = [sum(one["holds"] is holds for one in kept["findings"]) for holds in (True, False)]
    assert (said.count("✓") - 1, said.count("✗") - 1) == (counts[0], counts[1])  # and the legend
    assert counts[1] == 0
    assert said.index("kept: train") < said.index("PROPERTIES")
    assert f"\n{counts[0]} hold, 0 fail, " in said
    assert {finding["name"]: finding["holds"] for finding in kept["findings"]}["frequencies"] is True
    assert [row["length"] for row in kept["cost"]] == [16, 32, 64, 192]
    assert [
        row["cache_bytes_per_token"] * row["length"] / kept["cost"][0]["cache_bytes_per_token"] for row in kept["cost"]
    ] == [16, 23, 23, 23]
    assert kept["masks"][0]["lines"][-1].endswith("A" * 12)
    assert kept["run"]["position"].startswith("Yarn(")
    assert not (tmp_path / "cache" / "bases").exists()


def test_the_first_row_is_told_with_its_documents_and_positions(
    tiny: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(tiny(), tmp_path / "apart")
    apart = capsys.readouterr().out
    check(tiny("mask=causal"), tmp_path / "one")
    one = capsys.readouterr().out

    assert "document 0: columns 0-" in apart
    assert "document 0: columns 0-63, positions 0-63" in one
    assert "64 tokens of 1 document, " in one


def test_a_recurrent_network_promises_less_and_is_shown_too(
    tiny: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(replace(tiny(), model=LstmGeometry(300, 16, 24, 1)), tmp_path)
    said = capsys.readouterr().out
    assert "hold, 0 fail, " in said
    assert "MASK" not in said


def test_a_property_that_fails_ends_it_after_all_was_shown_and_kept(
    tiny: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "prove", lambda examined: prove(examined, (broken,)))
    with pytest.raises(Unproved, match="causality: outputs see later ones"):
        check(tiny(), tmp_path)
    said = capsys.readouterr().out
    assert ("\n ✗ " in said, "FIRST ROW" in said, "0 hold, 1 fail" in said) == (True, True, True)
    kept, _ = json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))["findings"]
    assert (kept["holds"], kept["measured"]) == (False, None)


def test_the_program_ends_with_1_where_a_property_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuted(run: Run, folder: Path) -> None:
        demand([Finding("shift", None, None, "declared"), Finding("causality", False, 1.0, "outputs see later ones")])

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "check", refuted)
    monkeypatch.setattr(sys, "argv", ["ctxext", "check", "+method=yarn"])
    assert cli.main() == 1
    assert capsys.readouterr().err == "ctxext: Unproved: causality: outputs see later ones\n"


def test_training_begins_with_the_brief_part_and_one_line(
    tiny: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tiny("+method=rope_interp")
    base = foundation(run)
    before = {name: part.clone() for name, part in base.state_dict().items()}
    torch.manual_seed(7)
    drawn = torch.rand(1)
    torch.manual_seed(7)
    with Journal(tmp_path, "run") as journal:
        prove_in_brief(base, run, journal)

    assert torch.equal(torch.rand(1), drawn)
    assert all(torch.equal(part, before[name]) for name, part in base.state_dict().items())
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("check  causality and cache hold; outputs at 64 tokens differ from the base's")


def test_training_begins_with_texts_as_long_as_a_group(
    tiny: Callable[..., Run], tmp_path: Path, late_roll: Callable[[int], Any]
) -> None:
    run = replace(tiny("context_length=256"), attention=late_roll(100))
    with Journal(tmp_path, "run") as journal, pytest.raises(Unproved, match="later ones in training"):
        prove_in_brief(foundation(run), run, journal)


def test_training_is_refused_where_the_method_has_no_effect(tiny: Callable[..., Run], tmp_path: Path) -> None:
    run = replace(tiny(), mask=SlidingWindow(65))
    with Journal(tmp_path, "run") as journal, pytest.raises(Unproved, match="effect: up to 64 tokens it reads as its"):
        prove_in_brief(foundation(run), run, journal)


def test_what_is_too_long_to_show_before_training_is_said_and_refuses_nothing(
    tiny: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "BRIEFLY", 1.0)
    run = replace(tiny("context_length=256"), mask=SlidingWindow(100))
    with Journal(tmp_path, "run") as journal:
        prove_in_brief(foundation(run), run, journal)
    (line,) = capsys.readouterr().out.splitlines()
    assert "causality not shown: SlidingWindow did nothing up to 64 tokens" in line


@pytest.mark.parametrize(("way", "holds"), [("pose", True), ("randomized", True), ("as_laid", None)])
def test_positions_that_are_drawn_are_proved(
    way: str, holds: bool | None, tiny: Callable[..., Run], tmp_path: Path
) -> None:
    check(tiny(f"trainer.positions={way}"), tmp_path)
    findings = json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))["findings"]
    assert {one["name"]: one["holds"] for one in findings}["positions"] is holds


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("check", ("✓ a property holds", "check.json", "exit status: 0 all", "1 a property fails")),
        ("search", ("takes minutes", "search.jsonl", "position/longrope_found.yaml", "exit status: 0 done")),
    ],
)
def test_help_says_what_is_shown_left_and_returned(typed: str, told: tuple[str, ...]) -> None:
    assert all(words in cli.command_help(typed) for words in told)
    assert max(map(len, cli.command_help(typed).split("Examples:")[0].splitlines()[1:])) <= 120


def test_training_is_refused_where_the_brief_part_fails(
    tiny: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BRIEF", (broken,))
    with pytest.raises(Unproved, match="causality"):
        train(tiny(), tmp_path)
    assert not (tmp_path / "checkpoints").exists()


def test_without_training_nothing_is_asked_before_it(
    tiny: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BRIEF", (broken,))
    train(tiny("trainer.steps=0", "evaluation.lengths=[16,32]", "evaluation.subjects=[base]"), tmp_path)


@pytest.mark.parametrize(
    ("numbers", "told"),
    [([0, 1, 2], "0-2"), ([0, 5, 6], "0-0, 5-6"), ([0, 2, 4, 6, 8], "0-0, 2-2, 4-4, ...")],
)
def test_numbers_are_told_as_runs(numbers: list[int], told: str) -> None:
    assert spans(numbers) == told


def test_fresh_weights_are_those_of_the_seed_and_of_the_base_without_the_method(tiny: Callable[..., Run]) -> None:
    one, two = (foundation(tiny("+method=yarn")) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert isinstance(one.geometry, DecoderGeometry)
    assert type(one.position).__name__ == "Rope"


def test_the_memory_of_training_is_foretold_with_the_adapter_and_only_where_there_is_training(
    tmp_path: Path, built: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    words = "+method=yarn", "model.vocab_size=300", "dataset=recall", "dataset.count=60", f"cache={tmp_path}"
    said = {}
    for word in ("trainer.steps=1", "trainer.adapter=lora", "trainer.steps=0"):
        check(built(*SMALL, *LENGTHS, *GEOMETRY, *words, word), tmp_path)
        said[word] = " ".join(capsys.readouterr().out.split())

    added = {word: re.search(r"gradients and AdamW add ([\d.]+) (.?B) in training", said[word]) for word in said}
    for word in ("trainer.steps=1", "trainer.adapter=lora"):
        moments = re.search(r"\+ ([\d.]+) (.?B) AdamW \+", said[word])
        assert moments[2] == added[word][2]
        assert float(moments[1]) == pytest.approx(2 / 3 * float(added[word][1]), rel=0.01)
        assert re.search(r"about \S+ m?s a step, \S+ (m?s|min) for \d+ steps, predicted", said[word])
    assert added["trainer.steps=1"][1] != added["trainer.adapter=lora"][1]
    assert "predicted at the peak of training" not in said["trainer.steps=0"]
