"""The pictures of a run: perplexity, scores and cost by length, nll by position, depth x length maps."""

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ctxext.reporting import panels
from ctxext.reporting.look import LOOK, plain_logarithm, style
from ctxext.reporting.measured import Measured, subjects, tasks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(results: Measured, folder: Path) -> list[Path]:
    """Write the pictures whose data `results` hold as PNG files in `folder`, and return their paths."""
    made = []
    for name, figure in figures(results):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        path.write_bytes(png(figure))
        made.append(path)
    return made


def figures(results: Measured) -> "Iterator[tuple[str, Figure]]":
    """Yield the name and the picture of each kind that `results` hold data for."""
    if any(len(results.curve(subject, "perplexity")) > 1 for subject in subjects(results)):
        yield "perplexity", perplexity(results)
    if results.by_position:
        yield "position", position(results)
    if results.tasks:
        yield "tasks", panels.scores(results)
    yield from depth_maps(results)
    if panels.costs(results):
        yield "cost", panels.cost(results)


def depth_maps(results: Measured) -> "Iterator[tuple[str, Figure]]":
    """Yield the name and the map of each task that `results` measured by depth."""
    for task in tasks(results):
        if any(row["task"] == task and row["depth"] != "all" for row in results.tasks):
            yield task, depth_map(results, task)


def png(figure: "Figure") -> bytes:
    """Return `figure` as the bytes of a PNG file, without a date, so that equal data give equal files."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def perplexity(results: Measured) -> "Figure":
    """Return perplexity against length for each subject, with 95% intervals; y is logarithmic over a decade."""
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.subplots()
        for subject in subjects(results):
            points = results.curve(subject, "perplexity")
            lengths, values = [p[0] for p in points], [p[1] for p in points]
            down = [max(0.0, p[1] - p[2]) if p[2] is not None else 0.0 for p in points]
            up = [max(0.0, p[3] - p[1]) if p[3] is not None else 0.0 for p in points]
            colour, marker, line = LOOK[subject]
            axes.errorbar(
                lengths, values, [down, up], color=colour, marker=marker, linestyle=line, capsize=2.5, label=subject
            )
        bottom, top = axes.get_ylim()
        if top > 10 * max(bottom, 1):
            plain_logarithm(axes)
        length_axis(axes, results, sorted(results.lengths["evaluated"]))
        axes.set(xlabel="length (tokens)", ylabel="perplexity", title=f"{results.run['name']}: perplexity by length")
        axes.legend()
    return figure


def position(results: Measured) -> "Figure":
    """Return nll against the position in the document for each subject, a step for each bucket."""
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.subplots()
        edges: set[int] = set()
        for subject, (colour, marker, line) in LOOK.items():
            rows = [row for row in results.by_position if row["subject"] == subject]
            rows.sort(key=lambda row: row["high_position"])
            if rows:
                highs, values = [row["high_position"] for row in rows], [row["nll"] for row in rows]
                axes.plot(highs, values, color=colour, marker=marker, linestyle=line, label=subject)
                edges.update(highs)
        length_axis(axes, results, sorted(edges))
        axes.set(xlabel="position in the document (tokens), upper edge of the bucket", ylabel="nll (nats a token)")
        axes.set_title(f"{results.run['name']}: nll by position")
        axes.legend()
    return figure


def length_axis(axes: "Axes", results: Measured, ticks: list[int]) -> None:
    """Make the x axis one of lengths in doublings, with lines at the trained and the target length."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    for name in ("trained", "target"):
        length = results.lengths[name]
        axes.axvline(length, color="#888888", linewidth=1, linestyle=(0, (1, 2)), zorder=0)
        axes.annotate(
            f" {name}", (length, 0.99), xycoords=("data", "axes fraction"), color="#666666", fontsize=8, va="top"
        )


def depth_map(results: Measured, task: str) -> "Figure":
    """Return the score of each subject in `task` as a map of depth against length, one panel a subject."""
    from matplotlib.figure import Figure

    shown = [subject for subject in subjects(results) if results.cells(task, subject)]
    rows = [row for row in results.tasks if row["task"] == task and row["depth"] != "all"]
    lengths, depths = sorted({row["length"] for row in rows}), sorted({row["depth"] for row in rows})
    with style():
        size = (1.2 + len(shown) * (0.7 + 0.42 * len(lengths)), 1.6 + 0.42 * len(depths))
        figure = Figure(figsize=size, layout="constrained")
        maps = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, subject in zip(maps, shown, strict=True):
            cells = {(row["depth"], row["length"]): row["value"] for row in results.cells(task, subject)}
            grid = [[cells.get((depth, length), float("nan")) for length in lengths] for depth in depths]
            panel(axes, grid, lengths, depths)
            beyond = sum(length <= results.lengths["trained"] for length in lengths)
            axes.axvline(beyond - 0.5, color="white", linewidth=2.5)
            axes.set_title(subject)
        maps[0].set_ylabel("depth of the needle")
        figure.supxlabel("length (tokens)", fontsize=10)
        figure.colorbar(maps[0].images[0], ax=list(maps), label=rows[0]["metric"], fraction=0.05, pad=0.01)
        chance, count = rows[0]["chance"], min(row["n"] for row in rows)
        note = f"chance {chance:g}, at least {count} samples a cell; white line: trained length"
        figure.suptitle(f"{results.run['name']}: {task}\n{note}", fontsize=10)
    return figure


def panel(axes: "Axes", grid: list[list[float]], lengths: list[int], depths: list[float]) -> None:
    """Draw the scores `grid` [depth, length] on `axes`, each with its number, and grey where nothing was measured."""
    from matplotlib import colormaps

    colours = colormaps["cividis"].with_extremes(bad="#cccccc")
    axes.imshow(grid, cmap=colours, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(lengths)), [str(length) for length in lengths], rotation=45)
    axes.set_yticks(range(len(depths)), [f"{depth:g}" for depth in depths])
    axes.grid(visible=False)
    for row, values in enumerate(grid):
        for column, value in enumerate(values):
            ink = "white" if value <= 0.55 else "black"
            text = "\u2013" if math.isnan(value) else f"{value:.2f}".removeprefix("0") if value < 1 else "1"
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=7.5)
