"""Disks that fill up, by a limit on the size of a file: one sentence, no half file, the last step stays good."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def straight(program: Any) -> Path:
    assert program.run("straight").status == 0
    found: Path = program.root / "straight"
    return found


def limits(straight: Path, count: int) -> list[int]:
    """Return `count` sizes from nothing to just below that of the largest file that a run writes anew."""
    largest = max(path.stat().st_size for path in (straight / "checkpoints").rglob("*.safetensors"))
    return [0, *(int((largest - 1) * (number / (count - 1)) ** 2) for number in range(1, count))]


def test_a_disk_that_fills_up_ends_the_run_in_a_sentence_and_the_last_step_stays_good(
    program: Any,
    straight: Path,
    left: Callable[[Path], Any],
    times: Callable[[int, int], int],
    tell: Callable[[str], None],
) -> None:
    sizes, in_a_save = limits(straight, times(5, 20)), 0
    for size in sizes:
        folder = program.copy("straight", f"full{size}", last=4)
        kept = left(folder).saved
        ended = program.run(folder.name, faults={"small files": size})

        assert ended.status == 1, (size, ended.said)
        assert "Traceback" not in ended.said, (size, ended.said)
        (sentence,) = ended.sentences
        assert "bytes are free there; make room" in sentence or "bytes needed and" in sentence, sentence
        assert str(program.root) in sentence, sentence
        in_a_save += "step-00000006: not saved" in sentence
        assert left_saved(folder) == kept.keys()
        assert not list((folder / "checkpoints").glob(".*"))
        if size in (sizes[0], sizes[-1]):
            assert program.run(folder.name).status == 0
            assert left(folder) == left(straight)
    tell(f"disk full: {len(sizes)} of {len(sizes)} limits clean, {in_a_save} of them in a save")
    assert in_a_save


def left_saved(folder: Path) -> set[int]:
    return {int(path.name[5:]) for path in (folder / "checkpoints").glob("step-*")}
