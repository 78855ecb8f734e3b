"""What each arm costs: on short text, in time and memory, and in what can be exported."""

import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ctxext.evaluation.comparison.arms import Arm
from ctxext.evaluation.results import CONTROLS, Row

TIMED = ("ms_per_token", "decode_ms_per_token", "peak_bytes", "exponent", "r_squared")
"""The numbers that a machine gives anew each time; the others follow from what the model is."""


def short_costs(arms: Sequence[Arm], differences: Sequence[Row]) -> list[Row]:
    """Return for each of `arms` its largest change of nll from its own base at a length up to the trained one.

    It is one of the `differences`; an arm for which there are none has no row.
    """
    found = []
    for arm in arms:
        trained = arm.results.lengths["trained"]
        within = [row for row in differences if is_short(row, arm.label, trained)]
        if within:
            worst = max(within, key=lambda row: row["difference"])
            kept: Row = {
                key: worst[key] for key in ("length", "difference", "low", "high", "p", "p_holm") if key in worst
            }
            found.append({"run": arm.label, "subject": worst["first_subject"], **kept})
    return found


def is_short(row: Row, label: str, trained: int) -> bool:
    """Return whether `row` is a difference of nll of the arm `label` from its base at a length up to `trained`."""
    identity = (row["measure"], row["first"], row["second"], row["second_subject"])
    return identity == ("nll", label, label, "base") and row["length"] <= trained


def costs(arms: Sequence[Arm]) -> list[Row]:
    """Return the rows of cost of `arms`; of several seeds those of the first, since the seed costs nothing.

    A control of which all that was counted is the same in several arms stands once, with the medians of what was timed.
    """
    rows = [{"run": arm.label, **row} for arm in arms for row in arm.results.cost]
    shared = []
    for control in CONTROLS:
        theirs = [row for row in rows if row["subject"] == control]
        lengths = sorted({row["length"] for row in theirs})
        merged = [once([row for row in theirs if row["length"] == length]) for length in lengths]
        if len({row["run"] for row in theirs}) > 1 and all(merged):
            shared += merged
            rows = [row for row in rows if row["subject"] != control]
    return shared + rows


def once(rows: Sequence[Row]) -> Row:
    """Return `rows` of one control and length as one, with medians of the timed numbers; nothing if others differ."""
    found: Row = {"run": ""}
    for key in dict.fromkeys(key for row in rows for key in row if key != "run"):
        values = [row[key] for row in rows if key in row]
        if key in TIMED:
            found[key] = statistics.median(values)
        elif values.count(values[0]) == len(rows):
            found[key] = values[0]
        else:
            return {}
    return found


def exports(arms: Sequence[Arm]) -> list[Row]:
    """Return the label of each format that each of `arms` was written in; of several seeds those of the first."""
    return [{"run": arm.label, **label} for arm in arms for label in each(arm.results.export)]


def each(export: Row) -> Iterator[Row]:
    """Yield the label of each format of `export`, whose further ones are its `others`."""
    if export:
        yield {key: value for key, value in export.items() if key != "others"}
        yield from export.get("others", [])


def unmeasured(arms: Sequence[Arm]) -> list[str]:
    """Return a sentence for each reason why what is in no table was not measured, with the arms that it holds for."""
    shown = {
        "by_length",
        "by_position",
        *(measure for arm in arms for by_measure in arm.measured for measure in by_measure),
    }
    holders: dict[tuple[str, str], Holders] = {}
    for arm in arms:
        for row in arm.results.missing:
            if row["what"] not in shown and not row["what"].startswith("effective_length"):
                found = holders.setdefault((row["what"], row["reason"]), Holders({}, {}))
                found.runs[arm.label] = found.subjects[row.get("subject", "")] = True
    return [found.told(len(arms), what, reason) for (what, reason), found in holders.items()]


class Holders(NamedTuple):
    """Whose reason one is, in the order in which they were met."""

    runs: dict[str, bool]
    subjects: dict[str, bool]

    def told(self, count: int, what: str, reason: str) -> str:
        """Return why `what` was not measured; many runs are not named if they are all of the `count`."""
        whose = "all runs" if len(self.runs) == count > 2 else ", ".join(self.runs)
        return f"{whose}: {', '.join(self.subjects)} {what}: {reason}".replace(":  ", ": ")
