"""Every number of a run, in the shape of `results.json`: checked when made, written whole, read whole."""

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ctxext.evaluation.kinds import LARGEST, SECTIONS, check_row, check_section, check_size
from ctxext.refusal import Refusal, nearest, require
from ctxext.strangers import text_of

Row = dict[str, Any]

CHOSEN, TRAINED_ON = "chosen_documents", "training_documents"
"""What a protocol says of the documents, which is no definition: by it runs may differ and be compared all the same."""

SCHEMA = 1
SUBJECTS = ("base", "truncated", "zero_shot", "extended")
CONTROLS = ("base", "truncated")

# What tells the rows of a section apart, and what else each must hold. Other keys are optional (`bits_per_byte`,
# `accuracy`, `low` of an effective length, `minus_base`, ...): a number that was not measured is absent.
IDENTITY = {
    "by_length": ("subject", "length"),
    "by_position": ("subject", "low_position", "high_position"),
    "tasks": ("subject", "task", "length", "depth"),
    "language": ("subject", "measure", "length"),
    "applications": ("subject", "application", "group", "metric", "length"),
    "effective_length": ("subject", "rule"),
    "cost": ("subject", "length"),
    "missing": ("what", "reason"),
}
VALUES = {
    "by_length": ("nll", "perplexity", "tokens", "low", "high"),
    "by_position": ("nll", "tokens"),
    "tasks": ("metric", "value", "chance", "n", "low", "high"),
    "language": ("value",),
    "applications": ("value", "n"),
    "effective_length": ("length",),
}
DIFFERENCES = ("long_gain",)
"""Measures whose value may be below 0."""
COUNTS = ("tokens", "n", "high_position")


