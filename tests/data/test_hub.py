"""Whatever `datasets` loads is read like any other source; local files stand in for the hub."""

import importlib.util
import json
from pathlib import Path

import pytest

from ctxext.data.documents import Defect, Document
from ctxext.data.hub import HuggingFace
from ctxext.refusal import Refusal

pytest.importorskip("datasets")


def write_rows(path: Path, rows: list[dict[str, object]]) -> str:
    """Write `rows` as JSON lines to `path` and return it."""
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return str(path)


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what `datasets` writes out of the user's cache."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("streaming", [True, False])
def test_local_json_lines_are_read_with_and_without_streaming(tmp_path: Path, streaming: bool) -> None:
    file = write_rows(tmp_path / "a.jsonl", [{"text": "one"}, {"text": None}, {"text": "three"}])
    source = HuggingFace(path="json", data_files=file, streaming=streaming, errors="skip")
    first, defect, last = source.documents()
    assert (first, last) == (Document("json train row 0", "one"), Document("json train row 2", "three"))
    assert isinstance(defect, Defect)
    assert (defect.where, defect.reason) == ("json train row 1", "field 'text' is null")


def test_a_bad_row_is_refused_by_its_number(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", [{"body": "one"}])
    with pytest.raises(Refusal, match=r"json train row 0: missing field 'text'"):
        list(HuggingFace(path="json", data_files=[file], streaming=True).documents())


def test_a_limit_takes_the_first_rows_and_fields_make_pairs(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", [{"q": f"question {n}", "a": f"answer {n}"} for n in range(9)])
    source = HuggingFace(
        path="json", data_files=file, streaming=True, limit=2, input_field="q", target_field="a", near_duplicates=1
    )
    assert [item for item in source.documents() if isinstance(item, Document)] == [
        Document("json train row 0", "question 0", "answer 0"),
        Document("json train row 1", "question 1", "answer 1"),
    ]


def test_what_the_library_cannot_read_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n{"text": ')
    for name in ("a.jsonl", "missing.jsonl"):
        with pytest.raises(Refusal, match=r"dataset.path=json dataset.split=train can't be read by datasets: "):
            list(HuggingFace(path="json", streaming=True, data_files=str(tmp_path / name)).documents())


def test_a_missing_library_is_refused_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"pip install datasets"):
        next(HuggingFace(path="json").documents())
