"""Cleaning takes away what carries no text, and nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxext.data.cleaning import Damage, clean, clean_documents, damage, flaws
from ctxext.data.documents import Document

ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=80)


@settings(deadline=None)
@given(ANY_TEXT)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@settings(deadline=None)
@given(ANY_TEXT)
def test_what_is_clean_can_be_written_as_utf8_without_control_characters(text: str) -> None:
    content = clean(text)
    content.encode("utf-8")
    assert all(ord(character) >= 32 or character in "\t\n" for character in content)


@settings(deadline=None)
@given(st.text(st.characters(categories=["L", "P"]), max_size=80))
def test_plain_letters_stay_as_they_are(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("dirty", "expected"),
    [
        ("\ufeffmark", "mark"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("nu\x00ll \x1b[1m", "null [1m"),
        ("lone \ud800 half", "lone \ufffd half"),
        ("a  \nb\t\n", "a\nb"),
        ("a" + "\n" * 9 + "b", "a\n\n\nb"),
        ("def f():\n    return 1\n\n\ndef g():\n\tpass", "def f():\n    return 1\n\n\ndef g():\n\tpass"),
        ("    indented first line", "    indented first line"),
    ],
)
def test_each_kind_of_dirt_has_one_meaning(dirty: str, expected: str) -> None:
    assert clean(dirty) == expected


def test_a_long_run_of_spaces_takes_linear_time() -> None:
    assert clean("a" + " " * 2_000_000 + "b").startswith("a ")


def test_a_document_of_which_nothing_is_left_is_dropped_with_its_size() -> None:
    kept, dropped = clean_documents([Document("a", "\x00\n "), Document("b", "text"), Document("c", "input", "\ufeff")])
    assert kept == [Document("b", "text")]
    assert [(defect.where, defect.reason, defect.size) for defect in dropped] == [
        ("a", "empty after cleaning", 3),
        ("c", "empty after cleaning", 8),
    ]


def test_further_answers_are_cleaned_too_and_empty_ones_go() -> None:
    (document,), _ = clean_documents([Document("a", "in", "out\r\n", ("other \n", "\x00"), "x")])
    assert document == Document("a", "in", "out", ("other",), "x", flaws=("CRLF", "NUL"))


def test_the_first_damage_is_told_with_its_place() -> None:
    assert damage("as it should be\r\n\ufeff") is None
    assert damage("ab\x00\ud800") == Damage("NUL", 2)
    assert damage("a\udfff\x00") == Damage("lone surrogate", 1)


def test_each_reason_for_a_repair_is_told_once_with_those_of_reading() -> None:
    document = Document("a", "\ufeffa\r\n\ufeff", "b\x07\r", ("c\x00", "d"), flaws=("not UTF-8", "CRLF"))
    assert flaws(document) == ("not UTF-8", "CRLF", "byte-order mark", "control characters", "NUL")
    assert flaws(Document("a", "tab\t and newline\n")) == ()


@settings(deadline=None)
@given(ANY_TEXT)
def test_what_has_no_flaw_is_changed_in_white_space_alone(text: str) -> None:
    if not flaws(Document("a", text)):
        assert "".join(clean(text).split()) == "".join(text.split())
    assert flaws(Document("a", clean(text))) == ()
