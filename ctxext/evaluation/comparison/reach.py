"""How far each arm reaches by each rule of effective length."""

import statistics
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from ctxext.evaluation.comparison.arms import Arm
from ctxext.evaluation.comparison.pairing import CONTROLS
from ctxext.evaluation.results import Row

RULE = "effective_length "


def effective_lengths(arms: Sequence[Arm]) -> list[Row]:
    """Return a row for each rule and subject of `arms`, with a length or a reason; once for a control all agree on."""
    rows = [row for arm in arms for row in of_arm(arm)]
    shared = []
    for subject in CONTROLS:
        by_arm = [[bare(row) for row in rows if row["run"] == arm.label and row["subject"] == subject] for arm in arms]
        if by_arm[0] and all(found == by_arm[0] for found in by_arm):
            shared += [{"run": "", **row} for row in by_arm[0]]
    once = {row["subject"] for row in shared}
    return shared + [row for row in rows if row["subject"] not in once]


def bare(row: Row) -> Row:
    """Return `row` without whose it is."""
    return {key: value for key, value in row.items() if key != "run"}


def of_arm(arm: Arm) -> Iterator[Row]:
    """Yield the rows of `arm`: over several seeds the median length, the lower of two, and how many seeds have one."""
    found = [row for record in arm.records for row in record.results.effective_length]
    key = itemgetter("subject", "rule")
    known = {}
    for (subject, rule), group in groupby(sorted(found, key=key), key=key):
        known[subject, rule] = merged(list(group), len(arm.records))
    for row in arm.results.missing:
        identity = (row.get("subject", ""), row["what"].removeprefix(RULE))
        if row["what"].startswith(RULE) and identity not in known and identity[0] in arm.subjects:
            known[identity] = {"reason": row["reason"]}
    for subject in arm.subjects:
        for (whose, rule), numbers in known.items():
            if whose == subject:
                yield {"run": arm.label, "subject": subject, "rule": rule, **numbers}


def merged(rows: Sequence[Row], seeds: int) -> Row:
    """Return the numbers of the `rows` of one subject and rule, each of a seed."""
    middle = statistics.median_low([row["length"] for row in rows])
    chosen = next(row for row in rows if row["length"] == middle)
    kept = {key: chosen[key] for key in ("length", "at_least", "low") if key in chosen}
    return kept | ({"seeds": len(rows), "lengths": [row["length"] for row in rows]} if seeds > 1 else {})
