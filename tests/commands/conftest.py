"""Runs that take a second: a network of a few thousand weights, trained from scratch on generated stories."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from ctxext.commands.train import train
from ctxext.config import lengths
from ctxext.config.building import build
from ctxext.config.folders import CONFIG_DIR
from ctxext.config.record import write_config
from ctxext.config.schema import Run
from ctxext.reporting import plots

OVERRIDES = """
    base=none base.trained_length=32 base.steps=3 base.batch_tokens=128 context_length=64 device=cpu
    model.vocab_size=300 model.hidden_size=32 model.intermediate_size=48 model.num_hidden_layers=2
    model.num_attention_heads=2 model.num_key_value_heads=1 model.head_dim=16
    dataset=recall dataset.count=60 dataset.words=120 dataset.recall_share=0.25 dataset.near_duplicates=1
    trainer.steps=4 trainer.batch_tokens=256 trainer.warmup_steps=1 trainer.save_every=2
    evaluation.lengths=[16,32,64,192] evaluation.scored_tokens=8 evaluation.documents=4 evaluation.tasks=[]
    export.format=[]
""".split()  # noqa: SIM905


def make_config(*overrides: str) -> DictConfig:
    """Return the config of the tiny run with further `overrides`."""
    lengths.register()
    ConfigStore.instance().store("schema", Run)
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return compose("config", [*OVERRIDES, *overrides])


def make_run(*overrides: str) -> Run:
    """Return the tiny run with further `overrides`."""
    return build(make_config(*overrides))


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Return a function from further overrides to a tiny run whose cache is in the test's folder.

    Pictures, which take longer than all the rest, are not drawn.
    """
    monkeypatch.setattr(plots, "draw", lambda results, folder: [])
    return lambda *overrides: make_run(f"cache={tmp_path / 'cache'}", *overrides)


@dataclass(frozen=True)
class Finished:
    """A run that was carried out with everything switched on, and where."""

    run: Run
    folder: Path

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Return the objects in the file `name`, one a line."""
        return [json.loads(line) for line in (self.folder / name).read_text(encoding="utf-8").splitlines()]

    @property
    def results(self) -> dict[str, Any]:
        """Return results.json."""
        content: dict[str, Any] = json.loads((self.folder / "results.json").read_text(encoding="utf-8"))
        return content


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Return a run by rope_interp with a task, short evaluations and an export; tests only read it."""
    root = tmp_path_factory.mktemp("finished")
    words = "+method=rope_interp base.trained_length=48 context_length=96 evaluation.lengths=[46,48,96,192]"
    asked = "evaluation.tasks=[passkey] evaluation.samples=4 evaluation.depths=[0.0,1.0] evaluation.every=2"
    shares = "dataset.validation_share=0.1 export.format=[hf]"
    config = make_config(f"cache={root / 'cache'}", *words.split(), *asked.split(), *shares.split())
    run = build(config)
    (root / "run").mkdir()
    write_config(config, root / "run")
    train(run, root / "run")
    return Finished(run, root / "run")


@pytest.fixture
def started(tmp_path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Return a function that starts the program, with the tiny run's overrides, in the test's folder."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}

    def start(command: str, *words: str) -> "subprocess.Popen[str]":
        line = [sys.executable, "-m", "ctxext", command, *OVERRIDES, *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(line, cwd=tmp_path, env=environment, text=True, stdout=pipe, stderr=subprocess.STDOUT)

    return start
