"""The tables of a run on the console and in Markdown, and the ledger of the data stage."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from ctxext.reporting.block import Block, absences, calm
from ctxext.reporting.blocks import blocks
from ctxext.reporting.fitting import Fitting
from ctxext.reporting.measured import Measured
from ctxext.reporting.verdict import verdict
from ctxext.terminal import check_stdout, plain

WIDTH = 100


class Outcome(Protocol):
    """What became of some documents: `outcome` in words, how many `documents`, their `size` in bytes."""

    @property
    def outcome(self) -> str: ...
    @property
    def documents(self) -> int: ...
    @property
    def size(self) -> int: ...


def show(renderable: RenderableType) -> None:
    """Print `renderable` on the console, at most 100 columns wide."""
    console = Console(highlight=False)
    console.width = min(WIDTH, console.width) if console.is_terminal else WIDTH
    check_stdout()
    console.print(Plain(renderable))


@dataclass(frozen=True)
class Plain:
    """A `renderable` whose texts hold nothing that a terminal would obey."""

    renderable: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """Yield the parts of the renderable."""
        for text, style, control in console.render(self.renderable, options):
            yield Segment(text if control else plain(text), style, control)


def results_table(results: Measured) -> Group:
    """Return all tables of `results`, what they say in sentences, and what is missing, for a console."""
    parts: list[RenderableType] = []
    for block in blocks(results):
        parts += [heading(block.title, block.note), Fitting(block), Text()]
    sentences = verdict(results)
    if sentences:
        parts += [heading("IN WORDS", ""), *(bulleted(sentence) for sentence in sentences), Text()]
    if results.missing:
        parts += [heading("MISSING", ""), numbered(absences(results)), Text()]
    return Group(*parts[:-1])


def heading(title: str, note: str) -> Text:
    """Return the line above a table."""
    return Text.assemble((title, "bold"), f"  {note}")


def bulleted(sentence: str) -> Table:
    """Return `sentence` as an item whose later lines are indented."""
    item = Table.grid(padding=(0, 1, 0, 0))
    item.add_row(Text(" -"), Text(sentence))
    return item


def numbered(sentences: Sequence[str]) -> Table:
    """Return `sentences` by their numbers, their later lines indented."""
    items = Table.grid(padding=(0, 1, 0, 0))
    items.add_column(justify="right", no_wrap=True)
    for number, sentence in enumerate(sentences, start=1):
        items.add_row(Text(f" [{number}]"), Text(sentence, overflow="fold"))
    return items


def markdown(results: Measured) -> str:
    """Return the tables, the sentences and what is missing in Markdown."""
    parts = [marked(block) for block in blocks(results)]
    sentences = verdict(results)
    if sentences:
        parts.append("**In words**\n\n" + "\n".join(f"- {sentence}" for sentence in sentences))
    if results.missing:
        lines = [f"- [{number}] {line}" for number, line in enumerate(absences(results), start=1)]
        parts.append("**Missing**\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def marked(block: Block) -> str:
    """Return `block` as a Markdown table."""
    ruler = ["---", *(["---" if block.holds_words else "---:"] * (len(block.header) - 1))]
    lines = [block.header, ruler, *block.rows]
    table = "\n".join("| " + " | ".join(escaped(cell) for cell in line) + " |" for line in lines)
    title = f"**{escaped(calm(block.title))}**" + (f": {escaped(block.note)}" if block.note else "")
    foot = "\n\n" + "  \n".join(escaped(line) for line in block.foot.splitlines()) if block.foot else ""
    return f"{title}\n\n{table}{foot}"


def escaped(cell: str) -> str:
    """Return a cell's text so that Markdown shows it as it is, on one line."""
    text = cell.replace("\n", " ")
    for sign in "|*<`":
        text = text.replace(sign, f"\\{sign}")
    return text


def ledger_table(rows: Sequence[Outcome]) -> Table:
    """Return what became of every document of the data stage; with a column for tokens where any are counted."""
    counted = any(getattr(row, "tokens", 0) for row in rows)
    table = Table(box=None, padding=(0, 1), header_style="")
    table.add_column("")
    for name in ["documents", "bytes"] + ["tokens"] * counted:
        table.add_column(name, justify="right")
    for row in rows:
        tokens: int = getattr(row, "tokens", 0)
        cells = [f"{row.documents:,}", f"{row.size:,}"] + [f"{tokens:,}" if tokens else ""] * counted
        table.add_row(Text(row.outcome), *cells)
    return table
