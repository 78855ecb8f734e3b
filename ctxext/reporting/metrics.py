"""An application of a comparison as one table: a row for each group and subject, a column for each metric."""

from collections.abc import Callable

from ctxext.reporting.applied import NEVER
from ctxext.reporting.block import DASH, Block, length_name
from ctxext.reporting.measured import Row


def application_block(tables: list[Row], name: Callable[[Row], str], cell: Callable[[str, Row, str], str]) -> Block:
    """Return the `tables` of one application as a block; `name` says whose a row is, and `cell` draws a value.

    A row has its length where there are several.
    """
    metrics = list(dict.fromkeys(str(table["metric"]) for table in tables))
    lengths = {length for table in tables for length in table["lengths"]}
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for table in tables:
        group = "" if table["group"] in ("", "all") else f"{table['group']}{NEVER * bool(table.get('held_out'))}"
        for row in table["rows"]:
            for length in table["lengths"]:
                words = (group, name(row), *([length_name(length)] if len(lengths) > 1 else []))
                lines.setdefault(words, {})[str(table["metric"])] = cell(str(table["measure"]), row, str(length))
    rows = [
        [", ".join(filter(None, words)), *(values.get(metric, DASH) for metric in metrics)]
        for words, values in lines.items()
        if any(not value.startswith(DASH) for value in values.values())
    ]
    lengths_told = "" if len(lengths) > 1 else f"at {length_name(*lengths)}"
    return Block(str(tables[0]["application"]).upper().replace("_", " "), lengths_told, ["", *metrics], rows)
