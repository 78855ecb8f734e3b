"""What reporting reads of a run's results: the sections of `results.json` and three ways to pick from them."""

from collections.abc import Sequence
from typing import Any, Protocol

Row = dict[str, Any]
SUBJECTS = ("base", "truncated", "zero_shot", "extended")

# A value at a length, with its 95% interval where it has one.
Point = tuple[int, float, float | None, float | None]


class Measured(Protocol):
    """The results of one run (`ctxext.evaluation.results.Results` is one)."""

    @property
    def run(self) -> Row: ...
    @property
    def lengths(self) -> Row: ...
    @property
    def protocol(self) -> Row: ...
    @property
    def by_length(self) -> list[Row]: ...
    @property
    def by_position(self) -> list[Row]: ...
    @property
    def tasks(self) -> list[Row]: ...
    @property
    def language(self) -> list[Row]: ...
    @property
    def applications(self) -> list[Row]: ...
    @property
    def effective_length(self) -> list[Row]: ...
    @property
    def cost(self) -> list[Row]: ...
    @property
    def export(self) -> Row: ...
    @property
    def missing(self) -> list[Row]: ...

    def curve(self, subject: str, measure: str) -> Sequence[Point]:
        """Return `measure` of `subject` at rising lengths."""

    def cells(self, task: str, subject: str) -> list[Row]:
        """Return the rows of `task` for `subject` at each length and depth."""

    def totals(self, task: str, subject: str) -> list[Row]:
        """Return the rows of `task` for `subject` over all depths."""


def subjects(results: Measured) -> list[str]:
    """Return the subjects that `results` measured by length or in a task, in the contract's order."""
    present = {row["subject"] for row in [*results.by_length, *results.tasks]}
    return [subject for subject in SUBJECTS if subject in present]


def method(results: Measured) -> str:
    """Return the subject that stands for the method: `extended`, `zero_shot` when nothing was trained, or nothing."""
    present = subjects(results)
    return next((subject for subject in ("extended", "zero_shot") if subject in present), "")


def tasks(results: Measured) -> list[str]:
    """Return the names of the measured tasks, each once, in their order."""
    return list(dict.fromkeys(row["task"] for row in results.tasks))


def differences(results: Measured, first: str, second: str) -> list[Point]:
    """Return the nll of `first` minus that of `second` at each common length, with the paired interval if stored."""
    rows = {row["length"]: row for row in results.by_length if row["subject"] == first}
    others = {row["length"]: row for row in results.by_length if row["subject"] == second}
    key = f"minus_{second}"
    return [
        (
            length,
            rows[length]["nll"] - others[length]["nll"],
            rows[length].get(f"{key}_low"),
            rows[length].get(f"{key}_high"),
        )
        for length in sorted(rows.keys() & others.keys())
    ]
