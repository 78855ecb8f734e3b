"""What is said of a full disk."""

import errno
from pathlib import Path

import pytest

from ctxext.commands.disk import full_disk


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_a_full_disk_is_said_with_the_file_the_free_bytes_and_what_helps(number: int, tmp_path: Path) -> None:
    said = full_disk(OSError(number, "no", str(tmp_path / "a" / "file.json")), tmp_path)

    assert said.startswith(f"{tmp_path / 'a' / 'file.json'}: could not be written (")
    assert " bytes are free there" in said
    assert "hydra.run.dir=FOLDER" in said


def test_where_the_error_names_no_file_the_folder_is_named(tmp_path: Path) -> None:
    assert full_disk(OSError(errno.ENOSPC, "no"), tmp_path / "run").startswith(f"{tmp_path / 'run'}: could not be")


def test_what_libraries_in_another_language_raise_is_understood(tmp_path: Path) -> None:
    assert full_disk(Exception("I/O error: No space left on device (os error 28)"), tmp_path)
    assert full_disk(Exception("File too large (os error 27)"), tmp_path)


@pytest.mark.parametrize(
    "error", [OSError(errno.EACCES, "no", "file"), ValueError("28"), OSError("no room"), Exception("(os error 2)")]
)
def test_other_errors_are_not_its_business(error: Exception, tmp_path: Path) -> None:
    assert full_disk(error, tmp_path) == ""
