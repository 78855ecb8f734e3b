"""Rows of words in columns, as the console shows them."""

import shutil
import textwrap
from collections.abc import Sequence


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return `header` and `rows` as lines, each column as wide as its widest word."""
    table = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)) for row in table)
    return "\n".join(line.rstrip() for line in lines)


def told_below(header: Sequence[str], rows: Sequence[Sequence[str]], told: Sequence[str]) -> str:
    """Return `header` and `rows` as lines, without empty columns, and below each row, indented, what is `told` of it.

    Rows are cut at the width of the terminal, at most 120, and what is told is broken there.
    """
    kept = [index for index in range(len(header)) if any(row[index] for row in rows)]
    first, *lines = aligned([header[i] for i in kept], [[row[i] for i in kept] for row in rows]).splitlines()
    width = min(120, shutil.get_terminal_size((120, 24)).columns)
    below = [textwrap.fill(text, width, initial_indent="    ", subsequent_indent="    ") for text in told]
    lines = [line if len(line) <= width else f"{line[: width - 1]}…" for line in lines]
    return "\n".join([first[:width], *(part for pair in zip(lines, below, strict=True) for part in pair)])
