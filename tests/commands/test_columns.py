"""Rows of words in columns."""

from ctxext.commands.columns import aligned


def test_a_column_is_as_wide_as_its_widest_word() -> None:
    assert aligned(("a", "bcd"), [("efg", "h"), ("", "i")]) == "a    bcd\nefg  h\n     i"


def test_lines_end_without_blanks_and_a_header_may_stand_alone() -> None:
    assert aligned(("name", "status"), [("longer than it", "")]).splitlines()[1] == "longer than it"
    assert aligned(("name", "status"), []) == "name  status"
