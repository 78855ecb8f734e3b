"""The numbers of a run's results by measure, subject and length, whichever section they stand in."""

from collections.abc import Iterable, Iterator

from ctxext.evaluation.results import Results, Row, point

TEXT = ("perplexity", "nll", "bits_per_byte")
LOWER = {*TEXT, "longppl", "sliding", "sliding_yarn", "shift", "ter", "repetition-4", "bits per byte"}
"""The measures that are better when lower, by the last of their words."""

Cells = dict[tuple[str, int], Row]
"""The cell of each subject and length: its `value`, and `low`, `high`, `n`, `metric`, `chance` where there are any."""


def measured(results: Results) -> dict[str, Cells]:
    """Return the cells of each measure of `results`: of text, of each task, and of each application and metric."""
    found: dict[str, Cells] = {}
    for measure, row, cell in rows(results):
        found.setdefault(measure, {})[row["subject"], row["length"]] = cell
    return found


def rows(results: Results) -> Iterator[tuple[str, Row, Row]]:
    """Yield measure, row of `results`, and cell of everything that is measured by length."""
    for measure in TEXT:
        for row in results.by_length:
            if measure in row:
                value = point(row, measure)
                bounds = {} if value.low is None else {"low": value.low, "high": value.high}
                documents = results.protocol.get("documents")
                counted = {"n": documents} if isinstance(documents, int) else {}
                yield measure, row, {"value": value.value, **bounds, **counted}
    for row in results.tasks:
        if row["depth"] == "all":
            yield row["task"], row, kept(row)
    for row in results.applications:
        yield name_of(row), row, kept(row)
    for row in results.language:
        yield row["measure"], row, kept(row)


def kept(row: Row) -> Row:
    """Return the cell of `row`."""
    return {key: row[key] for key in ("value", "low", "high", "n", "metric", "chance") if key in row}


def name_of(row: Row) -> str:
    """Return the measure of a row of applications: `application/metric`, with the group between if it isn't all."""
    group = [] if row["group"] in ("", "all") else [str(row["group"])]
    return "/".join([row["application"], *group, row["metric"]])


def application_of(results: Results, measure: str) -> Row:
    """Return the application, group and metric that `measure` is of, and `held_out` if its group was; or nothing."""
    for row in results.applications:
        if name_of(row) == measure:
            held_out = {"held_out": True} if row.get("held_out") else {}
            return {key: row[key] for key in ("application", "group", "metric")} | held_out
    return {}


def lower_is_better(measure: str) -> bool:
    """Return whether less of `measure` is better."""
    return measure.split("/")[-1].lower() in LOWER


def in_order(names: Iterable[str]) -> list[str]:
    """Return the measures `names`, each once, those of text first."""
    known = dict.fromkeys(names)
    return [*(measure for measure in TEXT if measure in known), *(name for name in known if name not in TEXT)]
