"""The charts of a comparison: each of its measures and each cost against length, a line for each run and control."""

from collections.abc import Iterator

from ctxext.reporting.block import UNITS
from ctxext.reporting.chart import AMOUNT, ANY, SHARE, Chart, Series
from ctxext.reporting.measured import Row
from ctxext.reporting.sheet import shown_tables

COSTS = {
    "ms_per_token": "Prefill, ms a token",
    "decode_ms_per_token": "Decode, ms a token",
    "peak_bytes": "Peak memory, GB",
    "cache_bytes_per_token": "Cache, kB a token",
}
CONTROLS = ("base", "truncated")


def charts(comparison: Row) -> Iterator[Chart]:
    """Yield a chart for each table of `comparison` and each kind of cost that varies, with two lengths or more."""
    for title, table in drawn_tables(comparison):
        chart = Chart(
            title,
            str(table["measure"]),
            lines(comparison, table["rows"]),
            table["trained"],
            table["targets"],
            SHARE if holds_shares(table) else ANY,
            table.get("chance", 0.0),
        )
        if len(chart.lengths) > 1:
            yield chart
    for key, title in COSTS.items():
        runs = comparison["runs"]
        targets = sorted({run["target"] for run in runs if "target" in run})
        trained = min((run["trained"] for run in runs if "trained" in run), default=0)
        chart = Chart(title, title, lines(comparison, cost_rows(comparison["cost"], key)), trained, targets, AMOUNT)
        if len(chart.lengths) > 1 and varies(chart):
            yield chart


def drawn_tables(comparison: Row) -> Iterator[tuple[str, Row]]:
    """Yield title and table of each picture: one for all runs, or one for each where they read different data."""
    is_shared = len(comparison["runs"]) == 1 or "data" in comparison.get("same", [])
    for table in shown_tables(comparison):
        if is_shared:
            yield name_of(table), table
            continue
        for run in comparison["runs"]:
            mine = [row for row in table["rows"] if row["run"] in ("", run["label"])]
            rows = [row | {"run": ""} if row["subject"] in CONTROLS else row for row in mine]
            yield f"{name_of(table)}, {run['label']} {run.get('name', '')}", table | {"rows": rows}


def varies(chart: Chart) -> bool:
    """Return whether the values of `chart` differ by more than a twentieth: what is flat is said by the table."""
    values = [point[1] for series in chart.series for point in series.points]
    return max(values) > 1.05 * min(values)


def name_of(table: Row) -> str:
    """Return the title of a table's chart."""
    measure = str(table["measure"])
    return measure[:1].upper() + measure[1:].replace("_", " ") + " by length"


def holds_shares(table: Row) -> bool:
    """Return whether the values of `table` are shares of 1: scores, of which more is better."""
    values = [value["value"] for row in table["rows"] for value in row["values"].values()]
    return not table.get("lower_is_better", False) and all(0 <= value <= 1 for value in values)


def cost_rows(rows: list[Row], key: str) -> list[Row]:
    """Return `key` of rows of cost in the form of the rows of a table."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        if key in row:
            one = found.setdefault((row["run"], row["subject"]), {"run": row["run"], "subject": row["subject"]})
            one.setdefault("values", {})[str(row["length"])] = {"value": row[key] * UNITS[key][1]}
    return list(found.values())


def lines(comparison: Row, rows: list[Row]) -> list[Series]:
    """Return a line for each control and for the subject that stands for each run."""
    runs = {run["label"]: (index, run) for index, run in enumerate(comparison["runs"])}
    made = []
    for row in rows:
        points = [point(int(length), value) for length, value in row["values"].items()]
        points.sort()
        if not row["run"]:
            look = row["subject"] if row["subject"] in CONTROLS else "base"
            made.append(Series(row["subject"], "", look, points))
        elif row["subject"] == runs[row["run"]][1].get("subject"):
            index, run = runs[row["run"]]
            made.append(Series(f"{row['run']} {run.get('name', '')}", row["run"], str(index), points))
    return [series for series in made if series.points]


def point(length: int, value: Row) -> tuple[int, float, float, float]:
    """Return a value at `length` with its bounds: its interval, or its deviation over seeds to either side."""
    middle = float(value["value"])
    if "sd" in value and value.get("seeds", 1) > 1:
        return length, middle, middle - value["sd"], middle + value["sd"]
    return length, middle, float(value.get("low", middle)), float(value.get("high", middle))
