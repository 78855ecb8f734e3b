"""Runs side by side as one HTML file that needs nothing beside itself."""

import re
from html import escape
from importlib.resources import files

from ctxext.reporting.block import Block, calm
from ctxext.reporting.chart import Chart, drawn, swatch
from ctxext.reporting.measured import Row
from ctxext.reporting.pictures import charts
from ctxext.reporting.sheet import sheet

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
LONG = 16
"""Characters from which on a cell of words needs some width on a phone."""
LAST = ("CONFIG", "EXPORT")
MEANING = {
    "base": "the untouched weights",
    "truncated": "the untouched weights on the last tokens alone, up to the trained length: what a method must beat",
    "zero_shot": "the method before any training",
    "extended": "the method after training",
}


def as_html(comparison: Row) -> str:
    """Return `comparison` as an HTML page: verdict, warnings, runs, pictures, tables, what differs, what is missing."""
    page = sheet(comparison)
    count = len(comparison["runs"])
    title = f"{count} runs side by side" if count > 1 else "1 run"
    early = [block for block in page.blocks if block.title not in LAST]
    late = [block for block in page.blocks if block.title in LAST]
    parts = [
        f'<header><h1>{title}</h1><p class="verdict">{escape(str(comparison["verdict"]))}</p></header>',
        warnings(comparison["warnings"]),
        *(section(block) for block in early if block.holds_words),
        gallery(list(charts(comparison))),
        *(section(block) for block in early if not block.holds_words),
        *(section(block) for block in late),
        reasons(page.reasons),
        glossary(),
    ]
    return head(title) + "\n<main>\n" + "\n".join(part for part in parts if part) + "\n</main>\n</html>\n"


def head(title: str) -> str:
    """Return the beginning of the page: nothing may be loaded or run, and it fits a phone."""
    css = files("ctxext.reporting").joinpath("page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{css}</style>"
    )


def warnings(lines: list[str]) -> str:
    """Return what to beware of."""
    items = "".join(f"<li>{escape(str(line))}</li>" for line in lines)
    return f'<aside aria-label="Warnings"><strong>Beware</strong><ul>{items}</ul></aside>' if lines else ""


def gallery(shown: list[Chart]) -> str:
    """Return all pictures, each under its title and over its legend."""
    if not shown:
        return ""
    figures = "\n".join(figure(chart, number) for number, chart in enumerate(shown, start=1))
    note = "Bars are 95% intervals, or one standard deviation over seeds. Point at a marker for its numbers."
    return f'<section><h2>Pictures</h2><p class="note">{note}</p><div class="gallery">\n{figures}\n</div></section>'


def figure(chart: Chart, number: int) -> str:
    """Return one picture with its legend."""
    legend = "".join(f"<li>{swatch(series)}{escape(series.name)}</li>" for series in chart.series)
    outside = f'<p class="note">{escape("; ".join(chart.outside))}.</p>' if chart.outside else ""
    picture = f"<figcaption>{escape(chart.title)}</figcaption>\n{drawn(chart, number)}"
    return f'<figure>{picture}\n<ul class="legend">{legend}</ul>{outside}</figure>'


def section(block: Block) -> str:
    """Return `block` as a table that scrolls inside its own box."""
    name = "words" if block.holds_words else "numbers"
    divider = len(block.header) - block.beyond if 0 < block.beyond < len(block.header) - 1 else 0
    heads = "".join(
        f'<th scope="col"{marked(column, divider)}>{lined(cell)}</th>' for column, cell in enumerate(block.header)
    )
    rows = "\n".join(row(cells, divider, block.holds_words) for cells in block.rows)
    note = f'<p class="note">{escape(block.note)}</p>' if block.note else ""
    foot = "".join(f'<p class="foot">{escape(line)}</p>' for line in block.foot.splitlines())
    title = escape(calm(block.title))
    table = f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody>"
    box = f'<div class="scroll" tabindex="0" role="region" aria-label="{title}">'
    return f'<section><h2>{title}</h2>{note}\n{box}<table class="{name}">\n{table}</table></div>{foot}</section>'


def row(cells: list[str], divider: int, holds_words: bool) -> str:
    """Return a table's row: its name, and its cells."""
    shown = lined if holds_words else linked
    first, *others = cells
    parts = [f"<td{marked(column, divider, cell)}>{shown(cell)}</td>" for column, cell in enumerate(others, start=1)]
    return f'<tr><th scope="row">{lined(first)}</th>{"".join(parts)}</tr>'


def marked(column: int, divider: int, cell: str = "") -> str:
    """Return the class of a cell that is the first beyond the trained length, or that holds a long text."""
    if divider and column == divider:
        return ' class="beyond"'
    return ' class="long"' if len(cell) > LONG else ""


def lined(cell: str) -> str:
    """Return a cell's text, its second line small."""
    first, _, second = cell.partition("\n")
    return f"{escape(first)}<small>{escape(second)}</small>" if second else escape(first)


def linked(cell: str) -> str:
    """Return a cell of numbers, with a link from the number of a reason to the reason."""
    found = re.fullmatch(r"(.*) \[(\d+)\]", cell, re.DOTALL)
    if not found:
        return lined(cell)
    return f'{lined(found[1])}<sup><a href="#reason-{found[2]}">{found[2]}</a></sup>'


def reasons(lines: list[str]) -> str:
    """Return why numbers are missing, in the order of their marks."""
    items = "".join(f'<li id="reason-{number}">{escape(line)}</li>' for number, line in enumerate(lines, start=1))
    return f"<section><h2>Missing</h2><ol>{items}</ol></section>" if lines else ""


def glossary() -> str:
    """Return what the subjects are."""
    items = "".join(f"<dt>{subject}</dt><dd>{escape(text)}</dd>" for subject, text in MEANING.items())
    return f"<section><h2>Subjects</h2><dl>{items}</dl></section>"