class Point(NamedTuple):
    """A value at a length, with its 95% interval where it has one."""

    length: int
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Results:
    """All measured numbers of a run, as plain rows; refuses rows that break the contract.

    `by_length`: a row per (subject, length); `low` and `high` bound the nll. A row may hold the paired differences of
    its nll as `minus_base` and `minus_truncated`, each with `_low` and `_high`.
    `tasks`: a row per (subject, task, length, depth), and one per (subject, task, length) over all depths, whose
    `depth` is "all".
    `language`: a row per (subject, measure, length) of evaluation.measures. `applications`: a row per (subject,
    application, group of pairs, metric, length). Files from before there were these two are read as if they had none.
    `effective_length`: `at_least` is true when the longest evaluated length still passes.
    `missing`: {"subject", "what", "length", "reason"}, subject and length where they apply; `what` is `by_length`,
    `by_position`, a task, `effective_length RULE`, `cost` or `export`.
    """

    run: Row
    lengths: Row
    protocol: Row
    by_length: list[Row]
    by_position: list[Row]
    tasks: list[Row]
    effective_length: list[Row]
    cost: list[Row]
    export: Row
    missing: list[Row]
    language: list[Row] = field(default_factory=list)
    applications: list[Row] = field(default_factory=list)
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        require(self.schema == SCHEMA, f"schema must be {SCHEMA}, got {self.schema!r}")
        for key in SECTIONS:
            check_plain(getattr(self, key), key)
            check_section(key, getattr(self, key))
        require("name" in self.run, "run lacks the key 'name'")
        for key in ("trained", "target", "evaluated"):
            require(key in self.lengths, f"lengths lacks the key {key!r}")
        for section in IDENTITY:
            check_rows(section, getattr(self, section))

    def curve(self, subject: str, measure: str) -> list[Point]:
        """Return `measure` of `subject` at rising lengths, without the lengths at which it was not measured."""
        rows = sorted((row for row in self.by_length if row["subject"] == subject), key=lambda row: row["length"])
        return [point(row, measure) for row in rows if measure in row]

    def cells(self, task: str, subject: str) -> list[Row]:
        """Return the rows of `task` for `subject` at each length and depth."""
        return [row for row in self.of_task(task, subject) if row["depth"] != "all"]

    def totals(self, task: str, subject: str) -> list[Row]:
        """Return the rows of `task` for `subject` over all depths, at rising lengths."""
        return sorted((row for row in self.of_task(task, subject) if row["depth"] == "all"), key=lambda r: r["length"])

    def of_task(self, task: str, subject: str) -> list[Row]:
        """Return all rows of `task` for `subject`."""
        return [row for row in self.tasks if row["task"] == task and row["subject"] == subject]

    def save(self, path: Path) -> None:
        """Write `path` whole or not at all."""
        names = ["schema", *(part.name for part in dataclasses.fields(self) if part.name != "schema")]
        text = json.dumps({name: getattr(self, name) for name in names}, indent=1, allow_nan=False)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        with beside.open("w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Return the results in `path`; refuse a file that is absent, is not JSON, or breaks the contract."""
        require(path.is_file(), f"{path}: no such file")
        try:
            content = json.loads(text_of(path))
        except Refusal:
            raise
        except (ValueError, RecursionError) as error:
            raise Refusal(f"{path}: not JSON ({error})") from error
        require(isinstance(content, dict), f"{path}: must be a JSON object, got {type(content).__name__}")
        try:
            require("schema" in content, "lacks the key 'schema'")
            schema = content["schema"]
            newer = "; a newer ctxext wrote it" if isinstance(schema, int) and schema > SCHEMA else ""
            require(schema == SCHEMA, f"schema must be {SCHEMA}, got {schema!r}{newer}")
            return cls(**exactly(content))
        except Refusal as error:
            raise Refusal(f"{path}: {error}") from error


def point(row: Row, measure: str) -> Point:
    """Return `measure` of a row of `by_length`; nll has an interval, and therefore perplexity, its exponential."""
    if measure == "nll":
        return Point(row["length"], row["nll"], row["low"], row["high"])
    if measure == "perplexity":
        return Point(row["length"], row["perplexity"], exponential(row["low"]), exponential(row["high"]))
    return Point(row["length"], row[measure], None, None)


def exponential(nll: float) -> float:
    """Return the exponential of `nll`, or the largest number that stands here where it would be beyond that."""
    return min(math.exp(min(nll, 700.0)), LARGEST)


def exactly(content: Row) -> Row:
    """Return `content` if its keys are those of `Results`; refuse one that is absent or unknown."""
    parts = dataclasses.fields(Results)
    known = [part.name for part in parts]
    for key in (part.name for part in parts if part.default_factory is dataclasses.MISSING):
        require(key in content, f"lacks the key {key!r}")
    for key in content:
        require(key in known, f"{key!r} is not a key of results.json{nearest(key, known)}")
    return content


def check_rows(section: str, rows: object) -> None:
    """Refuse `rows` of `section` that lack a key, name an unknown subject, repeat one, or hold an impossible number."""
    if not isinstance(rows, list):
        raise Refusal(f"{section} must be a list, got {type(rows).__name__}")
    seen = set()
    for index, row in enumerate(rows):
        where = f"{section}[{index}]"
        require(isinstance(row, dict), f"{where} must be an object, got {type(row).__name__}")
        for key in IDENTITY[section] + VALUES.get(section, ()):
            require(key in row, f"{where} lacks the key {key!r}")
        check_row(row, where)
        check_plain(row, where)
        check_numbers(row, where)
        require(section != "effective_length" or row["length"] > 0, f"{where}.length must be above 0, got 0")
        identity = tuple(row[key] for key in IDENTITY[section])
        require(section == "missing" or identity not in seen, f"{where} repeats the row of {identity}")
        seen.add(identity)


def check_numbers(row: Row, where: str) -> None:
    """Refuse an unknown subject, a negative number that is no difference, a count of 0, and bounds out of order."""
    if "subject" in row:
        subject = row["subject"]
        require(subject in SUBJECTS, f"{where}.subject must be one of {', '.join(SUBJECTS)}, got {subject!r}")
    for key, value in row.items():
        if isinstance(value, (int, float)) and not key.startswith("minus_") and row.get("measure") not in DIFFERENCES:
            least = "above 0" if key in COUNTS else "at least 0"
            require(value > 0 or (value == 0 and key not in COUNTS), f"{where}.{key} must be {least}, got {value!r}")
    if "low" in row and "high" in row:
        require(row["low"] <= row["high"], f"{where}.low {row['low']!r} must not be above .high {row['high']!r}")


def check_plain(value: object, where: str) -> None:
    """Refuse anything in `value` that JSON has no word for: numbers that are not finite, null, and objects."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            check_plain(item, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            check_plain(item, f"{where}[{index}]")
    elif isinstance(value, float):
        require(math.isfinite(value), f"{where} must be a finite number, got {value!r}; leave it out and say why")
        check_size(value, where)
    elif isinstance(value, int):
        check_size(value, where)
    else:
        require(isinstance(value, str), f"{where} must be plain text or a number, got {value!r}")
