"""The results of a run as blocks of text cells, from which the console and the Markdown tables are drawn alike."""

from collections.abc import Iterator
from dataclasses import dataclass

from ctxext.reporting.measured import Measured, Point, Row, differences, method, subjects, tasks

DASH = "\u2013"


@dataclass(frozen=True)
class Block:
    """One table: `rows` of cells under `header`; `beyond` columns at its right end lie past the trained length."""

    title: str
    note: str
    header: list[str]
    rows: list[list[str]]
    beyond: int = 0
    foot: str = ""


def blocks(results: Measured) -> Iterator[Block]:
    """Yield the tables of `results` that have any rows, in the order in which they are read."""
    made = [perplexity(results), loss_differences(results)]
    made += [retrieval(results, task) for task in tasks(results)]
    made += [effective(results), cost(results), export(results)]
    return (block for block in made if block.rows)


def perplexity(results: Measured) -> Block:
    """Return the perplexity of each subject by length."""
    rows = []
    for subject in subjects(results):
        values = {point[0]: shown_perplexity(point[1]) for point in results.curve(subject, "perplexity")}
        if values:
            rows.append([subject, *by_length(results, values, (subject,), ("by_length", "perplexity", "nll"))])
    protocol = results.protocol
    tokens, documents = protocol.get("scored_tokens"), protocol.get("documents")
    note = f"the same last {tokens} tokens of {documents} documents at every length" if tokens and documents else ""
    return length_block(
        results,
        "PERPLEXITY",
        note,
        rows,
        f"trained at {results.lengths['trained']}, target* {results.lengths['target']}{stride_of(results)}",
    )


def stride_of(results: Measured) -> str:
    """Return what is to be known of the truncation control where a pass of it scored more than one token."""
    stride, trained = results.protocol.get("truncated_stride", 1), results.lengths["trained"]
    return "" if stride == 1 else f"; truncated sees {trained - stride + 1} to {trained} tokens, {stride} scored a pass"


def loss_differences(results: Measured) -> Block:
    """Return how far the method's nll is from that of the base and of the truncation control."""
    first, rows, paired = method(results), [], False
    for second in ("base", "truncated"):
        points = differences(results, first, second)
        paired = paired or any(point[2] is not None for point in points)
        values = {point[0]: f"{point[1]:+.3f}{star(point)}" for point in points}
        if values:
            rows.append([f"{first} - {second}", *by_length(results, values, (first, second), ("by_length", "nll"))])
    foot = "below 0: better; above 0 against truncated: worse than dropping the old text"
    foot += "\n° the paired 95% interval includes 0" if paired else ""
    return length_block(results, "NLL DIFFERENCE", "nats a token, the same tokens", rows, foot)


def star(point: Point) -> str:
    """Return the mark of a difference whose paired interval includes 0."""
    _, _, low, high = point
    return "°" if low is not None and high is not None and low <= 0 <= high else ""


def retrieval(results: Measured, task: str) -> Block:
    """Return the score of each subject in `task` by length, over all depths, with its interval."""
    rows: list[list[str]] = []
    totals: list[Row] = []
    for subject in subjects(results):
        totals = results.totals(task, subject) or totals
        values = {row["length"]: f"{row['value']:.2f}\n{interval(row)}" for row in results.totals(task, subject)}
        if values:
            rows.append([subject, *by_length(results, values, (subject,), (task,))])
    note = ""
    if totals:
        counts = sorted({row["n"] for row in results.tasks if row["task"] == task and row["depth"] == "all"})
        many = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
        note = f"{totals[0]['metric']} (chance {totals[0]['chance']:.2f}), {many} samples a cell, with 95% intervals"
    return length_block(results, f"RETRIEVAL {task}", note, rows, "")


def interval(row: Row) -> str:
    """Return the interval of a score between 0 and 1 in few characters: `.84-.99`."""
    return "-".join(f"{row[key]:.2f}".removeprefix("0") for key in ("low", "high"))


