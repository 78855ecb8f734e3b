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

    Lines are broken at the width of the terminal, at most 120: those of rows go on below their last column.
    """
    kept = [index for index in range(len(header)) if any(row[index] for row in rows)]
    table = [[row[i] for i in kept] for row in (header, *rows)]
    lines = aligned(table[0], table[1:]).splitlines()
    width = min(120, shutil.get_terminal_size((120, 24)).columns)
    last = sum(max(map(len, column)) + 2 for column in list(zip(*table, strict=True))[:-1])
    rest = " " * min(last, width // 2)
    first, *lines = (textwrap.fill(line, width, subsequent_indent=rest) for line in lines)
    below = [textwrap.fill(text, width, initial_indent="    ", subsequent_indent="    ") for text in told]
    return "\n".join([first, *(part for pair in zip(lines, below, strict=True) for part in pair)])
