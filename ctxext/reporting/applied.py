"""What a run measured of text and of what a model is used for, as blocks."""

from collections.abc import Callable

from ctxext.reporting.block import Block, by_length, interval, length_block
from ctxext.reporting.measured import SUBJECTS, Measured, Row

NEVER = " (never trained on)"
"""What is said of a group of pairs that was held out of training, such as a direction of translation."""
LEAD = " of lead-"
"""What stands in the metrics of a rule that no subject has a part in: the first sentences of a text as its summary."""


def language(results: Measured) -> Block:
    """Return the measures of text beside perplexity by length, a row for each measure and subject."""
    rows: list[list[str]] = []
    for measure in dict.fromkeys(row["measure"] for row in results.language):
        found = [row for row in results.language if row["measure"] == measure]
        rows += subject_rows(results, found, measure, lambda row: f"{row['value']:.3g}", ("language", measure))
    return length_block(results, "LANGUAGE", "", rows, notes(results.language), lengths_of(results.language))


def applications(results: Measured) -> list[Block]:
    """Return a block for each application and group of pairs, with a row for each metric and subject."""
    made = []
    groups = dict.fromkeys((row["application"], row["group"]) for row in results.applications)
    for application, group in groups:
        found = [row for row in results.applications if (row["application"], row["group"]) == (application, group)]
        lengths = lengths_of(found)
        rows: list[list[str]] = []
        for metric in dict.fromkeys(row["metric"] for row in found):
            mine = [row for row in found if row["metric"] == metric]
            names = ("applications", application, f"{application} {metric}")
            found_rows = subject_rows(results, mine, metric, shown_score, names)
            rows += [[metric, *found_rows[0][1:]]] if LEAD in metric else found_rows
        counts = sorted({row["n"] for row in found})
        never = NEVER * any(row.get("held_out") for row in found)
        note = (
            f"{group}{never}, " * bool(group) + f"{' to '.join(map(str, sorted({counts[0], counts[-1]})))} pairs a cell"
        )
        made.append(length_block(results, f"APPLICATION {application}", note, rows, notes(found), lengths))
    return made


def subject_rows(
    results: Measured, found: list[Row], name: str, shown: Callable[[Row], str], names: tuple[str, ...]
) -> list[list[str]]:
    """Return a row of cells for each subject among `found`, under the `name` of what was measured."""
    lengths, rows = lengths_of(found), []
    for subject in SUBJECTS:
        values = {row["length"]: shown(row) for row in found if row["subject"] == subject}
        if values:
            rows.append([f"{name}, {subject}", *by_length(results, values, (subject,), names, lengths)])
    return rows


def shown_score(row: Row) -> str:
    """Return a score, and its interval below if it has one."""
    if "low" not in row or "high" not in row:
        return f"{row['value']:.2f}"
    if max(row["high"], row["value"]) <= 1:
        return f"{row['value']:.2f}\n{interval(row)}"
    return f"{row['value']:.1f}\n{row['low']:.1f}-{row['high']:.1f}"


def lengths_of(rows: list[Row]) -> list[int]:
    """Return the lengths of `rows`, shortest first."""
    return sorted({row["length"] for row in rows})


def notes(rows: list[Row]) -> str:
    """Return what `rows` say of themselves: a scorer's signature, an evaluator, a count of key tokens, each once."""
    keys = ("signature", "evaluator", "note", "rule")
    said = dict.fromkeys(
        f"{row.get('metric', row.get('measure', ''))}: {row[key]}" for row in rows for key in keys if key in row
    )
    return "\n".join(said)


def samples(results: Measured) -> list[tuple[str, str, str]]:
    """Return the texts that rows of applications hold, of each subject those at the longest length.

    Each is what it is, what was asked and expected, and what was written.
    """
    chosen: dict[tuple[str, str, str], Row] = {}
    for row in results.applications:
        whose = (row["application"], row["group"], row["subject"])
        if row.get("samples") and row["length"] >= chosen.get(whose, row)["length"]:
            chosen[whose] = row
    made = []
    for (application, group, subject), row in chosen.items():
        at = f" at {row['length']}" if row["length"] else ""
        group = f"{group}{NEVER}" if chosen[application, group, subject].get("held_out") else group
        title = ", ".join(word for word in (application, group, f"{subject}{at}") if word not in ("", "all"))
        for sample in row["samples"]:
            target = f"\n→ {sample['target']}" if "target" in sample else ""
            made.append((title, f"{sample.get('source', '')}{target}", str(sample.get("prediction", ""))))
    return made
