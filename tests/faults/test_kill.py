"""Kills: nothing that was saved is lost, and what a resumed run ends with is that of one that nobody touched."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

STEPS = ("trainer.steps=30", "trainer.save_every=1", "trainer.resume=auto")
LAST = 30
IN_A_SAVE = 0.012
"""Within how many seconds of the first sign of a save the kill comes: about what one takes."""


def leftovers(checkpoints: Path) -> list[Path]:
    return [*checkpoints.glob(".tmp-*"), *checkpoints.glob(".trash-*")]


def wait_for_a_save(checkpoints: Path, running: Any, saves: int) -> None:
    """Return in the midst of the save that comes after `saves` others."""
    seen, was = 0, False
    while running.process.exitcode is None:
        now = bool(leftovers(checkpoints))
        seen, was = seen + (now and not was), now
        if seen > saves:
            return


def wait_for_training(folder: Path, running: Any) -> None:
    before = (folder / "metrics.jsonl").stat().st_size if (folder / "metrics.jsonl").exists() else 0
    while running.process.exitcode is None:
        if (folder / "metrics.jsonl").exists() and (folder / "metrics.jsonl").stat().st_size > before:
            return
        time.sleep(0.001)


@pytest.fixture(scope="module")
def straight(program: Any) -> Path:
    assert program.run("straight", *STEPS).status == 0
    found: Path = program.root / "straight"
    return found


def test_killed_runs_go_on_from_their_last_save_and_end_bit_for_bit_as_others(
    program: Any,
    straight: Path,
    left: Callable[[Path], Any],
    times: Callable[[int, int], int],
    tell: Callable[[str], None],
) -> None:
    draw, wanted = random.Random(7), times(10, 50)
    kills = inside = folders = 0
    while kills < wanted:
        folder = program.root / f"killed{folders}"
        folders += 1
        ended = None
        while ended is None:
            running = program.start(folder.name, *STEPS)
            if kills == wanted:
                ended = running.ended()
                break
            if draw.random() < 0.7:
                wait_for_a_save(folder / "checkpoints", running, draw.randrange(3))
                time.sleep(draw.uniform(0, IN_A_SAVE))
            else:
                wait_for_training(folder, running)
                time.sleep(draw.uniform(0, 0.1))
            if running.process.exitcode is not None:
                ended = running.ended()
                break
            running.kill()
            kills += 1
            inside += bool(leftovers(folder / "checkpoints"))
            named = {int(path.name[5:]) for path in (folder / "checkpoints").glob("step-*")}
            whole = left(folder).saved.keys() if (folder / "metrics.jsonl").exists() else set()
            assert whole == named, "what bears a step's name is whole"
            resumed = max(named, default=0)
            lines = (folder / "metrics.jsonl").read_bytes().count(b"\n")
            assert resumed in (lines, lines - 1), "at most the step that was not saved yet is lost"
        assert ended.status == 0, ended.said
        assert left(folder) == left(straight)
        assert [row["step"] for row in left(folder).rows] == list(range(1, LAST + 1))
        assert not leftovers(folder / "checkpoints")
    tell(
        f"kill: {kills} kills, {inside} inside a save, in {folders} runs; 0 failed resumes, all ended bit for bit alike"
    )
    assert inside >= wanted // 2


def test_runs_killed_at_any_time_from_their_beginning_end_as_others(
    program: Any,
    straight: Path,
    left: Callable[[Path], Any],
    times: Callable[[int, int], int],
    tell: Callable[[str], None],
) -> None:
    draw, count, killed = random.Random(8), times(4, 20), 0
    folder, words = program.root / "early", (*STEPS, f"cache={program.root / 'another'}")
    while killed < count:
        running = program.start(folder.name, *words)
        time.sleep(draw.uniform(0.1, 0.7))
        if running.process.exitcode is not None:
            assert running.ended().status == 0
            folder = program.root / f"early{killed}"
            continue
        running.kill()
        killed += 1
    ended = program.run(folder.name, *words)
    assert ended.status == 0, ended.said
    assert left(folder) == left(straight)
    tell(f"kill: {killed} more, at random times from the beginning: data, base and training end bit for bit alike")
