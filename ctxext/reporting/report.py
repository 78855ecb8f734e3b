"""A run's `report.md`, rendered from its results alone."""

from pathlib import Path

from ctxext.reporting import plots, table
from ctxext.reporting.applied import samples
from ctxext.reporting.measured import Measured, Row

CAPTIONS = {
    "perplexity": "Perplexity against length; bars are 95% intervals.",
    "position": "NLL of the tokens of each bucket of positions.",
    "tasks": "Score in each task by length; bars are 95% intervals, the dotted line is a guess. 0 is no filler.",
    "cost": "Prefill time, decode time and memory by length.",
}


def write_report(results: Measured, folder: Path) -> Path:
    """Write `report.md` and `plots/*.png` of `results` into `folder`, and return the report's path."""
    pictures = plots.draw(results, folder / "plots")
    path = folder / "report.md"
    path.write_text(report(results, [picture.relative_to(folder) for picture in pictures]), encoding="utf-8")
    return path


def report(results: Measured, pictures: list[Path]) -> str:
    """Return the report of `results` in Markdown, showing `pictures` by their paths from the report's folder."""
    lengths = results.lengths
    setting = (
        f"Trained at {lengths['trained']} tokens, extended to {lengths['target']} "
        f"({lengths['target'] / lengths['trained']:g} times), evaluated at "
        f"{', '.join(str(length) for length in sorted(lengths['evaluated']))}."
    )
    parts = [
        f"# {table.escaped(str(results.run['name']))}",
        setting,
        f"## The run\n\n{facts(results.run)}",
        f"## What was measured\n\n{facts(results.protocol)}",
        f"## Results\n\n{table.markdown(results).rstrip()}",
    ]
    texts = samples(results)
    if texts:
        parts.append("## Samples\n\n" + "\n\n".join(sample(*text) for text in texts))
    if pictures:
        shown = [f"![{path.stem}]({path.as_posix()})\n\n{caption(path.stem)}" for path in pictures]
        parts.append("## Pictures\n\n" + "\n\n".join(shown))
    return "\n\n".join(parts) + "\n"


def caption(name: str) -> str:
    """Return what the picture `name` shows."""
    return CAPTIONS.get(name, f"Score in {name} by depth of the needle and length, a panel for each subject.")


def sample(title: str, source: str, prediction: str) -> str:
    """Return one written text below what was asked, as blocks of plain text."""
    return f"**{table.escaped(title)}**\n\n{plain(source)}\n\n{plain(prediction)}"


def plain(text: str) -> str:
    """Return `text` as a block that Markdown shows as it is."""
    return "\n".join(f"    {line}" for line in text.splitlines() or [""])


def facts(values: Row) -> str:
    """Return `values` as a Markdown table of names and values, nested names joined by dots."""
    lines = [f"| {table.escaped(name)} | {table.escaped(str(value))} |" for name, value in flat(values)]
    return "\n".join(["| | |", "| --- | --- |", *lines])


def flat(values: Row, prefix: str = "") -> list[tuple[str, object]]:
    """Return the leaves of nested `values` with their dotted names."""
    leaves: list[tuple[str, object]] = []
    for key, value in values.items():
        leaves += flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value)]
    return leaves
