"""The paired differences of a comparison as blocks, with the marks of what is more than chance."""

from collections.abc import Iterable

from ctxext.reporting.block import DASH, Block, length_name
from ctxext.reporting.measured import Row

STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
SAME = "the same documents or samples"
LONGEST = 24
PAIR = 2


def header(table: Row) -> list[str]:
    """Return the headings of the lengths of `table`, those of targets marked."""
    return ["", *(length_name(length) + "*" * (length in table["targets"]) for length in table["lengths"])]


def beyond(table: Row) -> int:
    """Return how many lengths of `table` lie past the trained one."""
    return sum(length > table["trained"] for length in table["lengths"])


def paired(comparison: Row, table: Row) -> Block:
    """Return the paired differences that belong to `table`; those of perplexity are of nll."""
    found = of_table(comparison, table)
    pairs = dict.fromkeys(pair_name(comparison, row) for row in found)
    rows = []
    for pair in pairs:
        values = {row["length"]: difference(row) for row in found if pair_name(comparison, row) == pair}
        rows.append([pair, *(values.get(length, DASH) for length in table["lengths"])])
    foot = "\n".join([meaning(table, found), *cautions(comparison, found)])
    return Block(title_of(table, found), SAME, header(table), rows, beyond(table), foot)


def at_one_length(comparison: Row, table: Row) -> Block:
    """Return the paired differences that belong to `table` at the target, or else the longest length, a row a run.

    It is the form for many runs: a column for what each of them is compared with.
    """
    found = of_table(comparison, table)
    known = {row["length"] for row in found}
    length = next((target for target in table["targets"] if target in known), max(known, default=0))
    found = [row for row in found if row["length"] == length]
    cells = {(row["first"], second_name(comparison, row)): difference(row) for row in found}
    seconds = list(dict.fromkeys(second for _, second in cells))
    names = {run["label"]: f"{run['label']} {run.get('name', '')}"[:LONGEST] for run in comparison["runs"]}
    rows = [
        [names.get(first, first), *(cells.get((first, second), DASH) for second in seconds)]
        for first in dict.fromkeys(first for first, _ in cells)
    ]
    title = f"{title_of(table, found)} at {length}"
    foot = "\n".join([meaning(table, found), *cautions(comparison, found), "other lengths: --markdown, --html, --json"])
    return Block(title, SAME, ["", *(f"- {second}" for second in seconds)], rows, foot=foot)


def of_table(comparison: Row, table: Row) -> list[Row]:
    """Return the differences of `comparison` that belong to `table`; those of perplexity are of nll."""
    measures = ("perplexity", "nll") if table["measure"] == "perplexity" else (table["measure"],)
    return [row for row in comparison["differences"] if row["measure"] in measures]


def title_of(table: Row, found: list[Row]) -> str:
    """Return the title of the differences `found` of `table`."""
    names = ", ".join(dict.fromkeys(str(row["measure"]) for row in found))
    return f"{names.upper() if table.get('lower_is_better', False) else names} DIFFERENCE"


def meaning(table: Row, found: list[Row]) -> str:
    """Return what the signs and the marks of the differences `found` of `table` say."""
    is_loss = table.get("lower_is_better", False)
    lines = [f"paired, {'below' if is_loss else 'above'} 0: the first is better" + significance(found)]
    if any(row["second_subject"] == "truncated" for row in found):
        lines.append(f"{'above' if is_loss else 'below'} 0 against truncated: worse than dropping the old text")
    return "\n".join(lines)


def cautions(comparison: Row, found: list[Row]) -> list[str]:
    """Return what is to be known of how the p-values of the differences `found` of `comparison` were made."""
    lines = ["Holm: over all pairs and lengths of the measure"] if any("p_holm" in row for row in found) else []
    seconds = {row["second"] for row in found if row["first"] != row["second"]}
    if len(comparison["runs"]) > PAIR and seconds:
        lines.append(f"{' '.join(sorted(seconds))} was chosen as the best on these same data, which flatters it")
    if any("seeds" in row for row in found):
        lines.append("over seeds and documents or samples: both variances added, Student's t")
    return lines


def pair_name(comparison: Row, row: Row) -> str:
    """Return how the pair of a difference is called: `B - A`, `A - truncated`, with the subjects that are not plain."""
    plain = {run["label"]: run.get("subject") for run in comparison["runs"]}
    first = row["first"]
    left = first if row.get("first_subject") == plain.get(first) else f"{first} {row.get('first_subject', '')}"
    return f"{left} - {second_name(comparison, row)}"


def second_name(comparison: Row, row: Row) -> str:
    """Return what is subtracted in `row`: a control by its subject, a run by its letter."""
    plain = {run["label"]: run.get("subject") for run in comparison["runs"]}
    second, subject = row["second"], row.get("second_subject", "")
    if row["first"] == second or subject in ("base", "truncated"):
        return str(subject)
    return str(second) if subject == plain.get(second) else f"{second} {subject}"


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
