"""Runs side by side, for a console and in Markdown."""

from dataclasses import replace

from rich.console import Group, RenderableType
from rich.text import Text

from ctxext.reporting.block import Block
from ctxext.reporting.fitting import Fitting
from ctxext.reporting.measured import Row
from ctxext.reporting.paired import at_one_length
from ctxext.reporting.sheet import sheet, standing
from ctxext.reporting.table import bulleted, escaped, heading, marked, numbered

MANY_ROWS, MANY_RUNS = 8, 5
FOLDER = "folder"


def as_text(comparison: Row) -> Group:
    """Return `comparison` for a console: who, what differs, warnings, tables, and the verdict last."""
    has_many = len(comparison["runs"]) > MANY_RUNS
    page = sheet(focused(comparison), at_one_length) if has_many else sheet(comparison)
    opening = [block for block in page.blocks if block.holds_words and block.title != "EXPORT"]
    parts: list[RenderableType] = []
    for block in opening:
        parts += titled(without_folder(block))
    if comparison["warnings"]:
        parts += [heading("WARNING", ""), *(bulleted(str(line)) for line in comparison["warnings"]), Text()]
    for block in page.blocks:
        if block not in opening:
            parts += titled(brief(block))
    if page.reasons:
        parts += [heading("MISSING", ""), numbered(page.reasons), Text()]
    return Group(*parts, Text.assemble(("VERDICT", "bold"), f"  {comparison['verdict']}"))


def focused(comparison: Row) -> Row:
    """Return `comparison` without what its runs were before training, which the other forms have."""
    tables = [table | {"rows": standing(comparison, table["rows"])} for table in comparison["tables"]]
    return comparison | {
        "tables": tables,
        "effective_length": standing(comparison, comparison["effective_length"]),
    }


def titled(block: Block) -> list[RenderableType]:
    """Return `block` below its title, with its foot and an empty line."""
    return [heading(block.title, block.note), Fitting(block), Text()]


def without_folder(block: Block) -> Block:
    """Return `block` without the column of folders, which are long; the other forms have it."""
    if FOLDER not in block.header:
        return block
    column = block.header.index(FOLDER)
    rows = [row[:column] + row[column + 1 :] for row in block.rows]
    return replace(block, header=[name for name in block.header if name != FOLDER], rows=rows)


def brief(block: Block) -> Block:
    """Return a long `block` without the second lines of its cells, which hold intervals."""
    if len(block.rows) <= MANY_ROWS or not any("\n" in cell for row in block.rows for cell in row):
        return block
    rows = [[cell.partition("\n")[0] for cell in row] for row in block.rows]
    return replace(block, rows=rows, foot=f"{block.foot}; intervals: --markdown, --html, --json".removeprefix("; "))


def as_markdown(comparison: Row) -> str:
    """Return `comparison` in Markdown, the verdict first."""
    page = sheet(comparison)
    names = ", ".join(f"{run['label']} {run.get('name', '')}".strip() for run in comparison["runs"])
    parts = [f"# {escaped(names)}", escaped(str(comparison["verdict"]))]
    if comparison["warnings"]:
        parts.append("\n".join(f"- **Warning**: {escaped(str(line))}" for line in comparison["warnings"]))
    parts += [marked(block) for block in page.blocks]
    if page.reasons:
        lines = [f"- [{number}] {escaped(reason)}" for number, reason in enumerate(page.reasons, start=1)]
        parts.append("**Missing**\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"
