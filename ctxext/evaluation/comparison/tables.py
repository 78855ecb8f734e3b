"""A table for each measure: the controls once where the runs agree on them, then what each run measured."""

from collections.abc import Sequence

from ctxext.evaluation.comparison.arms import Arm
from ctxext.evaluation.comparison.conditions import kinds, tokenizer_of
from ctxext.evaluation.comparison.measures import TEXT, application_of, in_order, lower_is_better
from ctxext.evaluation.results import CONTROLS, SUBJECTS, Row

UNITS = {"perplexity": "", "nll": "nats a token, ", "bits_per_byte": "comparable across tokenizers, "}
ALL = -1
"""Stands for every length."""


def measures_of(arms: Sequence[Arm]) -> list[str]:
    """Return what any of `arms` measured; bits per byte only where the tokenizers differ."""
    names = in_order(name for arm in arms for by_measure in arm.measured for name in by_measure)
    return [name for name in names if name != "bits_per_byte" or len(kinds(arms, tokenizer_of)) > 1]


def tables(arms: Sequence[Arm]) -> list[Row]:
    """Return a table for each measure of `arms`."""
    return [table(arms, measure) for measure in measures_of(arms)]


def table(arms: Sequence[Arm], measure: str) -> Row:
    """Return the table of `measure`: its rows are shared controls, of run "", and the subjects of each of `arms`."""
    shared = {control: agreed(arms, measure, control) for control in CONTROLS}
    lengths, chances = lengths_of(arms, measure), chances_of(arms, measure)
    rows = [row("", control, cells, lengths) for control, cells in shared.items() if cells]
    for arm in arms:
        for subject in SUBJECTS:
            cells = {} if shared.get(subject) else arm.cells(measure, subject)
            if cells:
                rows.append(row(arm.label, subject, cells, lengths, reasons(arm, measure, subject, lengths)))
    return {
        "measure": measure,
        "title": measure.upper().replace("_", " ") if measure in TEXT else measure,
        "note": note(arms, measure),
        "lengths": lengths,
        "trained": min(arm.results.lengths["trained"] for arm in arms),
        "targets": sorted({arm.results.lengths["target"] for arm in arms}),
        "lower_is_better": lower_is_better(measure),
        "rows": rows,
        **({"chance": chances[0]} if len(chances) == 1 else {}),
        **next(filter(None, (application_of(arm.results, measure) for arm in arms)), {}),
    }


def lengths_of(arms: Sequence[Arm], measure: str) -> list[int]:
    """Return the lengths of `measure` at which any of `arms` has it, or has a reason why not."""
    measured = {length for arm in arms for by in arm.measured for _, length in by.get(measure, {})}
    evaluated = {length for arm in arms for length in arm.results.lengths["evaluated"]} if measure in TEXT else set()
    return sorted(measured | evaluated)


def agreed(arms: Sequence[Arm], measure: str, control: str) -> dict[int, Row]:
    """Return the cells of `control` at all lengths of `arms` if they agree on each that they share, else nothing."""
    found: dict[int, Row] = {}
    for arm in arms:
        for length, cell in arm.cells(measure, control).items():
            if abs(found.setdefault(length, cell)["value"] - cell["value"]) > 1e-9 * abs(cell["value"]):
                return {}
    return found


def row(run: str, subject: str, cells: dict[int, Row], lengths: Sequence[int], why: Sequence[str] = ()) -> Row:
    """Return the row of `subject` of `run`; `why` gives the reason at each of `lengths` that has no cell."""
    values = {
        str(length): {key: cell[key] for key in cell if key not in ("metric", "chance")}
        for length, cell in cells.items()
    }
    absent = {str(length): reason for length, reason in zip(lengths, why, strict=False) if length not in cells}
    return {"run": run, "subject": subject, "values": values, "missing": absent}


def reasons(arm: Arm, measure: str, subject: str, lengths: Sequence[int]) -> list[str]:
    """Return for each of `lengths` why `arm` has no `measure` of `subject` there."""
    whats = {"by_length"} if measure in TEXT else {measure, measure.split("/")[0]}
    rows = [row for row in arm.results.missing if row["what"] in whats and row.get("subject", subject) == subject]
    known = {row.get("length", ALL): row["reason"] for row in rows}
    return [known.get(length, known.get(ALL, "not among the evaluation.lengths of the run")) for length in lengths]


def chances_of(arms: Sequence[Arm], measure: str) -> list[float]:
    """Return what a guess scores in `measure`, each number once."""
    cells = [cell for arm in arms for by in arm.measured for cell in by.get(measure, {}).values()]
    return sorted({round(cell["chance"], 4) for cell in cells if "chance" in cell})


def note(arms: Sequence[Arm], measure: str) -> str:
    """Return in words what the numbers of `measure` are of, where the runs agree on it."""
    if measure in TEXT:
        counts = {tuple(arm.results.protocol.get(key) for key in ("scored_tokens", "documents")) for arm in arms}
        tokens, documents = counts.pop() if len(counts) == 1 else (None, None)
        same = f"the same last {tokens} tokens of {documents} documents at every length"
        return UNITS[measure] + same if tokens and documents else UNITS[measure].removesuffix(", ")
    cells = [cell for arm in arms for by in arm.measured for cell in by.get(measure, {}).values()]
    metrics = dict.fromkeys(str(cell["metric"]) for cell in cells if "metric" in cell)
    chances = chances_of(arms, measure)
    counted = sorted({cell["n"] for cell in cells if "n" in cell})
    said = [" or ".join(metrics)] if metrics else []
    said += [f"chance {chances[0]:.2f}"] if len(chances) == 1 else []
    said += [f"{counted[0]} to {counted[-1]} a cell" if len(counted) > 1 else f"{counted[0]} a cell"] if counted else []
    return ", ".join(said)
