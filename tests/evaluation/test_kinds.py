"""Values of another kind than results have are refused with their place."""

import re
from typing import Any

import pytest

from ctxext.evaluation.kinds import LARGEST, check_row, check_section, check_size
from ctxext.refusal import Refusal


@pytest.mark.parametrize(
    ("name", "section", "sentence"),
    [
        ("run", 1, "run must be an object, got int"),
        ("run", {"name": []}, "run.name must be a text, got []"),
        ("run", {"data": "x"}, "run.data must be keys with values, got 'x'"),
        ("run", {"data": {"digest": {}}}, "run.data.digest must be a text, got {}"),
        ("run", {"versions": {"torch": 2}}, "run.versions must be keys, each with a text, got {'torch': 2}"),
        ("lengths", {"evaluated": 1}, "lengths.evaluated must be a list, each a whole number, got 1"),
        ("protocol", {"documents": True}, "protocol.documents must be a whole number, got True"),
        ("export", {"others": [1]}, "export.others must be a list, each keys with values, got [1]"),
        ("export", {"others": [{"label": 1}]}, "export.others[0].label must be a text, got 1"),
    ],
)
def test_a_section_is_of_its_kinds(name: str, section: Any, sentence: str) -> None:
    with pytest.raises(Refusal, match=f"^{re.escape(sentence)}$"):
        check_section(name, section)


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("length", 1.5, "a whole number"),
        ("subject", 1, "a text"),
        ("depth", [], "a text or a number"),
        ("at_least", 1, "true or false"),
        ("minus_base", "x", "a number"),
        ("parameters", "x", "a number"),
    ],
)
def test_so_is_a_row(key: str, value: Any, kind: str) -> None:
    with pytest.raises(Refusal, match=rf"^cost\[0\]\.{key} must be {kind}, got "):
        check_row({key: value}, "cost[0]")


def test_what_is_measured_passes() -> None:
    check_section("run", {"name": "a", "data": {"digest": "d", "tokens": {"kept: train": 3}}, "later": [1]})
    check_row({"subject": "base", "length": 64, "nll": 3, "depth": "all", "at_least": True}, "tasks[0]")


@pytest.mark.parametrize("value", [LARGEST * 10, -LARGEST * 10, 2**2000])
def test_a_number_beyond_all_others_is_refused(value: float) -> None:
    check_size(LARGEST, "a")
    with pytest.raises(Refusal, match="a must be at most"):
        check_size(value, "a")
