"""The results of a run as blocks, in the order in which they are read."""

from collections.abc import Iterator

from ctxext.reporting.applied import applications, language
from ctxext.reporting.block import (
    DASH,
    PER_TOKEN,
    UNITS,
    UNSURE,
    Block,
    by_length,
    circumstances,
    columns,
    cost_length,
    cost_name,
    footnote,
    interval,
    is_sure,
    length_block,
    short_of,
    shown_cost,
    shown_length,
    shown_perplexity,
    with_growth,
)
from ctxext.reporting.measured import SUBJECTS, Measured, Point, Row, differences, method, subjects, tasks

RULE = "effective_length "
TIMES = ("ms_per_token", "decode_ms_per_token", "peak_bytes", "cache_bytes_per_token", "flops_per_token")


def blocks(results: Measured) -> Iterator[Block]:
    """Yield the tables of `results` that have any rows, in the order in which they are read."""
    made = [perplexity(results), loss_differences(results), language(results)]
    made += [retrieval(results, task) for task in tasks(results)]
    made += applications(results)
    made += [effective(results), cost(results), cost_ratio(results), export(results)]
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
        f"trained at {results.lengths['trained']}, {target_of(results)}{stride_of(results)}",
    )


def target_of(results: Measured) -> str:
    """Return the target in words, with the star of its column if it has one."""
    target = results.lengths["target"]
    return f"target{'*' * (target in columns(results))} {target}"


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
    """Return the score of each subject in `task` by length, over all depths, with its interval.

    The first column is the task without filler, where that was measured: what can be had at best.
    """
    totals = {subject: results.totals(task, subject) for subject in subjects(results)}
    lengths = sorted({*columns(results), *(row["length"] for rows in totals.values() for row in rows)})
    rows = []
    for subject, found in totals.items():
        values = {row["length"]: f"{row['value']:.2f}\n{interval(row)}" for row in found}
        if values:
            rows.append([subject, *by_length(results, values, (subject,), (task,), lengths)])
    every = [row for found in totals.values() for row in found]
    return length_block(results, f"RETRIEVAL {task}", counted(every), rows, "", lengths)


def counted(totals: list[Row]) -> str:
    """Return by which metric `totals` were scored, what a guess scores, and on how many samples."""
    if not totals:
        return ""
    counts = sorted({row["n"] for row in totals})
    many = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    metrics = ", ".join(dict.fromkeys(str(row["metric"]) for row in totals))
    return f"{metrics} (chance {totals[-1]['chance']:.2f}), {many} samples a cell, with 95% intervals"


def effective(results: Measured) -> Block:
    """Return the effective length of each subject by each rule."""
    named = subjects(results)
    cells = {(row["rule"], row["subject"]): shown_length(row) for row in results.effective_length}
    for row in results.missing:
        if row["what"].startswith(RULE) and short_of(row["reason"]):
            cells[row["what"].removeprefix(RULE), row.get("subject", "")] = short_of(row["reason"])
    rules = dict.fromkeys(rule for rule, _ in cells)
    rows = [
        [
            rule,
            *(cells.get((rule, s)) or DASH + footnote(results, (s,), 0, (f"effective_length {rule}",)) for s in named),
        ]
        for rule in rules
    ]
    note = "≥: the longest evaluated length still passes; <: not even the shortest; low: lower end of the 95% interval"
    return Block("EFFECTIVE LENGTH", note, ["", *named], rows)


def cost(results: Measured) -> Block:
    """Return what each subject costs at the target length, or else the longest measured one, a row a number."""
    length = cost_length(results.cost, results.lengths["target"])
    found = at_length(results.cost, length)
    at_target = {subject: with_growth(row, results.cost) for subject, row in found.items()}
    keys = [key for key in UNITS if any(key in row for row in at_target.values())]
    rows = [[cost_name(key), *(shown_cost(row, key) for row in at_target.values())] for key in keys]
    foot = "time ~ L^: slope of ln(time) on ln(length); 1 is linear, 2 quadratic" if "exponent" in keys else ""
    foot += f"\n{UNSURE}" * any("exponent" in row and not is_sure(row) for row in at_target.values())
    note = f"at {length}; {PER_TOKEN}{circumstances(list(found.values()))}"
    return Block("COST", note, ["", *at_target], rows, foot=foot)


def cost_ratio(results: Measured) -> Block:
    """Return what the method costs at each length as a multiple of what the base costs there."""
    first = method(results)
    rows = []
    for key in TIMES:
        values = ratios(results.cost, first, key)
        if values:
            rows.append([cost_name(key), *by_length(results, values, (first, "base"), ("cost",))])
    return length_block(results, "COST AGAINST BASE", f"{first} as a multiple of base, at the same length", rows, "")


def ratios(rows: list[Row], first: str, key: str) -> dict[int, str]:
    """Return the number `key` of `first` as a multiple of the base's, by length where both have it."""
    values = {(row["subject"], row["length"]): row[key] for row in rows if key in row}
    pairs = {length: (value, values.get(("base", length))) for (who, length), value in values.items() if who == first}
    return {length: f"{mine / base:.2f}" for length, (mine, base) in pairs.items() if base}


def at_length(rows: list[Row], length: int) -> dict[str, Row]:
    """Return those of `rows` at `length` by their subject, in the contract's order."""
    found = {row["subject"]: row for row in rows if row["length"] == length}
    return {subject: found[subject] for subject in SUBJECTS if subject in found}


def export(results: Measured) -> Block:
    """Return the formats that were written and how exact they are."""
    row = results.export
    if not row:
        return Block("EXPORT", "", [], [])
    keys = [key for key in ("format", "label", "max_logit_difference", "reason") if key in row]
    names = {"max_logit_difference": "largest logit difference"}
    cells = [f"{row[key]:.1e}" if isinstance(row[key], float) else str(row[key]) for key in keys]
    return Block("EXPORT", "", [names.get(key, key) for key in keys], [cells])
