"""Rows of words in columns."""

import pytest

from ctxext.commands.columns import aligned, told_below


def test_a_column_is_as_wide_as_its_widest_word() -> None:
    assert aligned(("a", "bcd"), [("efg", "h"), ("", "i")]) == "a    bcd\nefg  h\n     i"


def test_lines_end_without_blanks_and_a_header_may_stand_alone() -> None:
    assert aligned(("name", "status"), [("longer than it", "")]).splitlines()[1] == "longer than it"
    assert aligned(("name", "status"), []) == "name  status"


def test_what_is_told_stands_below_its_row_and_empty_columns_fall_away() -> None:
    said = told_below(("a", "b", "c"), [("x", "", "1"), ("long", "", "2")], ["of x", "of long"])
    assert said.splitlines() == ["a     c", "x     1", "    of x", "long  2", "    of long"]


def test_what_is_told_is_broken_at_the_terminals_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert told_below(("a",), [("x",)], ["four words and more"]).splitlines()[2:] == ["    four words and", "    more"]
    monkeypatch.setenv("COLUMNS", "1000")
    assert max(map(len, told_below(("a",), [("x",)], ["word " * 99]).splitlines())) <= 120


def test_a_row_goes_on_below_its_last_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    said = told_below(("a", "neutral at"), [("option", "window >= length"), ("b", "never")], ["", ""])
    assert [line for line in said.splitlines() if line] == [
        "a       neutral at",
        "option  window >=",
        "        length",
        "b       never",
    ]
