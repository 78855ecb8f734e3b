"""From runs to their comparison: a dict of plain values, which `compare --json` prints and all forms are drawn from."""

from collections.abc import Sequence

from ctxext.evaluation.comparison.arms import Arm, arms_of, letters
from ctxext.evaluation.comparison.conditions import same, warnings
from ctxext.evaluation.comparison.configuration import configuration
from ctxext.evaluation.comparison.costs import costs, exports, short_costs, unmeasured
from ctxext.evaluation.comparison.pairing import differences, pairs_of
from ctxext.evaluation.comparison.ranking import ranking
from ctxext.evaluation.comparison.reach import effective_lengths
from ctxext.evaluation.comparison.reading import Absent, Record
from ctxext.evaluation.comparison.tables import measures_of, tables
from ctxext.evaluation.comparison.verdict import verdict
from ctxext.evaluation.results import Row

DERIVED = ("perplexity", "bits_per_byte")
"""Measures that follow from nll, and need no differences of their own."""


def compared(records: Sequence[Record], absent: Sequence[Absent]) -> Row:
    """Return the comparison of `records`; `absent` are runs without results, which keep their letters."""
    arms = arms_of(records, absent)
    lacking = without_results(arms, absent)
    ranked = ranking(arms)
    best = next((arm for arm in arms if arm.label in ranked.labels[:1]), arms[0])
    pairs = pairs_of(arms, best)
    rows, reasons = differences(pairs, [measure for measure in measures_of(arms) if measure not in DERIVED])
    found: Row = {
        "runs": [described(arm) for arm in arms],
        "same": same(arms),
        "config": configuration(arms),
        "warnings": [*told(lacking), *warnings(arms)],
        "absent": lacking,
        "tables": tables(arms),
        "differences": rows,
        "short_cost": short_costs(arms, rows),
        "effective_length": effective_lengths(arms),
        "cost": costs(arms),
        "export": exports(arms),
        "missing": [*reasons, *unmeasured(arms)],
    }
    return found | {"verdict": verdict(found, ranked)}


def without_results(arms: Sequence[Arm], absent: Sequence[Absent]) -> list[Row]:
    """Return the `absent` runs under the letters that `arms` leave free."""
    taken = {arm.label for arm in arms}
    free = [letter for letter in map(letters, range(len(arms) + len(absent))) if letter not in taken]
    return [
        {"label": label, "path": str(one.path), "reason": one.reason} for label, one in zip(free, absent, strict=True)
    ]


def told(lacking: Sequence[Row]) -> list[str]:
    """Return a sentence for each reason why runs are `lacking`, with their letters and folders."""
    by_reason: dict[str, list[str]] = {}
    for one in lacking:
        by_reason.setdefault(one["reason"], []).append(f"{one['label']} ({one['path']})")
    return [f"{', '.join(whose)} is not in the tables: {reason}" for reason, whose in by_reason.items()]


def described(arm: Arm) -> Row:
    """Return what `arm` is."""
    results, run = arm.results, arm.results.run
    numbers: Row = {key: run[key] for key in ("steps", "trained_tokens") if key in run}
    return {
        "label": arm.label,
        "name": run["name"],
        "method": run.get("method", ""),
        "path": str(arm.records[0].path),
        "paths": [str(record.path) for record in arm.records],
        "seeds": arm.seeds,
        "subjects": arm.subjects,
        "subject": arm.subject,
        "trained": results.lengths["trained"],
        "target": results.lengths["target"],
        **numbers,
        "export": results.export,
    }
