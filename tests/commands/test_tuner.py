"""`hydra/sweeper=optuna`: trials are jobs, the study lies in the sweep's folder, and its best is one command line."""

import json
import shlex
import sqlite3
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from ctxext import cli
from ctxext.commands import tuner
from ctxext.config.schema import Run
from ctxext.refusal import Refusal
from ctxext.training.lock import lock

STUDY = ("hydra/sweeper=optuna", "hydra.sweep.dir=study")
SPACE = ("+method=yarn", "position.beta_fast=interval(8.0,64.0)")


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Return a function that trains under words in an empty folder, where a run is its square distance from 20 turns.

    At a seed of 91 it fails.
    """
    monkeypatch.chdir(tmp_path)

    def stage(run: Run, folder: Path) -> float:
        if run.seed == 91:
            raise RuntimeError("not finite")
        (folder / "results.json").write_text("{}", encoding="utf-8")
        return float((run.position.beta_fast - 20) ** 2)

    monkeypatch.setitem(sys.modules, "fake_stages", types.SimpleNamespace(stage=stage))
    known = cli.STAGES["train"]._replace(function="fake_stages:stage")
    monkeypatch.setitem(cli.STAGES, "train", known)
    monkeypatch.setattr(cli, "compare_jobs", lambda folders: None)

    def type_words(*words: str, command: str = "train", alone: bool = False) -> int:
        monkeypatch.setattr(sys, "argv", ["ctxext", command, *([] if alone else ["-m", *STUDY]), *words])
        return cli.main()

    return type_words


def states() -> list[str]:
    """Return how the trials of the study ended, as its file has it."""
    with sqlite3.connect("study/study.db") as study:
        return [state for (state,) in study.execute("select state from trials order by number")]


def test_the_least_value_wins_and_is_printed_as_a_command_line_that_is_built(
    typed: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(*SPACE, "seed=3", "hydra.sweeper.trials=6") == 0
    said, best = capsys.readouterr().out, json.loads(Path("study/best.json").read_text(encoding="utf-8"))
    line = said.strip().splitlines()[-1]
    assert line == best["command"]
    tried = {}
    for folder in Path("study").glob("*_yarn_1024"):
        text = (folder / "config.yaml").read_text(encoding="utf-8")
        tried[folder.name] = abs(float(text.split("beta_fast: ")[1].split()[0]) - 20)
    assert len(tried) == 6
    assert min(tried, key=tried.__getitem__).startswith(f"{best['trial']}_")
    assert best["validation_nll"] == pytest.approx(min(tried.values()) ** 2)
    words = shlex.split(line)
    assert words[:4] == ["ctxext", "train", "+method=yarn", "seed=3"]
    assert words[4].startswith("position.beta_fast=")


def test_a_study_goes_on_in_its_folder_up_to_as_many_trials_in_all(typed: Callable[..., int]) -> None:
    typed(*SPACE, "hydra.sweeper.trials=2")
    typed(*SPACE, "hydra.sweeper.trials=5")
    assert sorted(path.name for path in Path("study").glob("*_yarn_1024")) == [f"{n}_yarn_1024" for n in range(5)]
    assert typed(*SPACE, "hydra.sweeper.trials=5") == 0
    assert states() == ["COMPLETE"] * 5


def test_a_trial_that_was_cut_off_is_carried_out_again_in_its_own_folder(typed: Callable[..., int]) -> None:
    typed(*SPACE, "hydra.sweeper.trials=2")
    text = Path("study/1_yarn_1024/config.yaml").read_text(encoding="utf-8")
    with sqlite3.connect("study/study.db") as study:
        study.execute("update trials set state = 'RUNNING' where number = 1")
        study.execute("delete from trial_values where trial_id = 2")
    Path("study/1_yarn_1024/config.yaml").unlink()
    typed(*SPACE, "hydra.sweeper.trials=2")
    assert states() == ["COMPLETE"] * 2
    assert Path("study/1_yarn_1024/config.yaml").read_text(encoding="utf-8") == text


def test_refused_and_failed_trials_are_said_and_recorded_and_the_study_goes_on(
    typed: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    space = ("+method=yarn", "context_length=1024,100", "seed=1,91", "position.beta_fast=interval(8.0,64.0)")
    assert typed(*space, "hydra.sweeper.trials=12") == 1
    said = capsys.readouterr()
    found = [json.loads(path.read_text(encoding="utf-8")) for path in Path("study").glob("*/failure.json")]
    by_status = {status: [one for one in found if one["status"] == status] for status in ("refused", "failed")}
    assert len(by_status["refused"]) > 0
    assert len(by_status["failed"]) > 0
    assert states().count("FAIL") == len(found)
    assert states().count("COMPLETE") == 12 - len(found)
    assert all("context_length=100 is below base.trained_length" in one["sentence"] for one in by_status["refused"])
    assert said.err.count("refused: context_length=100 is below") == len(by_status["refused"])
    assert said.out.count("\n") > 12
    assert "best of" in said.out


def test_what_is_no_tuning_is_refused(typed: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("+method=yarn") == 2
    assert "has nothing to tune; add +space=NAME, or KEY=interval(LOW,HIGH)" in capsys.readouterr().err
    assert typed(*SPACE, command="check") == 2
    assert "tunes train, got check" in capsys.readouterr().err
    typed(*SPACE, "hydra.sweeper.trials=1")
    assert typed("+method=yarn", "position.beta_slow=interval(0.5,2.0)", "hydra.sweeper.trials=2") == 2
    assert "its study tunes position.beta_fast within other bounds" in capsys.readouterr().err


def test_a_second_tuner_in_one_folder_is_refused_and_leaves_the_study_as_it_is(
    typed: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    typed(*SPACE, "hydra.sweeper.trials=1")
    with lock(Path("study"), pytest.fail):
        assert typed(*SPACE, "hydra.sweeper.trials=2") == 2
    assert "study: another run holds this folder, " in capsys.readouterr().err
    assert states() == ["COMPLETE"]
    assert typed(*SPACE, "hydra.sweeper.trials=2") == 0


@pytest.mark.parametrize("names", ["yarn,learning", "choice(yarn,learning)"])
def test_the_name_of_a_space_is_not_drawn_but_several_are_joined(
    names: str, typed: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("+method=yarn", f"+space={names}") == 2
    assert "write '+space=[yarn,learning]'" in capsys.readouterr().err
    assert not Path("study").exists()
    assert typed("+method=yarn", "+space=[yarn,learning]", "hydra.sweeper.trials=1") == 0
    best = json.loads(Path("study/best.json").read_text(encoding="utf-8"))
    assert {"position.beta_fast", "trainer.learning_rate"} <= set(best["params"])


def test_the_best_of_an_option_of_ones_own_is_printed_with_its_folder(
    typed: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("own/method").mkdir(parents=True)
    mine = "# @package _global_\n# Mine.\ndefaults:\n  - override /position: yarn\n\nname: mine\n"
    Path("own/method/mine.yaml").write_text(mine, encoding="utf-8")
    assert typed("+method=mine", SPACE[1], "hydra.sweeper.trials=1", "--config-dir", "own") == 0
    _, command, *words = shlex.split(capsys.readouterr().out.strip().splitlines()[-1])
    assert words[-2:] == ["--config-dir", "own"]
    assert typed(*words, alone=True, command=command) == 0


def test_without_optuna_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(Refusal, match=r"pip install 'ctxext\[tuning\]'"):
        tuner.imported()


def test_trials_are_started_together_where_their_numbers_follow_each_other() -> None:
    assert [(first, len(run)) for first, run in tuner.in_a_row([(3, []), (4, []), (6, [])])] == [(3, 2), (6, 1)]
    assert list(tuner.in_a_row([])) == []


def test_ranges_intervals_and_choices_are_drawn_as_hydra_reads_them() -> None:
    optuna = tuner.imported()
    words = ["a=range(64,257,32)", "b=tag(log,interval(1e-5,1e-2))", "c=int(interval(0,20))", "d=x,y", "e=1", "a=2,3"]
    space, fixed = tuner.parted(words, optuna)
    assert fixed == ["e=1"]
    assert space["a"].choices == ("2", "3")
    assert (space["b"].low, space["b"].high, space["b"].log) == (1e-5, 1e-2, True)
    assert space["c"] == optuna.distributions.IntDistribution(0, 20)
    whole, _ = tuner.parted(words[:1], optuna)
    assert whole["a"] == optuna.distributions.IntDistribution(64, 256, step=32)
