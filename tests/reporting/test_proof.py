"""What `check` shows, on a console."""

import io
from dataclasses import dataclass

import pytest
from rich.console import Console, RenderableType

from ctxext.reporting.block import DASH
from ctxext.reporting.proof import cost_table, first_row, in_bytes, mask_pictures, proof_table, scaled, summary


@dataclass(frozen=True)
class Found:
    name: str
    holds: bool | None
    measured: float | None
    words: str


@dataclass(frozen=True)
class Drawn:
    lines: tuple[str, ...]
    words: str


def printed(renderable: RenderableType, width: int = 100) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(renderable)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_a_property_has_its_mark_its_number_and_its_words():
    findings = [
        Found("causality", True, 0.0, "no output sees a later token"),
        Found("shift", None, None, "the network reads no positions"),
        Found("cache", False, 0.12345, "another reading"),
    ]
    title, largest, header, *lines = printed(proof_table(findings, "on fresh weights"))
    assert (largest.split(), header.split()[0]) == (["largest"], "difference")
    assert "✓ holds   ✗ fails   – not promised or not shown" in header  # noqa: RUF001
    assert title == "PROPERTIES  on fresh weights"
    assert lines[0].split(maxsplit=3) == ["✓", "causality", "0", "no output sees a later token"]
    assert lines[1].split(maxsplit=2) == [DASH, "shift", "the network reads no positions"]
    assert lines[2].split(maxsplit=3) == ["✗", "cache", "0.12", "another reading"]


def test_findings_are_counted():
    findings = [Found("", holds, None, "") for holds in (True, True, False, None, None, None)]
    assert summary(findings) == "2 hold, 1 fail, 3 not promised or shown"


def test_a_mask_that_hides_nothing_is_told_in_a_line():
    triangle = Drawn(tuple("A" * row for row in range(1, 33)), "every layer: A as they stand")
    window = Drawn(("A", "AA", ".AA"), "layer 1: A as they stand")
    lines = printed(mask_pictures([triangle], "1024 tokens"))
    assert lines == ["MASK", " every layer: A as they stand; the mask hides no earlier token", ""]
    both = printed(mask_pictures([window, triangle], "1024 tokens"))
    assert (both[0], ".AA" in both, "A" * 32 in both) == ("MASK  1024 tokens", True, False)


@pytest.mark.parametrize("width", [80, 100])
def test_pictures_stand_two_side_by_side_and_no_line_is_cut(width):
    pictures = [Drawn(("A" * 32, "." * 32), f"layer {number}: A as they stand") for number in range(3)]
    lines = printed(mask_pictures(pictures, "1024 tokens"), width)
    assert "A" * 32 + "   " + "A" * 32 in lines
    assert sum(line.count("." * 32) for line in lines) == 3
    assert printed(mask_pictures([], "nothing")) == []


def test_costs_stand_by_length_and_what_is_missing_is_a_dash():
    row = {"length": 1024, "flops_per_token": 9.57e6, "mask_density": 0.5, "activation_bytes": 87.1e6}
    rows = [row | {"cache_bytes_per_token": 8192.0}, row | {"cache_bytes_per_token": 0.0, "mask_density": None}]
    lines = printed(cost_table(rows, "forward", ["3,740,928 parameters"]))
    assert lines[2].split() == ["1,024", "9.57M", "0.500", "8.4", "MB", "87.1", "MB"]
    assert lines[3].split() == ["1,024", "9.57M", DASH, DASH, "87.1", "MB"]
    assert lines[4].strip() == "3,740,928 parameters"


def test_the_first_row_is_told_and_quoted():
    lines = printed(first_row([("document 0: columns 0-9", "Fellow citizens")], "text/1: 10 tokens"))
    assert lines == ["FIRST ROW  text/1: 10 tokens", " document 0: columns 0-9", "   Fellow citizens"]


@pytest.mark.parametrize(("number", "text"), [(999, "999"), (9.57e6, "9.57M"), (1e15, "1P")])
def test_numbers_are_shortened(number, text):
    assert scaled(number, 1000) == text


@pytest.mark.parametrize(
    ("number", "text"), [(12, "12 B"), (8192, "8.19 kB"), (87.1e6, "87.1 MB"), (1.43e9, "1.43 GB")]
)
def test_bytes_have_their_unit(number, text):
    assert in_bytes(number) == text
