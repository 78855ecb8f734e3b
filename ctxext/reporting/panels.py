"""Pictures of many small panels: the score in each task by length, and each kind of cost by length."""

from typing import TYPE_CHECKING

from ctxext.reporting.block import UNITS, cost_name
from ctxext.reporting.look import LOOK, plain_logarithm, style
from ctxext.reporting.measured import Measured, Row, subjects, tasks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COSTS = ("ms_per_token", "decode_ms_per_token", "peak_bytes")
ACROSS = 3
WIDE = 10
"""How many times the smallest cost the largest is before the axis becomes logarithmic."""


def scores(results: Measured) -> "Figure":
    """Return the score of each subject by length, a panel for each task."""
    names = tasks(results)
    with style():
        figure, panels = empty(len(names), 2.5)
        draw_scores(results, names, panels)
    return figure


def draw_scores(results: Measured, names: list[str], panels: "list[Axes]") -> None:
    """Draw the task of each of `names` on its panel."""
    for axes, task in zip(panels, names, strict=True):
        lengths, chance = set[int](), 0.0
        for subject in subjects(results):
            rows = results.totals(task, subject)
            errors = [[row["value"] - row["low"] for row in rows], [row["high"] - row["value"] for row in rows]]
            bars = [[max(0.0, error) for error in side] for side in errors]
            line(axes, subject, [place(row["length"], rows) for row in rows], [row["value"] for row in rows], bars)
            lengths.update(row["length"] for row in rows)
            chance = rows[-1]["chance"] if rows else chance
        axes.axhline(chance, color="#888888", linewidth=1, linestyle=(0, (1, 2)), zorder=0)
        axes.set(ylim=(-0.03, 1.03), title=task)
        length_axis(axes, sorted(lengths), results.lengths)
    panels[0].legend(fontsize=8)


def cost(results: Measured) -> "Figure":
    """Return what each subject costs by length, a panel for each number that was measured."""
    keys = costs(results)
    with style():
        figure, panels = empty(len(keys), 3.0)
        draw_costs(results, keys, panels)
    return figure


def draw_costs(results: Measured, keys: list[str], panels: "list[Axes]") -> None:
    """Draw each of `keys` on its panel."""
    for axes, key in zip(panels, keys, strict=True):
        lengths = set[int]()
        for subject in subjects(results):
            rows = sorted(cost_rows(results, subject, key), key=lambda row: row["length"])
            values = [row[key] * UNITS[key][1] for row in rows]
            line(axes, subject, [row["length"] for row in rows], values, None)
            lengths.update(row["length"] for row in rows)
        values = [row[key] for row in results.cost if key in row]
        if max(values) > WIDE * min(values) > 0:
            plain_logarithm(axes)
        else:
            axes.set_ylim(bottom=0)
        axes.set_title(cost_name(key) + " a token" * key.endswith("_per_token"))
        length_axis(axes, sorted(lengths), results.lengths)
    panels[0].legend(fontsize=8)


def costs(results: Measured) -> list[str]:
    """Return the kinds of cost that `results` hold at two lengths or more."""
    return [key for key in COSTS if len({row["length"] for row in results.cost if key in row}) > 1]


def cost_rows(results: Measured, subject: str, key: str) -> list[Row]:
    """Return the rows of cost of `subject` that have `key`."""
    return [row for row in results.cost if row["subject"] == subject and key in row]


def empty(count: int, height: float) -> "tuple[Figure, list[Axes]]":
    """Return a figure with `count` panels, at most three in a row, each `height` inches high."""
    from matplotlib.figure import Figure

    across = min(count, ACROSS)
    down = -(-count // across)
    figure = Figure(figsize=(0.6 + 3.2 * across, 0.5 + height * down), layout="constrained")
    panels = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in panels[count:]:
        axes.set_visible(False)
    figure.supxlabel("length (tokens)", fontsize=10)
    return figure, panels[:count]


def line(axes: "Axes", subject: str, x: list[float], y: list[float], errors: list[list[float]] | None) -> None:
    """Draw one subject's line with its intervals."""
    colour, marker, dashes = LOOK[subject]
    if y:
        axes.errorbar(
            x, y, errors, color=colour, marker=marker, linestyle=dashes, markersize=4, capsize=2, label=subject
        )


def place(length: int, rows: list[Row]) -> float:
    """Return where `length` stands on a logarithmic axis: no filler one doubling before the shortest of `rows`."""
    return float(length or min((row["length"] for row in rows if row["length"]), default=2) / 2)


def length_axis(axes: "Axes", lengths: list[int], known: Row) -> None:
    """Make the x axis one of doublings, with lines at the trained and the target length, and 0 at the left."""
    axes.set_xscale("log", base=2)
    shortest = next((length for length in lengths if length), 2)
    axes.set_xticks([length or shortest / 2 for length in lengths], [str(length) for length in lengths], fontsize=8)
    axes.minorticks_off()
    for name in ("trained", "target"):
        axes.axvline(known[name], color="#888888", linewidth=1, linestyle=(0, (1, 2)), zorder=0)
