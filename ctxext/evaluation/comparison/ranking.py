"""By what runs are ranked: one measure at one length, which as many of them share as can be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ctxext.evaluation.comparison.arms import Arm
from ctxext.evaluation.comparison.measures import TEXT, in_order, lower_is_better, name_of


@dataclass(frozen=True)
class Ranking:
    """The values by label of the runs that have `measure` at `length`; no measure if there is none to rank by."""

    measure: str = ""
    length: int = 0
    values: Mapping[str, float] = field(default_factory=dict)

    @property
    def labels(self) -> list[str]:
        """The labels, the best first."""
        sign = 1 if lower_is_better(self.measure) else -1
        return sorted(self.values, key=lambda label: sign * self.values[label])


def ranking(arms: Sequence[Arm]) -> Ranking:
    """Return how `arms` rank by nll, else by a task, else by an application: by what two of them share, or the one has.

    The length is the one that most of them have, of several their common target, or else the longest.
    """
    needed = min(2, len(arms))
    targets = [arm.results.lengths["target"] for arm in arms if arm.subject]
    for measure in measures_of(arms):
        by_arm = {arm.label: {n: cell for n, cell in arm.cells(measure, arm.subject).items() if n} for arm in arms}
        holders = {
            length: sum(length in cells for cells in by_arm.values()) for cells in by_arm.values() for length in cells
        }
        if max(holders.values(), default=0) >= needed:
            most = {length for length, count in holders.items() if count == max(holders.values())}
            length = decisive(targets, most)
            values = {label: cells[length]["value"] for label, cells in by_arm.items() if length in cells}
            return Ranking(measure, length, values)
    return Ranking()


def decisive(targets: Sequence[int], lengths: set[int]) -> int:
    """Return the length among `lengths` that is judged by: the common target, or else the longest."""
    return targets[0] if len(set(targets)) == 1 and targets[0] in lengths else max(lengths)


def measures_of(arms: Sequence[Arm]) -> list[str]:
    """Return nll, then the tasks and the metrics of applications by which `arms` score each item, then the rest."""
    known = in_order(name for arm in arms for by_measure in arm.measured for name in by_measure)
    paired = {name for arm in arms for name in scored(arm)}
    others = [name for name in known if name not in TEXT]
    return ["nll", *sorted(others, key=lambda name: (name not in paired, "/" in name))]


def scored(arm: Arm) -> Iterator[str]:
    """Yield the measures by which each item of the first run of `arm` is scored."""
    record = arm.records[0]
    yield from {row["task"] for row in record.samples}
    for row in record.predictions:
        yield from (name_of(row | {"metric": metric}) for metric in row["scores"])
