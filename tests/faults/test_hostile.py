"""Files of strangers: none of them runs code, takes much, or ends in more than a sentence that names the file."""

import json
import multiprocessing
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hostile import CASES, Ground
from omegaconf import DictConfig, OmegaConf
from scale import times

TYPED = Path(__file__).with_name("typed.py")
SECONDS, BYTES = 10.0, 2e9
WALL = 30.0
"""The seconds in which it ends on a machine that does other things too: what computes nothing may still wait."""
HANGS = 60


class Ended(NamedTuple):
    """How a command line ended: its exit status, its words on stderr, and what it cost."""

    status: Any
    said: str
    seconds: float
    peak: int
    wall: float


@pytest.fixture(scope="module")
def server() -> Any:
    """Return a context whose processes are forks of one that has imported the package."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ctxext.cli", "ctxext.commands.generate", "ctxext.commands.jobs"])
    return context


@pytest.fixture
def typed(tmp_path: Path, server: Any) -> Callable[..., Ended]:
    """Return a function that types words after `ctxext` in a process of its own."""

    def type_words(*words: str) -> Ended:
        given = {"WORDS": list(words), "FOLDER": str(tmp_path)}
        process = server.Process(target=runpy.run_path, args=(str(TYPED), given))
        process.start()
        process.join(HANGS)
        hung = process.is_alive()
        if hung:
            process.kill()
            process.join()
        assert not hung, f"it still runs after {HANGS} s"
        assert (tmp_path / "cost.json").is_file(), f"its process was ended, with status {process.exitcode}"
        cost = json.loads((tmp_path / "cost.json").read_text())
        said = (tmp_path / "stderr").read_text(errors="replace")
        return Ended(cost["status"], said, cost["seconds"], cost["peak"], cost["wall"])

    return type_words


@pytest.fixture
def ground(tmp_path: Path, composed: Callable[..., DictConfig]) -> Ground:
    """Return ground to make hostile files on."""
    config: Any = OmegaConf.to_container(composed("trainer.steps=3"), resolve=True)
    return Ground(tmp_path, config)


def test_without_anything_hostile_the_same_files_are_read(ground: Ground, typed: Callable[..., Ended]) -> None:
    ended = typed("generate", f"run={ground.base()}", "prompt=hello", "max_new_tokens=1", "device=cpu")
    assert (ended.status, "Traceback" in ended.said) == (0, False), ended.said


@pytest.mark.parametrize("name", list(CASES)[:: times(3, 1)])
def test_a_hostile_file_runs_nothing_takes_little_and_ends_in_a_sentence_that_names_it(
    name: str, ground: Ground, typed: Callable[..., Ended]
) -> None:
    ended = typed(*CASES[name].make(ground))

    *_, last = ended.said.strip().splitlines() or [""]
    assert ended.status == 2, ended.said
    assert last.startswith("ctxext: ")
    assert re.search(CASES[name].said, last), ended.said
    assert len(last) < 3000
    assert last.isprintable()
    assert "Traceback" not in ended.said
    assert not list(ground.path.rglob("canary"))
    assert ended.seconds < SECONDS
    assert ended.peak < BYTES
    assert ended.wall < WALL, "it waited"
    sys.stdout.write(f"{name}: {ended.seconds:.2f} s, {ended.wall:.2f} s on the clock, {ended.peak / 1e6:.0f} MB\n")


def test_there_are_at_least_twelve_classes() -> None:
    assert len(CASES) >= 12
