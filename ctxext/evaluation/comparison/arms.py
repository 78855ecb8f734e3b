"""What is compared: an arm is a run, or several that differ only in their seeds."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ctxext.evaluation.comparison.measures import measured
from ctxext.evaluation.comparison.reading import Absent, Record
from ctxext.evaluation.results import SUBJECTS, Results, Row
from ctxext.maths.intervals import wilson

ALONE = ("cache", "run", "device")
"""Keys of the configuration that say where a run is and where it was made, never what was measured."""


@dataclass(frozen=True)
class Arm:
    """The runs `records`, of one seed each, under the letter `label`."""

    label: str
    records: Sequence[Record]

    @property
    def results(self) -> Results:
        """The results of the first run, for what all share."""
        return self.records[0].results

    @property
    def seeds(self) -> list[int]:
        """The seed of each run."""
        return [record.results.run.get("seed", 0) for record in self.records]

    @property
    def name(self) -> str:
        """The label and the run's name, as sentences say it."""
        return f"{self.label} ({self.results.run['name']})"

    @cached_property
    def subjects(self) -> list[str]:
        """The subjects that every run measured, in the contract's order."""
        known = [{subject for cells in by_measure.values() for subject, _ in cells} for by_measure in self.measured]
        return [subject for subject in SUBJECTS if all(subject in subjects for subjects in known)]

    @property
    def subject(self) -> str:
        """The subject that stands for the method: trained, else untrained, else the base; or nothing."""
        return next((name for name in ("extended", "zero_shot", "base") if name in self.subjects), "")

    @cached_property
    def measured(self) -> list[dict[str, dict[tuple[str, int], Row]]]:
        """What each run measured."""
        return [measured(record.results) for record in self.records]

    def cells(self, measure: str, subject: str) -> dict[int, Row]:
        """Return the cell of `measure` and `subject` at each length: over several seeds the mean, and its `sd`."""
        by_length: dict[int, list[Row]] = {}
        for by_measure in self.measured:
            for (known, length), cell in sorted(by_measure.get(measure, {}).items()):
                if known == subject:
                    by_length.setdefault(length, []).append(cell)
        return {length: folded(cells, subject) for length, cells in sorted(by_length.items())}


def folded(cells: Sequence[Row], subject: str) -> Row:
    """Return `cells` of several seeds of `subject` as one.

    A control in which no seed took part is one measurement, and keeps its interval. The mean of right and wrong has
    that of all samples; an interval over documents says nothing about seeds, so that any other mean has none.
    """
    values = [cell["value"] for cell in cells]
    is_one = subject != "extended" and all(cell == cells[0] for cell in cells)
    if len(cells) == 1 or is_one:
        return cells[0]
    kept = {key: cell for key, cell in cells[0].items() if key not in ("low", "high")}
    found = kept | {"value": statistics.fmean(values), "sd": statistics.stdev(values), "seeds": len(values)}
    if all(cell.get("metric") == "accuracy" and "n" in cell for cell in cells):
        total = sum(cell["n"] for cell in cells)
        low, high = wilson(sum(cell["value"] * cell["n"] for cell in cells), total)
        found |= {"low": low, "high": high, "n": total}
    return found


def arms_of(records: Sequence[Record], absent: Sequence[Absent] = ()) -> list[Arm]:
    """Return `records` as arms: runs that differ only in their seeds are one. Each of `absent` keeps its letter."""
    groups: list[tuple[str, list[Record]]] = []
    skipped: list[int] = []
    for index, record in enumerate(records):
        key, seed = identity(record), record.results.run.get("seed", 0)
        for known, group in groups:
            if key and known == key and seed not in [other.results.run.get("seed", 0) for other in group]:
                group.append(record)
                break
        else:
            groups.append((key, [record]))
            skipped.append(sum(one.after <= index for one in absent))
    return [Arm(letters(index + skipped[index]), group) for index, (_, group) in enumerate(groups)]


def identity(record: Record) -> str:
    """Return all that a run is but for its seed, as text; nothing if its configuration is not there."""
    if not record.config:
        return ""
    config = {key: value for key, value in record.config.items() if key not in (*ALONE, "seed")}
    results = record.results
    facts: list[Any] = [config, *(results.run.get(key) for key in ("name", "method", "data")), results.protocol]
    return json.dumps([facts, results.lengths, str(results.run.get("command", "")).split()[:2]], sort_keys=True)


def letters(index: int) -> str:
    """Return the label of arm `index`: A to Z, then AA, AB, ..."""
    first, last = divmod(index, 26)
    return (letters(first - 1) if first else "") + chr(ord("A") + last)
