import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctxext.commands.compare import compare, headline
from ctxext.commands.sweep import Outcome
from ctxext.refusal import Refusal

RunIn = Callable[..., Path]
LOSSES = {"base": {256: [3.0, 3.1], 1024: [4.0, 4.2]}, "extended": {256: [3.1, 3.2], 1024: [3.2, 3.1]}}


@pytest.fixture
def sweep(run_in: RunIn, tmp_path: Path) -> Path:
    run_in("sweep/0_yarn", LOSSES, run={"name": "yarn"})
    run_in("sweep/1_rope_ntk", LOSSES, run={"name": "rope_ntk"})
    return tmp_path / "sweep"


class Said:
    """What went to stdout and to stderr."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.err: list[str] = []

    def typed(self, *words: object) -> int:
        """Compare what `words` name, and return the exit status."""
        return compare([str(word) for word in words], self.out.append, self.err.append)


def test_json_is_the_comparison_and_nothing_else(sweep: Path) -> None:
    said = Said()
    assert said.typed(sweep, "--json") == 0
    (text,) = said.out
    found = json.loads(text)
    assert [run["name"] for run in found["runs"]] == ["yarn", "rope_ntk"]
    assert "gates" not in found
    assert said.err == []


def test_flags_may_stand_between_paths(sweep: Path) -> None:
    said = Said()
    assert said.typed(sweep / "1_rope_ntk", "--json", sweep / "0_yarn") == 0
    assert [run["name"] for run in json.loads(said.out[0])["runs"]] == ["rope_ntk", "yarn"]


def test_a_table_is_shown_where_no_form_is_asked_for(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Said().typed(sweep) == 0
    shown = capsys.readouterr().out
    assert "PERPLEXITY" in shown
    assert "B rope_ntk" in shown


def test_markdown_goes_to_the_console_or_into_a_file(sweep: Path, tmp_path: Path) -> None:
    said = Said()
    assert said.typed(sweep, "--markdown") == 0
    assert "| B rope_ntk" in said.out[0]
    assert said.typed(sweep, "--markdown", tmp_path / "new" / "runs.md", "--html", tmp_path / "runs.html") == 0
    assert (tmp_path / "new" / "runs.md").read_text(encoding="utf-8").rstrip() == said.out[0]
    assert "rope_ntk" in (tmp_path / "runs.html").read_text(encoding="utf-8")
    assert len(said.out) == 1
    assert said.err == [str(tmp_path / "runs.html"), str(tmp_path / "new" / "runs.md")]


def test_a_broken_gate_fails_and_says_which_number_broke_it(sweep: Path) -> None:
    said = Said()
    rules = ["--fail-on", "nll@1024 > base", "--fail-on", "nll@1024 > 3.1"]
    assert said.typed(sweep, "--json", *rules) == 1
    assert said.err[:2] == [
        f"ctxext: --fail-on nll@1024 > 3.1: {who} has nll@1024 3.15, and the bound is 3.1"
        for who in ("A (yarn)", "B (rope_ntk)")
    ]
    assert said.err[2:] == ["ctxext: --fail-on nll@1024 > base: passed"]
    gates = json.loads(said.out[0])["gates"]
    assert gates["rules"] == rules[1::2]
    assert len(gates["broken"]) == 2


def test_a_gate_that_holds_ends_well(sweep: Path) -> None:
    said = Said()
    assert said.typed(sweep, "--json", "--fail-on", "nll@1024 > base") == 0
    assert said.err == ["ctxext: --fail-on nll@1024 > base: passed"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "compare takes the folders of runs"),
        ("SWEEP --jsn", "unrecognized arguments: --jsn"),
        ("nowhere", "nowhere: no such folder"),
        ("SWEEP/.. SWEEP/0_yarn/results.json nowhere", "nowhere: no such folder"),
        ("SWEEP --fial-on nll@1024>3", "did you mean '--fail-on'?"),
        ("SWEEP SWEEP/0_yarn", "0_yarn: this run is named twice"),
        ("SWEEP/0_yarn SWEEP/0_yarn/results.json", "0_yarn: this run is named twice"),
        ("SWEEP --fail-on nll", "--fail-on 'nll' can't be read"),
        ("SWEEP --fail-on nl@1024>3", "no measure 'nl'; did you mean 'nll'?"),
        ("SWEEP --json --markdown", "--json and --markdown both go to stdout"),
        ("SWEEP --html SWEEP", "can't be written (Is a directory)"),
    ],
)
def test_a_wrong_line_is_refused_in_a_sentence(words: str, sentence: str, sweep: Path) -> None:
    said = Said()
    with pytest.raises(Refusal) as refused:
        said.typed(*words.replace("SWEEP", str(sweep)).split())
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
    assert said.out == []


def test_the_end_of_a_sweep_shows_the_headlines_and_names_the_rest(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert headline([sweep / "0_yarn", sweep / "1_rope_ntk", sweep / "2_failed"]) == f"ctxext compare {sweep}"
    shown = capsys.readouterr().out
    assert "NLL" in shown
    assert "VERDICT" in shown
    assert "PERPLEXITY" not in shown


def test_one_run_has_its_own_tables_and_is_not_shown_again(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert headline([sweep / "0_yarn", sweep / "2_failed"]) == ""
    assert capsys.readouterr().out == ""


def test_runs_of_several_places_are_all_named(run_in: RunIn, capsys: pytest.CaptureFixture[str]) -> None:
    paths: list[Any] = [run_in("x/a", LOSSES), run_in("y/b", LOSSES)]
    assert headline(paths) == f"ctxext compare {paths[0]} {paths[1]}"
    assert capsys.readouterr().out


def test_a_sweep_begins_with_how_its_jobs_ended(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sweep / "multirun.yaml").touch()
    (sweep / "10_killed").mkdir()
    (sweep / "10_killed" / "config.yaml").write_text("name: killed\ncontext_length: 64\n", encoding="utf-8")
    for number, name in enumerate(("yarn", "rope_ntk")):
        config = f"name: {name}\ncontext_length: 1024\n"
        (sweep / f"{number}_{name}" / "config.yaml").write_text(config, encoding="utf-8")
    said = Said()
    assert said.typed(sweep) == 0
    rows = [line.split() for line in said.out[0].strip().splitlines()]
    assert rows[0] == ["job", "name", "context_length", "nll", "passkey", "status"]
    assert [(row[0], row[-1]) for row in rows[1:3]] == [("0", "done"), ("1", "done")]
    assert rows[3][:4] == ["10", "killed", "64", "unfinished:"]
    assert "PERPLEXITY" in capsys.readouterr().out
    again = Said()
    again.typed(sweep, "--json")
    json.loads(again.out[0])


@pytest.mark.parametrize("sign", ["multirun.yaml", "study.db"])
def test_so_does_one_without_any_results(sign: str, tmp_path: Path) -> None:
    for name in ("0_a_64", "1_b_64"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text("name: a\ncontext_length: 64\n", encoding="utf-8")
    Outcome(1, "b", 64, tmp_path / "1_b_64", "interrupted").record()
    (tmp_path / sign).touch()
    said = Said()
    with pytest.raises(Refusal, match=r"none of the runs has a results\.json"):
        said.typed(tmp_path)
    assert "unfinished: it was killed" in said.out[0]
    assert "interrupted" in said.out[0]
