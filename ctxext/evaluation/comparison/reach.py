"""How far each arm reaches by each rule of effective length."""

import statistics
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from ctxext.evaluation.comparison.arms import Arm
from ctxext.evaluation.results import CONTROLS, Row

RULE = "effective_length "


def effective_lengths(arms: Sequence[Arm]) -> list[Row]:
    """Return a row for each rule and subject of `arms`, with a length or a reason; a control agreed on stands once."""
    rows = [row for arm in arms for row in of_arm(arm)]
    shared = []
    for subject in CONTROLS:
        by_arm = [[bare(row) for row in rows if row["run"] == arm.label and row["subject"] == subject] for arm in arms]
        known = [found for found in by_arm if found]
        if known and all(found == known[0] for found in known):
            shared += [{"run": "", **row} for row in known[0]]
    once = {row["subject"] for row in shared}
    return shared + [row for row in rows if row["subject"] not in once]


def bare(row: Row) -> Row:
    """Return `row` without whose it is, and without its seeds where they agree."""
    agreed = {"seeds", "lengths"} if len(set(row.get("lengths", []))) <= 1 else set()
    return {key: value for key, value in row.items() if key != "run" and key not in agreed}


def of_arm(arm: Arm) -> Iterator[Row]:
    """Yield the rows of `arm`: over several seeds the median length, the lower of two.

    A seed that has none is below the shortest; a median that is below it is missing.
    """
    found = [row for record in arm.records for row in record.results.effective_length]
    key = itemgetter("subject", "rule")
    known = {}
    for (subject, rule), group in groupby(sorted(found, key=key), key=key):
        known[subject, rule] = merged(list(group), len(arm.records), reason_of(arm, subject, rule))
    for row in arm.results.missing:
        identity = (row.get("subject", ""), row["what"].removeprefix(RULE))
        if row["what"].startswith(RULE) and identity not in known and identity[0] in arm.subjects:
            known[identity] = {"reason": row["reason"]}
    for subject in arm.subjects:
        for (whose, rule), numbers in known.items():
            if whose == subject:
                yield {"run": arm.label, "subject": subject, "rule": rule, **numbers}


def reason_of(arm: Arm, subject: str, rule: str) -> str:
    """Return why a seed of `arm` has no length by `rule`, or nothing."""
    whose = (subject, RULE + rule)
    missing = (row for record in arm.records for row in record.results.missing)
    return next((row["reason"] for row in missing if (row.get("subject"), row["what"]) == whose), "")


def merged(rows: Sequence[Row], seeds: int, reason: str) -> Row:
    """Return the numbers of the `rows` of one subject and rule, each of one of `seeds`; others have none for `reason`.

    Those stand in `lengths` as 0, below the shortest.
    """
    lengths = [row["length"] for row in rows] + [0] * (seeds - len(rows))
    middle = statistics.median_low(lengths)
    if not middle:
        return {
            "reason": f"{seeds - len(rows)} of {seeds} seeds have none: {reason}",
            "seeds": seeds,
            "lengths": lengths,
        }
    chosen = next(row for row in rows if row["length"] == middle)
    kept = {key: chosen[key] for key in ("length", "at_least", "low") if key in chosen}
    return kept | ({"seeds": seeds, "lengths": lengths} if seeds > 1 else {})
