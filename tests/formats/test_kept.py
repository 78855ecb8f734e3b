"""What is read once is read again only when its file has changed."""

import os
from pathlib import Path

import pytest

from ctxext.formats.kept import kept


def test_a_file_is_read_again_only_when_it_has_changed(tmp_path: Path) -> None:
    seen: list[str] = []

    def read(file: Path) -> str:
        seen.append(file.read_text())
        return seen[-1]

    reads, file = kept(read), tmp_path / "a"
    file.write_text("one")
    assert (reads(file), reads(file), seen) == ("one", "one", ["one"])
    file.write_text("two")
    os.utime(file, ns=(0, 7))
    assert (reads(file), seen) == ("two", ["one", "two"])
    file.unlink()
    with pytest.raises(FileNotFoundError):
        reads(file)
