"""Bits that turn and files that are cut: found by the hash, named, and the step before is taken."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctxext.training import checkpoint

LENGTHS = 10


@pytest.fixture(scope="module")
def straight(program: Any) -> Path:
    assert program.run("straight").status == 0
    found: Path = program.root / "straight"
    return found


@pytest.fixture
def checkpoints(straight: Path, tmp_path: Path) -> Path:
    shutil.copytree(straight / "checkpoints", tmp_path / "checkpoints")
    return tmp_path / "checkpoints"


def is_found(checkpoints: Path, file: Path) -> bool:
    """Whether the step of `file` is passed over for the one before, with a warning that names it."""
    said: list[str] = []
    found = checkpoint.newest(checkpoints, said.append)
    assert found is not None
    assert said
    is_manifest = file.name == "MANIFEST.json"  # where a hash is lost, the file that it is of is named
    named = file.name in said[0] or (is_manifest and "manifest" in said[0])
    return found.name == "step-00000004" and len(said) == 1 and named and str(file.parent) in said[0]


def test_every_single_bit_that_turns_is_found_and_its_file_named(
    checkpoints: Path, times: Callable[[int, int], int], tell: Callable[[str], None]
) -> None:
    draw, count, found = random.Random(11), times(40, 200), 0
    files = sorted((checkpoints / "step-00000006").iterdir())
    assert len(files) == 4
    for number in range(count):
        file = files[number % len(files)]
        content = file.read_bytes()
        place, bit = draw.randrange(len(content)), draw.randrange(8)
        file.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
        found += is_found(checkpoints, file)
        file.write_bytes(content)
    tell(f"bit flips: {found} of {count} found, in {len(files)} files")
    assert found == count


def test_every_file_that_is_cut_is_found_and_named(checkpoints: Path, tell: Callable[[str], None]) -> None:
    found = count = 0
    for file in sorted((checkpoints / "step-00000006").iterdir()):
        content = file.read_bytes()
        for part in range(LENGTHS):
            file.write_bytes(content[: len(content) * part // LENGTHS])
            found, count = found + is_found(checkpoints, file), count + 1
            file.write_bytes(content)
        file.unlink()
        found, count = found + is_found(checkpoints, file), count + 1
        file.write_bytes(content)
    tell(f"truncations: {found} of {count} found")
    assert found == count


def test_a_run_whose_newest_step_has_a_turned_bit_goes_on_from_the_one_before(
    program: Any, straight: Path, left: Callable[[Path], Any]
) -> None:
    folder = program.copy("straight", "flipped", last=6)
    file = folder / "checkpoints" / "step-00000006" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    ended = program.run("flipped")

    assert ended.status == 0
    assert f"{file}: differs from the SHA-256 of the manifest; the step before it is taken" in ended.said
    assert "going on from step-00000004" in ended.said
    assert left(folder) == left(straight)
