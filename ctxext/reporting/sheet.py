"""A comparison as blocks and footnotes: one form for console, Markdown and page, so that all hold the same numbers."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from ctxext.reporting.block import (
    COUNTED,
    DASH,
    UNITS,
    UNSURE,
    Block,
    circumstances,
    cost_length,
    interval,
    is_sure,
    short_of,
    shown_cost,
    shown_length,
    shown_perplexity,
    with_growth,
)
from ctxext.reporting.measured import Row
from ctxext.reporting.metrics import application_block
from ctxext.reporting.paired import beyond, header, paired
from ctxext.reporting.participants import config, export, runs

LONGEST_NAME, RULES = 16, 3
FEW = 2
NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass
class Footnotes:
    """Reasons by their numbers, each once, in the order in which they were met; numbers don't tell them apart."""

    known: dict[str, list[list[str]]] = field(default_factory=dict)

    def mark(self, reason: str) -> str:
        """Return the mark ` [2]` of `reason`, and keep it."""
        form = NUMBER.sub("#", reason)
        self.known.setdefault(form, []).append(NUMBER.findall(reason))
        return f" [{list(self.known).index(form) + 1}]"

    @property
    def reasons(self) -> list[str]:
        """Each reason as a sentence, with the numbers of all that it stands for."""
        return [filled(form, list(zip(*numbers, strict=True))) for form, numbers in self.known.items()]


def filled(form: str, numbers: Sequence[Sequence[str]]) -> str:
    """Return the sentence `form` with each `#` replaced by its `numbers`: all of few, the range of many."""
    first, *parts = form.split("#") if numbers else [form]
    texts = []
    for place in numbers:
        values = sorted(set(place), key=float)
        texts.append(" or ".join(values) if len(values) <= FEW else f"{values[0]} to {values[-1]}")
    return first + "".join(text + part for text, part in zip(texts, parts, strict=True))


@dataclass(frozen=True)
class Sheet:
    """A comparison's blocks, and its reasons by number: those of the dashes, then of what is missing besides."""

    blocks: list[Block]
    reasons: list[str]


def sheet(comparison: Row, differences: Callable[[Row, Row], Block] = paired) -> Sheet:
    """Return `comparison` as blocks that have any rows, and its reasons; `differences` makes those of a table."""
    notes = Footnotes()
    made = [runs(comparison), config(comparison)]
    tables = shown_tables(comparison)
    for table in tables:
        mine = [other for other in tables if other.get("application", "") == table.get("application")]
        if table in mine[:1]:
            made.append(application_block(mine, partial(row_name, comparison), partial(cell, notes=notes)))
        made += [*([] if mine else [measured(comparison, table, notes)]), differences(comparison, table)]
    made += [*effective(comparison, notes), *cost(comparison), export(comparison)]
    besides = [sentence for sentence in comparison["missing"] if sentence not in notes.reasons]
    return Sheet([block for block in made if block.rows], notes.reasons + besides)


def shown_tables(comparison: Row) -> list[Row]:
    """Return the tables without that of nll where there is one of perplexity, its exponential."""
    measures = [table["measure"] for table in comparison["tables"]]
    return [table for table in comparison["tables"] if table["measure"] != "nll" or "perplexity" not in measures]


def measured(comparison: Row, table: Row, notes: Footnotes) -> Block:
    """Return the values of `table`, a row for each shared control and each subject of each run."""
    lengths = table["lengths"]
    names = row_names(comparison, table["rows"])
    rows = []
    for row, name in zip(table["rows"], names, strict=True):
        rows.append([name, *(cell(table["measure"], row, str(length), notes) for length in lengths)])
    title, measure = str(table["title"]), str(table["measure"])
    title = title if measure.lower() in title.lower() else f"{title} {measure}"
    target = ", * target" if set(table["targets"]) & set(lengths) else ""
    foot = [f"trained at {table['trained']}{target}", *seeded(table["rows"])]
    return Block(title, str(table.get("note", "")), header(table), rows, beyond(table), "; ".join(foot))


def seeded(rows: list[Row]) -> list[str]:
    """Return what `±` means, where any of `rows` stands for several seeds."""
    counts = {value["seeds"] for row in rows for value in row["values"].values() if "sd" in value and "seeds" in value}
    return [f"± standard deviation over {' or '.join(map(str, sorted(counts)))} seeds"] if counts else []


def row_name(comparison: Row, row: Row) -> str:
    """Return how a single `row` is called."""
    return row_names(comparison, [row])[0]


def row_names(comparison: Row, rows: list[Row]) -> list[str]:
    """Return how `rows` are called: a shared control by its subject, others by letter and name of the run.

    The subject of a run is said too, unless all rows are about the one that stands for its run.
    """
    named = {run["label"]: str(run.get("name", "")) for run in comparison["runs"]}
    plain = {run["label"]: run.get("subject") for run in comparison["runs"]}
    is_plain = all(row["subject"] == plain.get(row["run"]) for row in rows if row["run"])
    names = []
    for row in rows:
        name = named.get(row["run"], "")
        longest = LONGEST_NAME + 6 if is_plain else LONGEST_NAME
        name = name if len(name) <= longest else name[: longest - 1] + "…"
        subject = "" if is_plain and row["run"] else row["subject"]
        names.append(" ".join(word for word in (row["run"], name, subject) if word))
    return names


