"""The page that a run writes: the machine, the goals and what was reached, and all numbers below."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.findings import Finding, Part, Table
from benchmarks.goals import GOALS, Goal

HEADER = ["measure", "goal", "reached", "met?", "spread", "against"]
HOW = """\
One thread. Times are process CPU time; both sides run in one process, are warmed up, and are then measured in turn, A
B A B; a number is the median of the repetitions, the spread from the least to the largest. Ratios are taken within a
repetition. Weights and tokens are the same on both sides, and what they compute is compared first: the run fails where
it differs. Peaks of memory are each measured in a fresh process. Exponents are least squares over all lengths named."""
NOT_MEASURED = """\
CUDA, bfloat16 and float16, more than one thread, several processes, and transformers compiled. Wall-clock time, but
where it is named. Weights are random, so nothing here says how well a model learns or answers."""
FORMULA = """\
Model FLOP utilisation is (6 x matrix weights x tokens + 12 x layers x heads x head width x (length / 2) x tokens) / CPU
time, over the speed of the square product measured between the steps, by the library that ctxext multiplies with: the
unembedding counts, the look-up of embeddings and what is recomputed don't, and attention counts the causal half."""


def page_of(parts: dict[str, Part], scale: str, minutes: float) -> str:
    """Return the page for what `parts` found at `scale` in `minutes`."""
    remarks = {name: part.remarks for name, part in parts.items()}
    small = [] if scale == "full" else ["**Measured at small sizes: the numbers mean nothing.**"]
    lines = [
        "# Benchmarks",
        "Written by `make bench` (`python scripts/bench.py`; `--only NAME` runs a part, `--help` tells the rest). "
        f"This run took {minutes:.0f} minutes.",
        *small,
        "## Machine",
        listed(remarks.get("machine", [])),
        "## Goals",
        table_of_goals(parts).strip(),
        "**How it is measured.** " + HOW.replace("\n", " "),
        "**Utilisation.** " + FORMULA.replace("\n", " "),
        "**Not measured.** " + NOT_MEASURED.replace("\n", " "),
        "## In full",
        "Milliseconds and the like are medians, least and largest in brackets.",
    ]
    for name, part in parts.items():
        lines += [as_markdown(table) for table in part.tables]
        lines += [listed(remarks[name])] if name != "machine" and remarks[name] else []
    return "\n\n".join(lines) + "\n"


def table_of_goals(parts: dict[str, Part]) -> str:
    """Return the table with a row for each goal; what was not measured says so, and what is missed says that."""
    found = {finding.key: finding for part in parts.values() for finding in part.findings}
    return grid(HEADER, [row_of(goal, found.get(goal.key)) for goal in GOALS]) + "\n"


def row_of(goal: Goal, finding: Finding | None) -> list[str]:
    """Return the row of `goal`, for which `finding` was measured."""
    if finding is None:
        return [goal.measure, goal.words, "not measured", "", "", goal.peer]
    met = "yes" if goal.is_met(finding.value) else "**missed**"
    spread = f"{number(finding.low)}-{number(finding.high)}"
    return [goal.measure, goal.words, f"{number(finding.value)}{goal.unit}", met, spread, goal.peer]


def number(value: float) -> str:
    """Return `value` with four digits at least, so that one that just misses a goal doesn't read as the goal."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3f}"


def as_markdown(table: Table) -> str:
    """Return `table` below its title."""
    return f"**{table.title}**\n\n{grid(table.header, table.rows)}"


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def listed(remarks: Sequence[str]) -> str:
    """Return `remarks` as a list."""
    return "\n".join(f"- {remark}" for remark in remarks)
