"""Rows of named fields: what makes a pair, what a target may be, and what is wrong with a row that is none."""

import json
from pathlib import Path

import pytest

from ctxext.data.documents import Defect, Document
from ctxext.data.fields import Table
from ctxext.refusal import Refusal

PAIRS = Table(input_field="q", target_field="a", group_field="g")


def read(row: dict[str, object], table: Table = PAIRS) -> Document | Defect:
    return table.document(row, "here", 9)


@pytest.mark.parametrize(
    ("target", "targets"),
    [
        ("one", ["one"]),
        (["one"], ["one"]),
        (["one", "two", "one"], ["one", "two"]),
        ({"text": ["one", "two"], "answer_start": [3, 8]}, ["one", "two"]),
        ({"text": "one"}, ["one"]),
    ],
)
def test_all_right_answers_are_kept_and_the_first_is_trained_on(target: object, targets: list[str]) -> None:
    assert read({"q": "?", "a": target, "g": "x"}) == Document("here", "?", targets[0], tuple(targets[1:]), "x")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"q": "?"}, "missing field 'a'"),
        ({"a": "!"}, "missing field 'q'"),
        ({"q": "?", "a": "!"}, "missing field 'g'"),
        ({"q": "?", "a": "!", "g": 3}, "field 'g' is a whole number, not a text"),
        ({"q": ["?"], "a": "!", "g": "x"}, "field 'q' is a list, not a text"),
        ({"q": "?", "a": None, "g": "x"}, "field 'a' is null"),
        ({"q": "?", "a": " \n", "g": "x"}, "field 'a' is white space only"),
        ({"q": "?", "a": [], "g": "x"}, "field 'a' is empty"),
        ({"q": "?", "a": {"text": []}, "g": "x"}, "field 'a' is empty"),
        ({"q": "?", "a": {"span": "!"}, "g": "x"}, "field 'a' is an object, not a text or a list of texts"),
        ({"q": "?", "a": 3, "g": "x"}, "field 'a' is a whole number, not a text or a list of texts"),
        ({"q": "?", "a": ["!", 3], "g": "x"}, "field 'a' holds what is a whole number, not a text"),
        ({"q": "?", "a": ["!", ""], "g": "x"}, "field 'a' holds what is empty"),
        ({"q": "?", "a": [["!"]], "g": "x"}, "field 'a' holds what is a list, not a text"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(row: dict[str, object], reason: str) -> None:
    assert read(row) == Defect("here", reason, 9)


def test_a_row_without_the_fields_of_a_pair_is_a_text() -> None:
    assert read({"text": "plain", "g": "x"}) == Document("here", "plain")
    assert read({"q": "?", "a": "!"}, Table()) == Defect("here", "missing field 'text'", 9)


def test_several_inputs_are_joined_by_lines() -> None:
    squad = Table(input_field=["context", "question"], target_field="answers")
    row: dict[str, object] = {"context": "Ada lives here.", "question": "Who?", "answers": {"text": ["Ada"]}}
    assert read(row, squad) == Document("here", "Ada lives here.\nWho?", "Ada")
    assert read({"context": "Ada lives here.", "answers": ["Ada"]}, squad) == Defect(
        "here", "missing field 'question'", 9
    )


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"input_field": "q"}, r"input_field and dataset.target_field go together, got 'q' and ''"),
        ({"target_field": "a"}, r"input_field and dataset.target_field go together, got '' and 'a'"),
        ({"input_field": ["q", ""], "target_field": "a"}, r"input_field and dataset.target_field go together"),
        ({"group_field": "g"}, r"group_field=g is of pairs"),
        ({"input_field": 3, "target_field": "a"}, r"input_field must be a text or a list, each a text, got 3"),
        (
            {"input_field": "q", "target_field": "a", "prompt": "{group}: {input}"},
            r"prompt has \{group\}, so that dataset.group_field must name a field",
        ),
    ],
)
def test_fields_that_do_not_go_together_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(Refusal, match=f"^dataset.{sentence}"):
        Table(**settings)  # type: ignore[arg-type]


def test_every_option_of_rows_takes_the_same_fields(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    from ctxext.data.files import Jsonl
    from ctxext.data.hub import HuggingFace

    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"q": "?", "a": {"text": ["!", "!!"]}, "g": "x"}))
    fields = {"input_field": "q", "target_field": "a", "group_field": "g"}
    (line,) = Jsonl(path=str(file), **fields).documents()  # type: ignore[arg-type]
    (row,) = HuggingFace(path="json", data_files=str(file), streaming=True, **fields).documents()  # type: ignore[arg-type]
    assert line == Document(f"{file}:1", "?", "!", ("!!",), "x")
    assert row == Document("json train row 0", "?", "!", ("!!",), "x")


def test_a_field_that_is_not_there_is_named_with_those_that_are_and_the_nearest() -> None:
    defect = read({"text": "Good.", "label": "yes"}, Table(input_field="txet", target_field="label"))
    assert isinstance(defect, Defect)
    assert defect.reason == "missing field 'txet'"
    assert defect.hint == " among 'text', 'label'; did you mean 'text'?"
