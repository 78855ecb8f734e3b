"""What `ctxext check` shows: the properties, the masks in letters, the costs by length, and the first row."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ctxext.reporting.block import DASH
from ctxext.reporting.table import heading

LEGEND = f"✓ holds   ✗ fails   {DASH} not promised or not shown, for the reason given"
MARKS = {True: ("✓", "green"), False: ("✗", "bold red"), None: (DASH, "dim")}
SIDE_BY_SIDE = 2


class Found(Protocol):
    """A property by `name`: whether it `holds`, what was `measured`, and what that says, in `words`."""

    @property
    def name(self) -> str: ...
    @property
    def holds(self) -> bool | None: ...
    @property
    def measured(self) -> float | None: ...
    @property
    def words(self) -> str: ...


class Drawn(Protocol):
    """The `lines` of a picture, and what it shows, in `words`."""

    @property
    def lines(self) -> Sequence[str]: ...
    @property
    def words(self) -> str: ...


def proof_table(findings: Sequence[Found], note: str) -> Group:
    """Return a line for each of `findings` below a heading with `note`."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("")
    table.add_column("")
    table.add_column("largest\ndifference", justify="right")
    table.add_column(Text(f"\n{LEGEND}", "dim"))
    for finding in findings:
        mark, style = MARKS[finding.holds]
        number = "" if finding.measured is None else f"{finding.measured:.2g}"
        table.add_row(Text(mark, style), finding.name, number, Text(finding.words))
    return Group(heading("PROPERTIES", note), table, Text())


def summary(findings: Sequence[Found]) -> str:
    """Return how many of `findings` hold, fail, or aren't promised or shown, in a line."""
    counts = [sum(finding.holds is holds for finding in findings) for holds in (True, False, None)]
    return "{} hold, {} fail, {} not promised or shown".format(*counts)


def mask_pictures(pictures: Sequence[Drawn], note: str) -> Group:
    """Return `pictures`, two side by side, below a heading with `note`; nothing where there are none.

    One that shows all of the past is told in a line.
    """
    plain = [drawn for drawn in pictures if shows_all(drawn)]
    others = [drawn for drawn in pictures if not shows_all(drawn)]
    parts: list[RenderableType] = [heading("MASK", note if others else "")] if pictures else []
    parts += [Text(f" {drawn.words}; the mask hides no earlier token") for drawn in plain]
    parts += [Text()] if plain else []
    for first in range(0, len(others), SIDE_BY_SIDE):
        grid = Table.grid(padding=(0, 0, 0, 3))
        row = [Group(Text(drawn.words), Text("\n".join(drawn.lines))) for drawn in others[first : first + SIDE_BY_SIDE]]
        grid.add_row(*row)
        parts += [grid, Text()]
    return Group(*parts)


def shows_all(drawn: Drawn) -> bool:
    """Return whether the picture `drawn` is a full triangle of one letter."""
    return len(drawn.lines) > 0 and all(line == "A" * row for row, line in enumerate(drawn.lines, start=1))


def cost_table(rows: Sequence[Mapping[str, float | None]], note: str, lines: Sequence[str]) -> Group:
    """Return the costs in `rows` by length below a heading with `note`, and `lines` below the table."""
    table = Table(box=None, padding=(0, 1), header_style="")
    for name in ("length", "FLOPs a token", "mask density", "cache", "activations of a row"):
        table.add_column(name, justify="right")
    for row in rows:
        length, density = row["length"] or 0, row["mask_density"]
        cache = (row["cache_bytes_per_token"] or 0) * length
        shown = DASH if density is None else f"{density:.3f}"
        flops, kept = scaled(row["flops_per_token"] or 0, 1000), in_bytes(row["activation_bytes"] or 0)
        table.add_row(f"{length:,.0f}", flops, shown, in_bytes(cache) if cache else DASH, kept)
    return Group(heading("COST", note), table, *(Padding(Text(line), (0, 0, 0, 1)) for line in lines), Text())


def first_row(lines: Sequence[tuple[str, str]], note: str) -> Group:
    """Return the parts of the first training row, each told and quoted in `lines`, below a heading with `note`."""
    parts: list[RenderableType] = [heading("FIRST ROW", note)]
    for told, text in lines:
        parts += [Text(f" {told}"), Padding(Text(text, "dim"), (0, 0, 0, 3))]
    return Group(*parts)


def scaled(number: float, base: int) -> str:
    """Return `number` in thousands, millions and so on of `base`, with its letter."""
    power = 0
    while number >= base and power < 5:
        number, power = number / base, power + 1
    return f"{number:.3g}{' kMGTP'[power]}".rstrip()


def in_bytes(number: float) -> str:
    """Return `number` of bytes in the unit that suits it."""
    return f"{number:,.0f} B" if number < 1000 else f"{number / 1000:.3g} kB" if number < 1e6 else megabytes(number)


def megabytes(number: float) -> str:
    """Return `number` of bytes, a million or more, in MB or GB."""
    return f"{number / 1e6:,.1f} MB" if number < 1e9 else f"{number / 1e9:,.2f} GB"
