"""Sweeps in several processes: their option files, and jobs that report by their folders alone."""

import json
import os
import pickle
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import psutil
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore

from ctxext.commands.jobs import Errand
from ctxext.commands.sweep import Outcome, ended_in
from ctxext.config import lengths
from ctxext.config.folders import CONFIG_DIR, OWN, including
from ctxext.config.schema import Run

LAUNCHERS = sorted(path.stem for path in (CONFIG_DIR / "hydra" / "launcher").glob("*.yaml"))
Started = Callable[..., "Popen[str]"]


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_every_launcher_composes_and_takes_what_its_plugin_takes(launcher: str) -> None:
    lengths.register()
    ConfigStore.instance().store("schema", Run)
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        asked = [f"hydra/launcher={launcher}", "hydra.mode=MULTIRUN"]
        chosen = compose("config", asked, return_hydra_config=True).hydra.launcher
    kinds = {"local": "joblib", "slurm": "submitit_slurm", "submitit": "submitit_local"}
    if launcher in kinds:  # else its plugin isn't among what is installed for the tests
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher.config")
        pytest.importorskip("hydra_plugins.hydra_submitit_launcher.config")
        known: Any = ConfigStore.instance().repo["hydra"]["launcher"][f"{kinds[launcher]}.yaml"].node
        assert set(chosen) <= set(known)
        assert chosen._target_ == known._target_


def test_an_errand_that_was_sent_elsewhere_composes_there_with_the_options_of_its_user(tmp_path: Path) -> None:
    errand = Errand("train", "somewhere:stage", show_traceback=False, announce=print, planned=2)
    errand.outcomes.append(Outcome(0, "a", 64, tmp_path, "done"))
    with including(tmp_path):
        sent = pickle.dumps(errand)  # as launchers do
    token = OWN.set(None)
    arrived: Errand = pickle.loads(sent)
    assert OWN.get() == tmp_path
    OWN.reset(token)
    assert (arrived.command, arrived.planned, arrived.outcomes) == ("train", 2, [])


def test_a_sweep_is_told_from_its_folders(tmp_path: Path) -> None:
    for name in ("0_a_64", "1_b_64", "2_c_64", "10_d_64", "notes", "3_e_64"):
        (tmp_path / name).mkdir()
    for name in ("0_a_64", "1_b_64", "10_d_64"):
        said = f"name: {name.split('_')[1]}\ncontext_length: 64\n"
        (tmp_path / name / "config.yaml").write_text(said, encoding="utf-8")
    (tmp_path / "0_a_64" / "results.json").write_text("{}", encoding="utf-8")
    Outcome(2, "c", 64, tmp_path / "2_c_64", "failed", "why").record()
    errand = Errand("train", "", show_traceback=False, announce=print, planned=4, sweep=tmp_path)
    errand.outcomes.append(Outcome(1, "b", 64, tmp_path / "1_b_64", "done"))
    found = [(outcome.number, outcome.name, outcome.status) for outcome in errand.results()]
    assert found == [(0, "a", "done"), (1, "b", "done"), (2, "c", "failed"), (10, "d", "unfinished")]
    assert {outcome.status for outcome in ended_in(tmp_path, "check")} == {"done", "failed"}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["local", "submitit"])
def test_jobs_in_processes_of_their_own_share_a_base_and_end_in_one_table(
    launcher: str, started: Started, tmp_path: Path
) -> None:
    words = ("-m", f"hydra/launcher={launcher}", "+method=rope_interp,yarn", "hydra.sweep.dir=sweep")
    said, _ = started("train", *words).communicate(timeout=300)
    rows = [line.split() for line in said.splitlines() if line[:1] in ("0", "1")]
    assert [(row[0], row[1], row[-1]) for row in rows] == [("0", "rope_interp", "done"), ("1", "yarn", "done")]
    assert "VERDICT" in said
    assert len(list((tmp_path / "outputs" / "cache" / "bases").iterdir())) == 1


@pytest.mark.slow
def test_a_preempted_job_of_submitit_is_queued_again_and_goes_on(started: Started, tmp_path: Path) -> None:
    whole = ("trainer.steps=3000", "trainer.save_every=1000")
    process = started("train", "-m", "hydra/launcher=submitit", "seed=0", "hydra.sweep.dir=sweep", *whole)
    metrics = tmp_path / "sweep" / "0_base_64" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not metrics.is_file() or metrics.read_text(encoding="utf-8").count("\n") < 50:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (job,) = [child for child in psutil.Process(process.pid).children(recursive=True) if is_job(child)]
    os.kill(job.pid, signal.SIGUSR2)
    said, _ = process.communicate(timeout=300)
    steps = [json.loads(line)["step"] for line in metrics.read_text(encoding="utf-8").splitlines()]
    assert steps == list(range(1, 3001))
    assert "done" in said
    logs = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "sweep" / ".submitit").rglob("*log*"))
    assert "Requeued job" in logs


@pytest.mark.slow
@pytest.mark.parametrize(("launcher", "number"), [("local", signal.SIGKILL), ("submitit", signal.SIGTERM)])
def test_a_job_that_is_lost_ends_the_sweep_with_a_table_and_a_status_of_1(
    launcher: str, number: int, started: Started, tmp_path: Path
) -> None:
    at_once = ("hydra.launcher.n_jobs=2",) if launcher == "local" else ()
    whole = ("trainer.steps=3000", "trainer.save_every=1000", "seed=0,1,2", "hydra.sweep.dir=sweep")
    process = started("train", "-m", f"hydra/launcher={launcher}", *whole, *at_once)
    holder = tmp_path / "sweep" / "0_base_64" / ".lock"
    metrics = holder.with_name("metrics.jsonl")
    deadline = time.monotonic() + 120
    while not metrics.is_file() or metrics.read_text(encoding="utf-8").count("\n") < 20:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(int(holder.read_text(encoding="utf-8").split()[1]), number)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "ctxext: the sweep ended early, when " in said
    (row,) = (line for line in said.splitlines() if line.startswith("0  "))
    assert ("unfinished: it was killed" if launcher == "local" else "interrupted") in row


def is_job(process: psutil.Process) -> bool:
    """Return whether `process` carries out a job, and doesn't start any."""
    return "submitit.core._submit" in process.cmdline() and not process.children()
