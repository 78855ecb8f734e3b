"""Of the lines of a run what is compared is kept, and no more is read than there may be."""

import json
from pathlib import Path
from typing import Any

import pytest

from ctxext.evaluation.comparison import lines
from ctxext.evaluation.comparison.lines import DOCUMENTS, PREDICTIONS, SAMPLES, check_sizes, read_lines
from ctxext.refusal import Refusal

DOCUMENT = {"subject": "base", "length": 64, "document": "d", "nll": 3.0, "counts": 8.0, "sizes": 30}
SAMPLE = {"subject": "base", "task": "passkey", "length": 64, "depth": 0.5, "index": 0, "seed": 0}


def written(folder: Path, name: str, *rows: Any) -> Path:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_only_what_is_compared_is_kept_and_of_what_was_scored_a_digest(tmp_path: Path) -> None:
    written(tmp_path, DOCUMENTS.name, DOCUMENT | {"hits": 1, "more": ["x"] * 9})
    assert list(read_lines(tmp_path, DOCUMENTS)) == [DOCUMENT]
    same, other = ({"candidates": [1] * 999, "answer": answer, "rank": 0} for answer in (1, 2))
    written(tmp_path, SAMPLES.name, SAMPLE | same, SAMPLE | same | {"positions": None}, SAMPLE | other)
    first, second, third = read_lines(tmp_path, SAMPLES)
    assert first == second == SAMPLE | {"rank": 0, "content": first["content"]}
    assert third["content"] != first["content"]
    assert len(first["content"]) == 32
    assert list(read_lines(tmp_path, PREDICTIONS)) == []


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("length", "x", "length must be a whole number, got 'x'"),
        ("document", [], r"document must be a text, got \[\]"),
        ("nll", True, "nll must be a number, got True"),
        ("nll", float("nan"), "nll must be a finite number"),
        ("counts", 10**400, "counts must be a finite number"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_its_line(tmp_path: Path, key: str, value: Any, rule: str) -> None:
    written(tmp_path, DOCUMENTS.name, DOCUMENT, DOCUMENT | {key: value})
    with pytest.raises(Refusal, match=rf"documents\.jsonl:2: {rule}"):
        list(read_lines(tmp_path, DOCUMENTS))


def test_the_files_are_bounded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, DOCUMENTS.name, DOCUMENT)
    written(tmp_path, SAMPLES.name, SAMPLE)
    size = sum((tmp_path / name).stat().st_size for name in (DOCUMENTS.name, SAMPLES.name))
    monkeypatch.setattr(lines, "LARGEST_RECORD", size)
    check_sizes(tmp_path)
    monkeypatch.setattr(lines, "LARGEST_RECORD", size - 1)
    with pytest.raises(Refusal, match=f"must have at most {size - 1} bytes together, got {size}"):
        check_sizes(tmp_path)
