"""What is written aside takes the place of anything, and nothing is left beside it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ctxext.formats.replacement import aside, put


def write(place: Path) -> None:
    with aside(place) as fresh:
        fresh.mkdir()
        (fresh / "new").touch()
        put(fresh, place)


@pytest.mark.parametrize("kind", ["none", "file", "folder", "link", "broken link"])
def test_anything_that_is_there_is_replaced(tmp_path: Path, kind: str) -> None:
    place, other = tmp_path / "export" / "hf", tmp_path / "other"
    place.parent.mkdir()
    other.mkdir()
    (other / "kept").touch()
    if kind == "file":
        place.touch()
    elif kind == "folder":
        place.mkdir()
        (place / "old").touch()
    elif "link" in kind:
        place.symlink_to(other if kind == "link" else tmp_path / "nowhere")

    write(place)

    assert [path.name for path in place.iterdir()] == ["new"]
    assert [path.name for path in place.parent.iterdir()] == ["hf"]
    assert (other / "kept").is_file(), "a link alone goes, not what it leads to"


def test_what_dead_processes_left_goes_and_what_a_live_one_writes_stays(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    number, live = dead.stdout.strip(), os.getppid()
    for name in (f".tmp-{number}-hf", f".old-{number}-hf", f".tmp-{live}-hf", f".tmp-{number}-model.gguf"):
        (tmp_path / name).mkdir()

    write(tmp_path / "hf")

    assert {path.name for path in tmp_path.iterdir()} == {"hf", f".tmp-{live}-hf", f".tmp-{number}-model.gguf"}


def fail(place: Path) -> None:
    with aside(place) as fresh:
        fresh.mkdir()
        raise OSError("the disk is full")


def test_what_fails_leaves_the_old_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "hf").touch()
    with pytest.raises(OSError, match="the disk is full"):
        fail(tmp_path / "hf")
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]