def effective(results: Measured) -> Block:
    """Return the effective length of each subject by each rule."""
    rules = list(dict.fromkeys(row["rule"] for row in results.effective_length))
    named = subjects(results)
    cells = {(row["rule"], row["subject"]): shown_length(row) for row in results.effective_length}
    rows = [
        [
            rule,
            *(cells.get((rule, s)) or DASH + footnote(results, (s,), 0, (f"effective_length {rule}",)) for s in named),
        ]
        for rule in rules
    ]
    return Block("EFFECTIVE LENGTH", "≥: the longest evaluated length still passes", ["", *named], rows)


def shown_length(row: Row) -> str:
    """Return an effective length with `≥` when the sweep ended before the model did, and its lower bound."""
    length = f"≥ {row['length']}" if row.get("at_least") else f"{row['length']}"
    return f"{length} (low {row['low']})" if "low" in row and row["low"] != row["length"] else length


def cost(results: Measured) -> Block:
    """Return time and memory of each subject at the target length."""
    target = results.lengths["target"]
    units = {
        "ms_per_token": ("ms a token", 1.0),
        "peak_bytes": ("peak GB", 1e-9),
        "cache_bytes_per_token": ("cache kB a token", 1e-3),
        "flops_per_token": ("MFLOP a token", 1e-6),
        "mask_density": ("mask density", 1.0),
    }
    at_target = [row for row in results.cost if row["length"] == target]
    keys = [key for key in units if any(key in row for row in at_target)]
    rows = [
        [row["subject"], *(f"{row[key] * units[key][1]:.3g}" if key in row else DASH for key in keys)]
        for row in at_target
    ]
    return Block("COST", f"at {target}", ["", *(units[key][0] for key in keys)], rows)


def export(results: Measured) -> Block:
    """Return the formats that were written and how exact they are."""
    row = results.export
    if not row:
        return Block("EXPORT", "", [], [])
    keys = [key for key in ("format", "label", "max_logit_difference", "reason") if key in row]
    names = {"max_logit_difference": "largest logit difference"}
    cells = [f"{row[key]:.1e}" if isinstance(row[key], float) else str(row[key]) for key in keys]
    return Block("EXPORT", "", [names.get(key, key) for key in keys], [cells])


def length_block(results: Measured, title: str, note: str, rows: list[list[str]], foot: str) -> Block:
    """Return a block with a column for each evaluated length, the target's marked."""
    lengths, target, trained = columns(results), results.lengths["target"], results.lengths["trained"]
    header = ["", *(f"{length}*" if length == target else f"{length}" for length in lengths)]
    return Block(title, note, header, rows, sum(length > trained for length in lengths), foot)


def columns(results: Measured) -> list[int]:
    """Return the evaluated lengths, shortest first."""
    return sorted(results.lengths["evaluated"])


def by_length(results: Measured, values: dict[int, str], named: tuple[str, ...], names: tuple[str, ...]) -> list[str]:
    """Return a cell for each length: its value, or a dash with the number of the reason in `missing`.

    The value is made from what the subjects `named` measured.
    """
    return [values.get(n) or DASH + footnote(results, named, n, names) for n in columns(results)]


def footnote(results: Measured, named: tuple[str, ...], length: int, names: tuple[str, ...]) -> str:
    """Return ` [3]` when the third entry of `missing` is about one `named`, at `length` and one of `names`."""
    for number, row in enumerate(results.missing, start=1):
        is_theirs = row.get("subject", named[0]) in named
        if row["what"] in names and is_theirs and row.get("length", length) == length:
            return f" [{number}]"
    return ""


def shown_perplexity(value: float) -> str:
    """Return a perplexity in at most six characters; the file keeps the whole."""
    return ">1e3" if value > 1000 else f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def absences(results: Measured) -> list[str]:
    """Return a sentence for each entry of `missing`, in their numbered order."""
    sentences = []
    for row in results.missing:
        place = " ".join(str(row[key]) for key in ("subject", "what") if key in row)
        place += f" at {row['length']}" if "length" in row else ""
        sentences.append(f"{place}: {row['reason']}")
    return sentences
