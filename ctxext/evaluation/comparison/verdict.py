"""What a comparison says in one sentence: for the methods and against them, and no more than the numbers carry."""

from collections.abc import Iterator, Sequence

from ctxext.evaluation.comparison.measures import lower_is_better
from ctxext.evaluation.comparison.ranking import Ranking
from ctxext.evaluation.results import Row
from ctxext.maths.multiple import FEWEST

LEVEL = 0.05
NAMED = 3
"""Runs that a list names; of more it names the first, and counts the others."""
MEASURES = 2
"""Measures beside nll that are told one by one; more are counted."""


def verdict(comparison: Row, ranked: Ranking) -> str:
    """Return in one sentence what `comparison`, which may lack a verdict, says of the methods `ranked`."""
    if not ranked.measure:
        return "Nothing can be said: no two runs share a measure and a length."
    length, main = ranked.length, ranked.measure
    others = list(dict.fromkeys(row["measure"] for row in comparison["differences"] if row["measure"] != main))
    on_others = on_tasks if len(others) <= MEASURES else on_many
    parts = [*on_main(comparison, ranked), *on_others(comparison, others, ranked.labels, length)]
    runs = {run["label"]: run for run in comparison["runs"]}
    seeds = {len(runs[label]["seeds"]) for label in ranked.labels}
    parts += ["one seed each"] if seeds == {1} and any(run.get("steps") for run in runs.values()) else []
    left = [label for label in runs if label not in ranked.values]
    parts += [f"left out, without {main} at {length}: {told(comparison, left)}"] if left else []
    return f"At {length} tokens {'; '.join(parts)}."


def on_main(comparison: Row, ranked: Ranking) -> Iterator[str]:
    """Yield what the measure that runs are `ranked` by says of them, and of the best of them against its controls."""
    main, length, (best, *others) = ranked.measure, ranked.length, ranked.labels
    better, word = ("below", "lower") if lower_is_better(main) else ("above", "higher")
    judged = {other: judgement(comparison, main, best, other, length) for other in others}
    beaten = [other for other in others if judged[other] == better]
    level = [other for other in others if judged[other] not in ("", better)]
    unknown = [other for other in others if judged[other] == ""]
    if beaten:
        row = found(comparison, main, best, beaten[0], length)
        nearest = "nearest: " if len(beaten) > NAMED else ""
        yield f"{told(comparison, [best])} has a {word} {main} than {told(comparison, beaten)} ({nearest}{size(row)})"
    if level:
        row = found(comparison, main, best, level[0], length)
        yield f"{together(comparison, [best, *level])} can't be told apart on {main} ({size(row)})"
    if unknown:
        yield f"{together(comparison, [best, *unknown])} can't be compared"
    if not others and main != "nll":
        yield f"{told(comparison, [best])} has {main} {ranked.values[best]:.3g}"
    for control in ("truncated", "base"):
        row = found(comparison, main, best, best, length, control)
        if row:
            yield against(best, control, row)


def against(best: str, control: str, row: Row) -> str:
    """Return what the difference `row` of `best` from a `control` says."""
    if significance(row) == "level":
        return f"{best} can't be told from {control} ({size(row)})"
    is_better = (row["difference"] < 0) == lower_is_better(row["measure"])
    if control == "truncated" and not is_better:
        return f"truncated beats {best}: dropping the old text does better ({size(row)})"
    return f"{best} {'beats' if is_better else 'is worse than'} {control} ({size(row)})"


def on_tasks(comparison: Row, measures: Sequence[str], ranked: Sequence[str], length: int) -> Iterator[str]:
    """Yield for each of `measures` how the run that is best does in it at `length`, and against truncated."""
    best, *others = ranked
    for measure in measures:
        judged = {other: judgement(comparison, measure, best, other, length) for other in others}
        control = found(comparison, measure, best, best, length, "truncated")
        judged |= {"truncated": significance(control)} if control else {}
        for word in ("above", "below"):
            some = [other for other in judged if judged[other] == word]
            if some:
                yield f"on {measure} {best} scores {word} {named(some)}"
        if judged and all(direction == "level" for direction in judged.values()):
            yield f"on {measure} {best} and {named(list(judged))} can't be told apart"


def on_many(comparison: Row, measures: Sequence[str], ranked: Sequence[str], length: int) -> Iterator[str]:
    """Yield in how many of `measures` the best run is better at `length` than truncated and others."""
    best, *others = ranked
    against, lost = dict[str, int](), list[str]()
    for measure in measures:
        better = "below" if lower_is_better(measure) else "above"
        row = found(comparison, measure, best, best, length, "truncated")
        direction = significance(row) if row else ""
        word = {"": "not compared", "level": "level", better: "better"}.get(direction, "worse")
        against[word] = against.get(word, 0) + 1
        directions = {judgement(comparison, measure, best, other, length) for other in others}
        lost += [measure] if directions - {"", "level", better} else []
    said = listed([f"{word} in {count}" for word, count in sorted(against.items())])
    yield f"of {len(measures)} other measures {best} against truncated is {said}"
    if others:
        yield f"another run is better than {best} in {named(lost) if lost else 'none of them'}"


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
    """Return the direction of a difference, or `level` where it may be chance: by its interval if it has no p-value.

    Fewer pairs than FEWEST say nothing, whatever their interval.
    """
    is_level = row["p_holm"] >= LEVEL if "p_holm" in row else row["low"] <= 0 <= row["high"]
    if is_level or row.get("pairs", FEWEST) < FEWEST:
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
    return named([f"{label} ({names[label]})" for label in labels])


def together(comparison: Row, labels: Sequence[str]) -> str:
    """Return `labels` with the names of their runs, of many those of the first two."""
    if len(labels) <= NAMED:
        return told(comparison, labels)
    return f"{told(comparison, labels[:1])}, {told(comparison, labels[1:])}"


def named(words: Sequence[str]) -> str:
    """Return `words` as a list; of many the first, and how many others there are."""
    return listed(words) if len(words) <= NAMED else f"{words[0]} and {len(words) - 1} others"


def listed(words: Sequence[str]) -> str:
    """Return `words` as a list: `A, B and C`."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
