"""Rules by which a comparison fails: `nll@1024 > base + 0.05`, read by a pattern and never run as code."""

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ctxext.evaluation.results import SUBJECTS, Row
from ctxext.refusal import nearest, require

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
RULE = re.compile(
    rf"\s*(?P<measure>\S.*?)(?:@(?P<length>\d+))?\s*(?P<sign><=|>=|<|>)\s*"
    rf"(?:(?P<number>{NUMBER})|(?P<name>[A-Za-z]\w*)(?:\s*(?P<shift>[-+])\s*(?P<by>\d+\.?\d*|\.\d+))?)\s*"
)
SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
SHORT_COST, EFFECTIVE = "short_cost", "effective_length"
EXAMPLE = "'nll@1024 > base + 0.05', 'passkey@512 < 0.9', 'short_cost > 0.02' or 'effective_length < 1024'"


@dataclass(frozen=True)
class Gate:
    """A rule that no run may meet: a `measure`, at a `length` (0: at each), against `name` (or nothing) + `number`.

    Length 0 of a task, which has no filler, is never asked for. `name` is a subject of the run itself, or the
    label of another run.
    """

    text: str
    measure: str
    length: int
    sign: str
    name: str
    number: float


def parsed(text: str) -> Gate:
    """Return the gate that `text` says; refuse what it can't."""
    match = RULE.fullmatch(text)
    require(match is not None, f"--fail-on {text!r} can't be read; write a rule such as {EXAMPLE}")
    assert match is not None
    by = float(match["number"] or match["by"] or 0.0)
    number = -by if match["shift"] == "-" else by
    return Gate(text, match["measure"], int(match["length"] or 0), match["sign"], match["name"] or "", number)


def broken(comparison: Row, gates: Sequence[Gate]) -> list[str]:
    """Return a sentence for each number of `comparison` that breaks one of `gates`.

    One that a gate needs and that was not measured breaks it, too, and so does a run without results. Refuse a gate on
    a measure, a subject or a run that there isn't.
    """
    for gate in gates:
        check(comparison, gate)
    return [sentence for gate in gates for sentence in (*lacking(comparison, gate), *faults(comparison, gate))]


def lacking(comparison: Row, gate: Gate) -> list[str]:
    """Return a sentence for each run of `comparison` that has no results, by which `gate` can't be judged."""
    return [f"{gate.text}: {one['label']} ({one['path']}) has no results" for one in comparison.get("absent", [])]


def check(comparison: Row, gate: Gate) -> None:
    """Refuse `gate` where it names what `comparison` doesn't have."""
    tables = [table["measure"] for table in comparison["tables"]]
    known = [*tables, SHORT_COST, EFFECTIVE]
    where = f"--fail-on {gate.text!r}"
    require(
        gate.measure in known,
        f"{where}: no measure {gate.measure!r}{nearest(gate.measure, known)} ({', '.join(known)})",
    )
    if gate.measure not in tables:
        plain = not gate.length and not gate.name
        require(plain, f"{where}: {gate.measure} is one number of a run; compare it with a number, without @LENGTH")
        return
    names = [*SUBJECTS, *(run["label"] for run in comparison["runs"])]
    require(
        gate.name in ("", *names),
        f"{where}: {gate.name!r} is neither a number, a subject nor a run ({', '.join(names)})",
    )


def faults(comparison: Row, gate: Gate) -> Iterator[str]:
    """Yield a sentence for each run and length of `comparison` that breaks `gate`."""
    for run in comparison["runs"]:
        who = f"{run['label']} ({run['name']})"
        if run["label"] == gate.name:
            continue
        for place, value, bound in numbers(comparison, gate, run):
            if value is None or bound is None:
                yield f"{gate.text}: {who} has no {gate.measure}{place}{'' if value is None else f' of {gate.name}'}"
            elif SIGNS[gate.sign](value, bound):
                yield f"{gate.text}: {who} has {gate.measure}{place} {value:.4g}, and the bound is {bound:.4g}"


def numbers(comparison: Row, gate: Gate, run: Row) -> Iterator[tuple[str, float | None, float | None]]:
    """Yield where `gate` looks at `run`, what it finds there, and the bound; None for what was not measured."""
    if gate.measure == SHORT_COST:
        rows = [row for row in comparison["short_cost"] if row["run"] == run["label"]]
        yield "", rows[0]["difference"] if rows else None, gate.number
    elif gate.measure == EFFECTIVE:
        rows = [row for row in comparison["effective_length"] if row["run"] in ("", run["label"])]
        mine = [row for row in rows if row["subject"] == run["subject"]]
        yield from ((f" by {row['rule']}", row.get("length"), gate.number) for row in mine)
        if not mine:
            yield "", None, gate.number
    else:
        table = next(table for table in comparison["tables"] if table["measure"] == gate.measure)
        known = [
            length for length in table["lengths"] if length and cell(table, run, run["subject"], length) is not None
        ]
        if not (known or gate.length):
            yield "", None, gate.number
        for length in [gate.length] if gate.length else known:
            value, bound = cell(table, run, run["subject"], length), reference(comparison, table, gate, run, length)
            yield f"@{length}", value, bound


def reference(comparison: Row, table: Row, gate: Gate, run: Row, length: int) -> float | None:
    """Return the bound of `gate` for `run` at `length`, or None if what it is of was not measured."""
    if not gate.name:
        return gate.number
    if gate.name in SUBJECTS:
        value = cell(table, run, gate.name, length)
    else:
        other = next(other for other in comparison["runs"] if other["label"] == gate.name)
        value = cell(table, other, other["subject"], length)
    return None if value is None else value + gate.number


def cell(table: Row, run: Row, subject: str, length: int) -> float | None:
    """Return the value of `subject` of `run` at `length` in `table`, or None."""
    for row in table["rows"]:
        if row["run"] in ("", run["label"]) and row["subject"] == subject and str(length) in row["values"]:
            return float(row["values"][str(length)]["value"])
    return None
