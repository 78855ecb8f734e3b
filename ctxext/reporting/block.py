"""A table as cells of text, from which console, Markdown and page are drawn alike, and how cells are written."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ctxext.reporting.measured import Measured, Row

DASH = "\u2013"
NO_FILLER = "no filler"
FAILED_AT_ONCE = re.compile(r"^the (?:nll|score) at (\d+) is .*already ")

UNITS = {
    "parameters": ("weights\nM", 1e-6),
    "flops_per_token": ("forward\nMFLOP", 1e-6),
    "computed_flops_per_token": ("computed\nMFLOP", 1e-6),
    "mask_density": ("mask\ndensity", 1.0),
    "ms_per_token": ("prefill\nms", 1.0),
    "decode_ms_per_token": ("decode\nms", 1.0),
    "peak_bytes": ("peak\nGB", 1e-9),
    "cache_bytes_per_token": ("cache\nkB", 1e-3),
    "exponent": ("time\n~ L^", 1.0),
    "r_squared": ("fit\nR\u00b2", 1.0),
}
"""The keys of a row of cost in the order in which they are shown, each with its heading and scale."""
COUNTED = ("parameters", "flops_per_token", "computed_flops_per_token", "mask_density", "cache_bytes_per_token")
"""The keys that follow from what the model is; the others were measured on a machine."""
GOOD_FIT, ENOUGH_REPEATS = 0.9, 3
UNSURE = f"{DASH}: timings that fit no power (R\u00b2 below {GOOD_FIT}) or fewer than {ENOUGH_REPEATS} tries each"
"""Why there may be an R\u00b2 without an exponent."""
PER_TOKEN = "times, FLOP and cache are those of a token"


@dataclass(frozen=True)
class Block:
    """One table: `rows` of cells under `header`; `beyond` columns at its right end lie past the trained length.

    A cell's second line is its interval. Cells of a block that `holds_words` may be long, and stand left.
    """

    title: str
    note: str
    header: list[str]
    rows: list[list[str]]
    beyond: int = 0
    foot: str = ""
    holds_words: bool = False


def length_block(
    results: Measured, title: str, note: str, rows: list[list[str]], foot: str, lengths: Sequence[int] = ()
) -> Block:
    """Return a block with a column for each of `lengths` (the evaluated ones if none are named), the target's marked.

    Length 0 is the column of tasks without filler.
    """
    target, trained = results.lengths["target"], results.lengths["trained"]
    lengths = lengths or columns(results)
    header = ["", *(length_name(length) + "*" * (length == target) for length in lengths)]
    return Block(title, note, header, rows, sum(length > trained for length in lengths), foot)


def length_name(length: int) -> str:
    """Return the heading of a column of `length` tokens."""
    return f"{length}" if length else NO_FILLER


def columns(results: Measured) -> list[int]:
    """Return the evaluated lengths, shortest first."""
    return sorted(results.lengths["evaluated"])


def by_length(
    results: Measured,
    values: dict[int, str],
    named: tuple[str, ...],
    names: tuple[str, ...],
    lengths: Sequence[int] = (),
) -> list[str]:
    """Return a cell for each length: its value, or a dash with the number of the reason in `missing`.

    The value is made from what the subjects `named` measured; `names` are what `missing` may call it.
    """
    return [values.get(n) or DASH + footnote(results, named, n, names) for n in lengths or columns(results)]


def footnote(results: Measured, named: tuple[str, ...], length: int, names: tuple[str, ...]) -> str:
    """Return ` [3]` when the third reason that is told is about one `named`, at `length` and one of `names`."""
    for number, rows in enumerate(gathered(results), start=1):
        for row in rows:
            is_theirs = row.get("subject", named[0]) in named
            if row["what"] in names and is_theirs and row.get("length", length) == length:
                return f" [{number}]"
    return ""


def gathered(results: Measured) -> list[list[Row]]:
    """Return the entries of `missing` that are told, those of one thing with one reason together."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in results.missing:
        if not short_of(row["reason"]):
            found.setdefault((row["what"], row["reason"]), []).append(row)
    return list(found.values())


def absences(results: Measured) -> list[str]:
    """Return a sentence for each thing and reason that are told, with all subjects and lengths, in numbered order."""
    sentences = []
    for rows in gathered(results):
        whose = ", ".join(dict.fromkeys(row["subject"] for row in rows if "subject" in row))
        lengths = dict.fromkeys(str(row["length"] or NO_FILLER) for row in rows if "length" in row)
        place = f"{whose} {rows[0]['what']}".strip() + (f" at {', '.join(lengths)}" if lengths else "")
        sentences.append(f"{place}: {rows[0]['reason']}")
    return sentences


def short_of(reason: str) -> str:
    """Return `< 256` where `reason` says that a rule of effective length failed at the shortest length, 256."""
    found = FAILED_AT_ONCE.search(reason)
    return f"< {found[1]}" if found else ""


def interval(row: Row) -> str:
    """Return the interval of a score between 0 and 1 in few characters: `.84-.99`."""
    return "-".join(f"{row[key]:.2f}".removeprefix("0") for key in ("low", "high"))


def shown_perplexity(value: float) -> str:
    """Return a perplexity in at most six characters; the file keeps the whole."""
    return ">1e3" if value > 1000 else f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def shown_length(row: Row) -> str:
    """Return an effective length with `≥` when the sweep ended before the model did, and its lower bound."""
    length = f"≥ {row['length']}" if row.get("at_least") else f"{row['length']}"
    return f"{length} (low {row['low']})" if "low" in row and row["low"] != row["length"] else length


def cost_length(rows: list[Row], target: int) -> int:
    """Return the length at which rows of cost are shown: the `target`, or else the longest of them."""
    lengths = [row["length"] for row in rows]
    return target if target in lengths else max(lengths, default=target)


def cost_name(key: str) -> str:
    """Return how the number `key` of a row of cost is called on one line."""
    return UNITS[key][0].replace("\n", " ")


def shown_cost(row: Row, key: str) -> str:
    """Return the number `key` of a row of cost in its unit, or a dash."""
    if key not in row or (key == "exponent" and not is_sure(row)):
        return DASH
    return f"{row[key] * UNITS[key][1]:.3g}"


def is_sure(row: Row) -> bool:
    """Return whether the exponent in `row` rests on timings that agree: a good fit, and of enough tries each."""
    return bool(row.get("r_squared", 1.0) >= GOOD_FIT and row.get("repeats", ENOUGH_REPEATS) >= ENOUGH_REPEATS)


def with_growth(row: Row, rows: list[Row]) -> Row:
    """Return a row of cost with how its subject's time grows with the length, which the longest of `rows` says."""
    who = [row.get(key) for key in ("run", "subject")]
    theirs = [other for other in rows if [other.get(key) for key in ("run", "subject")] == who]
    return {key: other[key] for other in theirs for key in ("exponent", "r_squared") if key in other} | row


def circumstances(rows: list[Row]) -> str:
    """Return on what the costs in `rows` were measured."""
    keys = ("device", "threads", "dtype")
    said = [", ".join(f"{key} {row[key]}" for key in keys if key in row) for row in rows]
    known = " or ".join(dict.fromkeys(text for text in said if text))
    return f"; {known}" if known else ""


def calm(title: str) -> str:
    """Return a table's title without its capitals, but for those of an abbreviation."""
    words = [word.lower() if word.isupper() and word != "NLL" else word for word in title.split(" ")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])