def cell(measure: str, row: Row, length: str, notes: Footnotes) -> str:
    """Return the value of `row` at `length`: with its deviation over seeds, or its interval below; or a dash."""
    value = row["values"].get(length)
    if value is None:
        reason = row.get("missing", {}).get(length)
        return DASH + (notes.mark(str(reason)) if reason else "")
    text = shown(measure, value["value"])
    if "sd" in value and value.get("seeds", 1) > 1 and not text.startswith(">"):
        return f"{text}±{shown(measure, value['sd'])}"
    if measure not in ("perplexity", "nll") and "low" in value and "high" in value:
        bounds = interval(value) if value["high"] <= 1 else f"{value['low']:.1f}-{value['high']:.1f}"
        return f"{text}\n{bounds}"
    return text


def shown(measure: str, value: float) -> str:
    """Return a value of `measure` in few characters."""
    if measure == "perplexity":
        return shown_perplexity(value)
    if measure == "nll":
        return f"{value:.3f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def effective(comparison: Row, notes: Footnotes) -> list[Block]:
    """Return the effective length of each subject of each run by each rule, three rules a block."""
    found = comparison["effective_length"]
    rules = list(dict.fromkeys(row["rule"] for row in found))
    cells = {}
    for row in found:
        reason = str(row.get("reason", "not measured"))
        text = shown_length(row) if "length" in row else short_of(reason) or DASH + notes.mark(reason)
        cells[row["run"], row["subject"], row["rule"]] = text
    who = {(row["run"], row["subject"]): row for row in found}
    names = row_names(comparison, list(who.values()))
    note = "≥: the longest evaluated length still passes; <: not even the shortest; low: lower end of the 95% interval"
    made = []
    for first in range(0, len(rules), RULES):
        some = rules[first : first + RULES]
        rows = [[name, *(cells.get((*one, rule), DASH) for rule in some)] for one, name in zip(who, names, strict=True)]
        made.append(Block("EFFECTIVE LENGTH", note, ["", *(rule.replace(" ", "\n") for rule in some)], rows))
    return made


def cost(comparison: Row) -> list[Block]:
    """Return what each run costs at its target length, or else the longest measured: what was timed, and counted."""
    targets = {run["label"]: run.get("target") for run in comparison["runs"]}
    longest = max((target for target in targets.values() if target), default=0)
    chosen = {
        label: cost_length([row for row in comparison["cost"] if row["run"] == label], targets.get(label) or longest)
        for label in {row["run"] for row in comparison["cost"]}
    }
    rows = [row for row in comparison["cost"] if row["length"] == chosen[row["run"]]]
    rows = [with_growth(row, comparison["cost"]) for row in standing(comparison, rows)]
    at = " or ".join(str(length) for length in sorted({row["length"] for row in rows}))
    keys = [key for key in UNITS if any(key in row for row in rows)]
    names = row_names(comparison, rows)
    made = []
    for title, note, some in (
        ("COST", f"at {at}, times of a token{circumstances(rows)}", [key for key in keys if key not in COUNTED]),
        ("ARITHMETIC", f"at {at}, FLOP and cache of a token", [key for key in keys if key in COUNTED]),
    ):
        lines = [[name, *(shown_cost(row, key) for key in some)] for name, row in zip(names, rows, strict=True)]
        lines = merged(lines, short_names(comparison, rows)) if title == "ARITHMETIC" else lines
        foot = UNSURE if "exponent" in some and not all(is_sure(row) for row in rows if "exponent" in row) else ""
        made.append(Block(title, note, ["", *(UNITS[key][0] for key in some)], lines if some else [], foot=foot))
    return made


def standing(comparison: Row, rows: list[Row]) -> list[Row]:
    """Return `rows` without those of a run before its training, where there are others of it after."""
    plain = {run["label"]: run.get("subject") for run in comparison["runs"]}
    after = {row["run"] for row in rows if row["subject"] == plain.get(row["run"])}
    return [row for row in rows if row["subject"] != "zero_shot" or row["run"] not in after or is_plain(row, plain)]


def is_plain(row: Row, plain: Row) -> bool:
    """Return whether `row` is of the subject that stands for its run, which `plain` has by label."""
    return bool(row["subject"] == plain.get(row["run"]))


def short_names(comparison: Row, rows: list[Row]) -> list[str]:
    """Return how `rows` are called where they share a line: a control by its subject, a run by its letter."""
    plain = {run["label"]: run.get("subject") for run in comparison["runs"]}
    return [
        row["run"] if is_plain(row, plain) else " ".join(word for word in (row["run"], row["subject"]) if word)
        for row in rows
    ]


def ranges(short: list[str], some: list[int]) -> list[str]:
    """Return the names in `short` of the rows `some`; of three runs or more in a row `A to C`."""
    series: list[list[int]] = []
    for index in some:
        follows = series and short[index].isupper() and series[-1][-1] == index - 1 and short[index - 1].isupper()
        series = [*series[:-1], [*series[-1], index]] if follows else [*series, [index]]
    names = []
    for row in series:
        names += [f"{short[row[0]]} to {short[row[-1]]}"] if len(row) > 2 else [short[index] for index in row]
    return names


def merged(lines: list[list[str]], short: list[str]) -> list[list[str]]:
    """Return `lines` with those of equal numbers as one, under their `short` names."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for index, (_, *cells) in enumerate(lines):
        groups.setdefault(tuple(cells), []).append(index)
    return [
        [lines[some[0]][0] if len(some) == 1 else ", ".join(ranges(short, some)), *cells]
        for cells, some in groups.items()
    ]
