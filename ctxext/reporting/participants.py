"""Who takes part in a comparison, in what they differ, and what they wrote, as blocks of words."""

from ctxext.reporting.block import DASH, Block
from ctxext.reporting.measured import Row

SIDE_BY_SIDE, LONGEST_VALUE = 3, 120
TOLD = ("name", "seed", "trainer.steps")
"""Keys that the table of runs has."""


def runs(comparison: Row) -> Block:
    """Return who takes part, under which letter."""
    header = ["", "name", "method", "subject", "seeds", "trained", "target", "steps", "tokens", "folder"]
    rows = [
        [
            str(run["label"]),
            str(run.get("name", "")),
            str(run.get("method") or DASH),
            str(run.get("subject") or DASH),
            ", ".join(map(str, run.get("seeds", []))) or DASH,
            str(run.get("trained", DASH)),
            str(run.get("target", DASH)),
            str(run.get("steps", DASH)),
            short_count(run["trained_tokens"]) if "trained_tokens" in run else DASH,
            str(run.get("path", "")),
        ]
        for run in comparison["runs"]
    ]
    if all(row[1] == row[2] for row in rows):  # a run is called as its method, unless its user says otherwise
        header, rows = [name for name in header if name != "method"], [[*row[:2], *row[3:]] for row in rows]
    same = comparison.get("same", [])
    return Block("RUNS", f"same {', '.join(same)}" if same else "", header, rows, holds_words=True)


def short_count(value: float) -> str:
    """Return a large count in few characters: `8.2M`."""
    for scale, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{value / scale:.3g}{letter}"
    return f"{value:g}"


def config(comparison: Row) -> Block:
    """Return the keys that differ: a column for each run, or for many runs a row for each value and who has it."""
    found, labels = comparison["config"], [run["label"] for run in comparison["runs"]]
    keys, differ = found.get("keys", 0), found.get("differ", [])
    note = f"{len(differ)} of {keys} keys differ"
    differ = [key for key in differ if key["key"] not in TOLD]
    if len(labels) <= SIDE_BY_SIDE:
        rows = [[key["key"], *(shown_value(key["values"].get(label)) for label in labels)] for key in differ]
        return Block("CONFIG", note, ["", *labels], rows, holds_words=True)
    rows = []
    for key in gathered(differ):
        holders: dict[str, list[str]] = {}
        for label in labels:
            holders.setdefault(shown_value(key["values"].get(label)), []).append(label)
        names = [key["key"], *[""] * len(holders)]
        rows += [[name, value, " ".join(who)] for name, (value, who) in zip(names, holders.items(), strict=False)]
    return Block("CONFIG", note, ["", "value", "runs"], rows, holds_words=True)


def gathered(differ: list[Row]) -> list[Row]:
    """Return `differ` with a part's settings beside its class, `Yarn(factor 4.0)`, where the classes differ."""
    keys = {key["key"] for key in differ}
    made = []
    for key in differ:
        prefix = f"{key['key']}."
        own = [
            (other["key"].removeprefix(prefix), other["values"]) for other in differ if other["key"].startswith(prefix)
        ]
        values = {}
        for label, value in key["values"].items():
            said = ", ".join(f"{name} {shown_value(found[label])}" for name, found in own if label in found)
            values[label] = f"{value}({said})" if said else value
        if not any(key["key"].startswith(f"{other}.") for other in keys):
            made.append({"key": key["key"], "values": values})
    return made


def shown_value(value: object) -> str:
    """Return a configuration's value, cut if long, or a dash if there is none."""
    text = DASH if value is None else f"{value:.6g}" if isinstance(value, float) and value % 1 else str(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def export(comparison: Row) -> Block:
    """Return which files each run wrote and how exact they are."""
    named = {run["label"]: str(run.get("name", "")) for run in comparison["runs"]}
    rows = []
    for row in comparison["export"]:
        cells = [f"{row['run']} {named.get(row['run'], '')}", row.get("format", DASH), row.get("label", DASH)]
        rows.append([*map(str, cells), str(row.get("reason", ""))])
    return Block("EXPORT", "", ["", "format", "label", "reason"], rows, holds_words=True)
