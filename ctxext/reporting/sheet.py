"""A comparison as blocks and footnotes: one form for console, Markdown and page, so that all hold the same numbers."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ctxext.reporting.block import (
    COUNTED,
    DASH,
    UNITS,
    Block,
    circumstances,
    interval,
    length_name,
    shown_cost,
    shown_length,
    shown_perplexity,
    with_growth,
)
from ctxext.reporting.measured import Row
from ctxext.reporting.participants import config, export, runs

STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
LONGEST_NAME, RULES = 16, 3


@dataclass
class Footnotes:
    """Reasons by their numbers, each once, in the order in which they were met."""

    reasons: list[str] = field(default_factory=list)

    def mark(self, reason: str) -> str:
        """Return the mark ` [2]` of `reason`, and keep it."""
        if reason not in self.reasons:
            self.reasons.append(reason)
        return f" [{self.reasons.index(reason) + 1}]"


@dataclass(frozen=True)
class Sheet:
    """A comparison's blocks, and its reasons by number: those of the dashes, then of what is missing besides."""

    blocks: list[Block]
    reasons: list[str]


def sheet(comparison: Row) -> Sheet:
    """Return `comparison` as blocks that have any rows, and its reasons."""
    notes = Footnotes()
    made = [runs(comparison), config(comparison)]
    for table in shown_tables(comparison):
        made += [measured(comparison, table, notes), paired(comparison, table)]
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
    foot = [f"trained at {table['trained']}, * target", *seeded(table["rows"])]
    return Block(title, str(table.get("note", "")), header(table), rows, beyond(table), "; ".join(foot))


def seeded(rows: list[Row]) -> list[str]:
    """Return what `±` means, where any of `rows` stands for several seeds."""
    counts = {value["seeds"] for row in rows for value in row["values"].values() if "sd" in value and "seeds" in value}
    return [f"± standard deviation over {' or '.join(map(str, sorted(counts)))} seeds"] if counts else []


def header(table: Row) -> list[str]:
    """Return the headings of the lengths of `table`, those of targets marked."""
    return ["", *(length_name(length) + "*" * (length in table["targets"]) for length in table["lengths"])]


def beyond(table: Row) -> int:
    """Return how many lengths of `table` lie past the trained one."""
    return sum(length > table["trained"] for length in table["lengths"])


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
        name = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
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


def paired(comparison: Row, table: Row) -> Block:
    """Return the paired differences that belong to `table`; those of perplexity are of nll."""
    measures = ("perplexity", "nll") if table["measure"] == "perplexity" else (table["measure"],)
    found = [row for row in comparison["differences"] if row["measure"] in measures]
    pairs = dict.fromkeys(pair_name(comparison, row) for row in found)
    rows = []
    for pair in pairs:
        values = {row["length"]: difference(row) for row in found if pair_name(comparison, row) == pair}
        rows.append([pair, *(values.get(length, DASH) for length in table["lengths"])])
    names = ", ".join(dict.fromkeys(str(row["measure"]) for row in found))
    is_loss = table.get("lower_is_better", False)
    lines = [f"paired, {'below' if is_loss else 'above'} 0: the first is better" + significance(found)]
    if any(row["second_subject"] == "truncated" for row in found):
        lines.append(f"{'above' if is_loss else 'below'} 0 against truncated: worse than dropping the old text")
    title = f"{names.upper() if is_loss else names} DIFFERENCE"
    return Block(title, "the same documents or samples", header(table), rows, beyond(table), "\n".join(lines))


def pair_name(comparison: Row, row: Row) -> str:
    """Return how the pair of a difference is called: `B - A`, `A - truncated`, with the subjects that are not plain."""
    plain = {run["label"]: run.get("subject") for run in comparison["runs"]}
    first, second = row["first"], row["second"]
    left = first if row.get("first_subject") == plain.get(first) else f"{first} {row.get('first_subject', '')}"
    if first == second or row.get("second_subject") in ("base", "truncated"):
        return f"{left} - {row['second_subject']}"
    right = second if row.get("second_subject") == plain.get(second) else f"{second} {row.get('second_subject', '')}"
    return f"{left} - {right}"


def difference(row: Row) -> str:
    """Return a difference with its stars, or with `°` if it has no p-value and its interval includes 0."""
    p = row.get("p_holm", row.get("p"))
    if p is not None:
        mark = next((stars for bound, stars in STARS if p < bound), "")
    else:
        mark = "°" if row.get("low", 1) <= 0 <= row.get("high", -1) else ""
    return f"{row['difference']:+.3f}{mark}"


def significance(rows: Iterable[Row]) -> str:
    """Return what the marks of `rows` mean."""
    marks = {difference(row).lstrip("+-.0123456789") for row in rows}
    name = "p after Holm" if any("p_holm" in row for row in rows) else "p"
    known = [(stars, bound) for bound, stars in reversed(STARS) if stars in marks]
    bounds = ", ".join(f"{stars} below {bound:g}" for stars, bound in known)
    return (f"; {name}: {bounds}" if known else "") + ("; ° the interval includes 0" if "°" in marks else "")


def effective(comparison: Row, notes: Footnotes) -> list[Block]:
    """Return the effective length of each subject of each run by each rule, three rules a block."""
    found = comparison["effective_length"]
    rules = list(dict.fromkeys(row["rule"] for row in found))
    cells = {}
    for row in found:
        text = shown_length(row) if "length" in row else DASH + notes.mark(str(row.get("reason", "not measured")))
        cells[row["run"], row["subject"], row["rule"]] = text
    who = {(row["run"], row["subject"]): row for row in found}
    names = row_names(comparison, list(who.values()))
    note = "≥: the longest evaluated length still passes; low: lower end of the 95% interval"
    made = []
    for first in range(0, len(rules), RULES):
        some = rules[first : first + RULES]
        rows = [[name, *(cells.get((*one, rule), DASH) for rule in some)] for one, name in zip(who, names, strict=True)]
        made.append(Block("EFFECTIVE LENGTH", note, ["", *(rule.replace(" ", "\n") for rule in some)], rows))
    return made


def cost(comparison: Row) -> list[Block]:
    """Return what each run costs at its target length: what was measured on a machine, and what was counted."""
    targets = {run["label"]: run.get("target") for run in comparison["runs"]}
    longest = max((target for target in targets.values() if target), default=0)
    rows = [row for row in comparison["cost"] if row["length"] == (targets.get(row["run"]) or longest)]
    rows = [with_growth(row, comparison["cost"]) for row in rows]
    at = " or ".join(str(length) for length in sorted({row["length"] for row in rows}))
    keys = [key for key in UNITS if any(key in row for row in rows)]
    names = row_names(comparison, rows)
    made = []
    for title, note, some in (
        ("COST", f"at {at}, times of a token{circumstances(rows)}", [key for key in keys if key not in COUNTED]),
        ("ARITHMETIC", f"at {at}, FLOP and cache of a token", [key for key in keys if key in COUNTED]),
    ):
        lines = [[name, *(shown_cost(row, key) for key in some)] for name, row in zip(names, rows, strict=True)]
        made.append(Block(title, note, ["", *(UNITS[key][0] for key in some)], lines if some else []))
    return made
