"""JSON files, and what is none."""

from pathlib import Path

import pytest

from ctxext.formats.json_files import read_json, write_json
from ctxext.refusal import Refusal


def test_what_is_written_is_read_back_as_it_was(tmp_path: Path) -> None:
    content = {"name": "naïve 東京", "numbers": [1, 2.5], "nothing": None}
    write_json(tmp_path / "a.json", content)
    assert read_json(tmp_path / "a.json") == content
    assert "東京" in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff", "[" * 100000])
def test_what_is_no_object_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(Refusal, match=r"a\.json: (cannot be read as JSON|must be a JSON object)"):
        read_json(tmp_path / "a.json")


def test_a_file_that_is_absent_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"b\.json: no such file"):
        read_json(tmp_path / "b.json")


def test_what_json_has_no_word_for_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "c.json", {"loss": float("nan")})
