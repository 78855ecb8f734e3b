"""What each arm costs: on short text, in time and memory, and in what can be exported."""

from collections.abc import Iterator, Sequence

from ctxext.evaluation.comparison.arms import Arm
from ctxext.evaluation.results import Row


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
            kept = {key: worst[key] for key in ("length", "difference", "low", "high", "p", "p_holm")}
            found.append({"run": arm.label, "subject": worst["first_subject"], **kept})
    return found


def is_short(row: Row, label: str, trained: int) -> bool:
    """Return whether `row` is a difference of nll of the arm `label` from its base at a length up to `trained`."""
    identity = (row["measure"], row["first"], row["second"], row["second_subject"])
    return identity == ("nll", label, label, "base") and row["length"] <= trained


def costs(arms: Sequence[Arm]) -> list[Row]:
    """Return the rows of cost of `arms`; of several seeds those of the first, since the seed costs nothing."""
    return [{"run": arm.label, **row} for arm in arms for row in arm.results.cost]


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
    holders: dict[str, list[str]] = {}
    for arm in arms:
        for row in arm.results.missing:
            if row["what"] not in shown and not row["what"].startswith("effective_length"):
                told = f"{row.get('subject', '')} {row['what']}: {row['reason']}".strip()
                labels = holders.setdefault(told, [])
                labels += [arm.label] if arm.label not in labels else []
    return [f"{', '.join(labels)}: {told}" for told, labels in holders.items()]
