"""From runs to their comparison: a dict of plain values, which `compare --json` prints and all forms are drawn from."""

from collections.abc import Sequence

from ctxext.evaluation.comparison.arms import Arm, arms_of
from ctxext.evaluation.comparison.conditions import same, warnings
from ctxext.evaluation.comparison.configuration import configuration
from ctxext.evaluation.comparison.costs import costs, exports, short_costs, unmeasured
from ctxext.evaluation.comparison.pairing import differences, pairs_of
from ctxext.evaluation.comparison.reach import effective_lengths
from ctxext.evaluation.comparison.reading import Record
from ctxext.evaluation.comparison.tables import measures_of, tables
from ctxext.evaluation.comparison.verdict import best_of, verdict
from ctxext.evaluation.results import Row

DERIVED = ("perplexity", "bits_per_byte")
"""Measures that follow from nll, and need no differences of their own."""


def compared(records: Sequence[Record], absent: Sequence[str]) -> Row:
    """Return the comparison of `records`; `absent` are sentences on runs without results."""
    arms = arms_of(records)
    pairs = pairs_of(arms, best_of(arms))
    rows, reasons = differences(pairs, [measure for measure in measures_of(arms) if measure not in DERIVED])
    found: Row = {
        "runs": [described(arm) for arm in arms],
        "same": same(arms),
        "config": configuration(arms),
        "warnings": warnings(arms),
        "tables": tables(arms),
        "differences": rows,
        "short_cost": short_costs(arms, rows),
        "effective_length": effective_lengths(arms),
        "cost": costs(arms),
        "export": exports(arms),
        "missing": [*absent, *reasons, *unmeasured(arms)],
    }
    return found | {"verdict": verdict(found)}


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
