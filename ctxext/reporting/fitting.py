"""A block on a console that may be narrow: no number is ever cut, first its interval goes, then the table is split."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ctxext.reporting.block import Block

ENDLESS = 10_000
WITHOUT = "deviations and intervals: on a wider console, or in the other forms"


@dataclass(frozen=True)
class Fitting:
    """The table of `block` and its foot, as wide as the console is."""

    block: Block

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield the widest form that fits."""
        wide = options.update(width=ENDLESS)

        def fits(block: Block) -> bool:
            return block.holds_words or console.measure(drawn(block), options=wide).maximum <= options.max_width

        block = self.block if fits(self.block) else bare(self.block)
        count = next((n for n in range(1, len(block.header)) if all(map(fits, split(block, n)))), len(block.header))
        yield from map(drawn, split(block, count))
        if block.foot:
            yield Padding(Text(block.foot, "dim"), (0, 0, 0, 1))


def bare(block: Block) -> Block:
    """Return `block` without what its cells say beside their values: second lines, and deviations after `±`."""
    rows = [[name, *(cell.partition("\n")[0].partition("±")[0] for cell in cells)] for name, *cells in block.rows]
    return block if rows == block.rows else replace(block, rows=rows, foot=f"{block.foot}\n{WITHOUT}".strip())


def split(block: Block, count: int) -> list[Block]:
    """Return `block` as `count` blocks, or less, of about as many columns each beside the first."""
    columns = len(block.header) - 1
    step = max(1, -(-columns // count))
    made = []
    for start in range(0, columns, step):
        end = min(start + step, columns)
        beyond = max(0, min(end - start, end - (columns - block.beyond)))
        header, *rows = ([line[0], *line[1 + start : 1 + end]] for line in (block.header, *block.rows))
        made.append(replace(block, header=header, rows=rows, beyond=beyond))
    return made


def drawn(block: Block) -> Table:
    """Return `block` for a console, with a divider before the columns that lie beyond the trained length.

    Words wrap, numbers don't.
    """
    header, rows = block.header, block.rows
    divider = len(header) - block.beyond if 0 < block.beyond < len(header) - 1 else 0
    table = Table(box=None, padding=(0, 1), pad_edge=True, header_style="", collapse_padding=False)
    for column, name in enumerate(header):
        if divider and column == divider:
            table.add_column("|", style="dim", header_style="dim")
        left = column == 0 or block.holds_words
        wraps = block.holds_words and column > 0
        justify: JustifyMethod = "left" if left else "right"
        table.add_column(Text(name), justify=justify, no_wrap=not wraps, overflow="fold" if wraps else "ellipsis")
    for cells in rows:
        texts = [lined(cell) for cell in cells]
        height = max(cell.count("\n") for cell in cells) + 1
        table.add_row(*texts[:divider], *([Text("\n".join("|" * height))] if divider else []), *texts[divider:])
    return table


def lined(cell: str) -> Text:
    """Return a cell whose second line, an interval, is dim."""
    first, _, second = cell.partition("\n")
    return Text.assemble(first, "\n", (second, "dim")) if second else Text(first)
