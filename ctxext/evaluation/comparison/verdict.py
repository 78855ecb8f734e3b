"""What a comparison says in one sentence: for the methods and against them, and no more than the numbers carry."""

from collections.abc import Iterator, Sequence

from ctxext.evaluation.comparison.arms import Arm
from ctxext.evaluation.results import Row

LEVEL = 0.05


def best_of(arms: Sequence[Arm]) -> Arm:
    """Return the one of `arms` with the lowest nll at the longest length that all of them share; the first if none."""
    by_arm = {arm.label: arm.cells("nll", arm.subject) for arm in arms if arm.subject}
    shared = set.intersection(*map(set, by_arm.values())) if by_arm else set()
    if not shared:
        return arms[0]
    place = decisive([arm.results.lengths["target"] for arm in arms], shared)
    return min((arm for arm in arms if arm.subject), key=lambda arm: by_arm[arm.label][place]["value"])


def decisive(targets: Sequence[int], lengths: set[int]) -> int:
    """Return the length among `lengths` that is judged by: the common target, or else the longest."""
    return targets[0] if len(set(targets)) == 1 and targets[0] in lengths else max(lengths)


def verdict(comparison: Row) -> str:
    """Return in one sentence what `comparison`, which may lack a verdict, says of the methods."""
    runs = {run["label"]: run for run in comparison["runs"] if run["subject"]}
    values = standing(comparison, "nll", runs)
    shared = set.intersection(*map(set, values.values())) if values and len(values) == len(runs) else set()
    if not shared:
        return "Nothing can be said: the runs share no length at which all of them measured nll."
    length = decisive([run["target"] for run in runs.values()], shared)
    ranked = sorted(runs, key=lambda label: values[label][length])
    parts = [*on_text(comparison, ranked, length), *on_tasks(comparison, ranked, length)]
    seeds = {len(run["seeds"]) for run in runs.values()}
    parts += ["one seed each"] if seeds == {1} and any(run.get("steps") for run in runs.values()) else []
    return f"At {length} tokens {'; '.join(parts)}."


def standing(comparison: Row, measure: str, runs: Row) -> dict[str, dict[int, float]]:
    """Return the values of `measure` by length of the subject that stands for each of `runs`."""
    found: dict[str, dict[int, float]] = {}
    for table in comparison["tables"]:
        for row in table["rows"] if table["measure"] == measure else []:
            for label, run in runs.items():
                if row["run"] in ("", label) and row["subject"] == run["subject"]:
                    found[label] = {int(length): cell["value"] for length, cell in row["values"].items()}
    return found


def on_text(comparison: Row, ranked: Sequence[str], length: int) -> Iterator[str]:
    """Yield what nll says at `length` of the runs `ranked` by it, and of the best of them against its controls."""
    best, *others = ranked
    judged = {other: judgement(comparison, "nll", best, other, length) for other in others}
    beaten = [other for other in others if judged[other] == "below"]
    level = [other for other in others if judged[other] == "level"]
    unknown = [other for other in others if judged[other] == ""]
    if beaten:
        row = found(comparison, "nll", best, beaten[0], length)
        yield f"{told(comparison, [best])} has a lower nll than {told(comparison, beaten)} ({size(row)})"
    if level:
        row = found(comparison, "nll", best, level[0], length)
        yield f"{told(comparison, [best])} and {told(comparison, level)} can't be told apart on nll ({size(row)})"
    if unknown:
        yield f"{told(comparison, [best])} and {told(comparison, unknown)} can't be compared"
    for control in ("truncated", "base"):
        row = found(comparison, "nll", best, best, length, control)
        if row:
            yield against(best, control, row)


def against(best: str, control: str, row: Row) -> str:
    """Return what the difference `row` of `best` from a `control` says."""
    if significance(row) == "level":
        return f"{best} can't be told from {control} ({size(row)})"
    if control == "truncated" and row["difference"] > 0:
        return f"truncated beats {best}: dropping the old text does better ({size(row)})"
    return f"{best} {'beats' if row['difference'] < 0 else 'is worse than'} {control} ({size(row)})"


def on_tasks(comparison: Row, ranked: Sequence[str], length: int) -> Iterator[str]:
    """Yield for each measure but nll how the run that is best on nll does in it at `length`, and against truncated."""
    best, *others = ranked
    for measure in dict.fromkeys(row["measure"] for row in comparison["differences"] if row["measure"] != "nll"):
        judged = {other: judgement(comparison, measure, best, other, length) for other in others}
        control = found(comparison, measure, best, best, length, "truncated")
        judged |= {"truncated": significance(control)} if control else {}
        for word in ("above", "below"):
            some = [other for other in judged if judged[other] == word]
            if some:
                yield f"on {measure} {best} scores {word} {listed(some)}"
        if judged and all(direction == "level" for direction in judged.values()):
            yield f"on {measure} {listed([best, *judged])} can't be told apart"


def judgement(comparison: Row, measure: str, first: str, second: str, length: int) -> str:
    """Return whether `first` is `below`, `above` or `level` with `second` in `measure`, or nothing if unknown."""
    row = found(comparison, measure, first, second, length)
    if not row:
        return ""
    direction = significance(row)
    is_turned = row["first"] != first
    turned = {"below": "above", "above": "below", "level": "level"}
    return turned[direction] if is_turned else direction


def significance(row: Row) -> str:
    """Return the direction of a difference, or `level` where it may be chance."""
    if row["p_holm"] >= LEVEL:
        return "level"
    return "below" if row["difference"] < 0 else "above"


def found(comparison: Row, measure: str, first: str, second: str, length: int, control: str = "") -> Row:
    """Return the difference in `measure` of two labels at `length`, in either order, or of one from its `control`."""
    for row in comparison["differences"]:
        is_pair = {row["first"], row["second"]} == {first, second}
        is_control = (row["second_subject"] == control) if first == second else True
        if row["measure"] == measure and row["length"] == length and is_pair and is_control:
            found_row: Row = row
            return found_row
    return {}


def size(row: Row) -> str:
    """Return a difference with its interval, in nats where it is of nll."""
    name = row["second_subject"] if row["first"] == row["second"] else row["second"]
    unit = " nats" if row["measure"] == "nll" else ""
    return f"{row['first']} - {name} {row['difference']:+.3f}{unit}, 95% {row['low']:+.3f} to {row['high']:+.3f}"


def told(comparison: Row, labels: Sequence[str]) -> str:
    """Return `labels` with the names of their runs."""
    names = {run["label"]: run["name"] for run in comparison["runs"]}
    return listed([f"{label} ({names[label]})" for label in labels])


def listed(words: Sequence[str]) -> str:
    """Return `words` as a list: `A, B and C`."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
