"""A stored folder is whole or not there."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxext.data.store import digest_of, is_whole, publish

PARTS = st.lists(st.text(max_size=3), max_size=4)


@settings(deadline=None)
@given(PARTS, PARTS)
def test_different_parts_have_different_digests(left: list[str], right: list[str]) -> None:
    assert (digest_of(left) == digest_of(right)) == (left == right)


def write(folder: Path) -> None:
    """Fill `folder`."""
    (folder / "inner").mkdir()
    (folder / "inner" / "a.bin").write_bytes(b"content")


def test_a_published_folder_is_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    publish(tmp_path / "digest", write)
    assert is_whole(tmp_path / "digest")
    assert [path.name for path in tmp_path.iterdir()] == ["digest"]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        write(folder)
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match=r"disk full"):
        publish(tmp_path / "digest", fail)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "add", "manifest"])
def test_any_damage_is_seen_and_repaired(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "digest"
    publish(folder, write)
    file = folder / "inner" / "a.bin"
    if damage == "manifest":
        (folder / "MANIFEST.json").write_text('{"inner')
    elif damage == "remove":
        file.unlink()
    else:
        {
            "flip": lambda: file.write_bytes(b"kontent"),
            "cut": lambda: file.write_bytes(b"cont"),
            "add": lambda: (folder / "b").write_bytes(b""),
        }[damage]()
    assert not is_whole(folder)
    publish(folder, write)
    assert is_whole(folder)
    assert file.read_bytes() == b"content"


def test_the_folder_of_a_faster_process_is_taken_as_it_is(tmp_path: Path) -> None:
    def slow(folder: Path) -> None:
        publish(tmp_path / "digest", write)
        (folder / "late").write_bytes(b"")

    publish(tmp_path / "digest", slow)
    assert is_whole(tmp_path / "digest")
    assert not (tmp_path / "digest" / "late").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["digest"]
