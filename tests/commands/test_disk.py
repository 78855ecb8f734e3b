"""What is said of a full disk."""

import errno
from pathlib import Path

import pytest

from ctxext.commands.disk import check_cache, full_disk
from ctxext.refusal import Refusal


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


def test_a_cache_is_refused_where_no_folder_can_be_and_none_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    for folder in (tmp_path / "file", tmp_path / "file/a/b", tmp_path / "itself/a", tmp_path / ("long" * 99)):
        with pytest.raises(Refusal, match=r"^cache=.*: no folder can be made there \(.*\); write cache=FOLDER with"):
            check_cache(folder)
    check_cache(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
