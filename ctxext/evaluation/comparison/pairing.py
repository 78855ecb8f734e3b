"""Paired differences: of two arms, or of an arm and its own controls, on the same documents and samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ctxext.evaluation.comparison.arms import Arm
from ctxext.evaluation.comparison.conditions import data_of, protocol_of, tokenizer_of
from ctxext.evaluation.comparison.scores import Score, Scores, scores_of
from ctxext.evaluation.comparison.seeds import widened
from ctxext.evaluation.results import CONTROLS, Row
from ctxext.maths.mcnemar import Agreement, mcnemar, newcombe
from ctxext.maths.multiple import holm
from ctxext.maths.paired import Difference, paired_difference

LONGEST = 60
"""Characters of the values of a protocol that a sentence quotes."""


class Unpaired(NamedTuple):
    """A measure without a difference (all of them if none is named), `whose` it is, and the reason."""

    measure: str
    whose: str
    reason: str


@dataclass(frozen=True)
class Pair:
    """First - second: two arms, or an arm and one of its own subjects."""

    first: Arm
    first_subject: str
    second: Arm
    second_subject: str

    @property
    def name(self) -> str:
        """The pair as sentences call it."""
        second = self.second_subject if self.first is self.second else self.second.label
        return f"{self.first.label} - {second}"

    @property
    def sides(self) -> tuple[tuple[Arm, str], tuple[Arm, str]]:
        """Both arms with their subjects."""
        return (self.first, self.first_subject), (self.second, self.second_subject)

    def row(self) -> Row:
        """Return what a row of differences says of the pair."""
        names = {"first": self.first.label, "first_subject": self.first_subject}
        return names | {"second": self.second.label, "second_subject": self.second_subject}


def pairs_of(arms: Sequence[Arm], best: Arm) -> list[Pair]:
    """Return the pairs of `arms` that are compared: two as later - earlier, of more each with the `best`.

    Each is compared with its own controls, too.
    """
    measured = [arm for arm in arms if arm.subject]
    reference = measured[0] if len(measured) == 2 or (measured and best not in measured) else best
    found = [Pair(arm, arm.subject, reference, reference.subject) for arm in measured if arm is not reference]
    for control in CONTROLS:
        own = [arm for arm in measured if control in arm.subjects and control != arm.subject]
        found += [Pair(arm, arm.subject, arm, control) for arm in own]
    return found


def differences(pairs: Sequence[Pair], measures: Sequence[str]) -> tuple[list[Row], list[str]]:
    """Return a row for each of `pairs`, `measures` and lengths that can be paired, and a sentence for what can't."""
    rows: list[Row] = []
    missing: list[Unpaired] = []
    for pair in pairs:
        unlike = obstacle(pair)
        if unlike:
            missing.append(Unpaired("", pair.name, f"no difference is computed, {unlike}"))
            continue
        for measure in measures:
            found, unpaired = by_length(pair, measure)
            rows += found
            missing += unpaired
    correct(rows)
    return rows, folded(missing)


def correct(rows: Sequence[Row]) -> None:
    """Give each of `rows` its p-value corrected over all pairs and lengths of its measure."""
    for measure in dict.fromkeys(row["measure"] for row in rows):
        family = [row for row in rows if row["measure"] == measure and "p" in row]
        for one, corrected in zip(family, holm([row["p"] for row in family]), strict=True):
            one["p_holm"] = corrected


def obstacle(pair: Pair) -> str:
    """Return why no measure of `pair` may be compared, or nothing."""
    first, second = pair.first, pair.second
    if first is second:
        return ""
    if data_of(first) is None or data_of(first) != data_of(second):
        return f"the data differ (digests {data_of(second) or 'unknown'} and {data_of(first) or 'unknown'})"
    if tokenizer_of(first) != tokenizer_of(second):
        return f"the tokenizers differ ({tokenizer_of(second)} and {tokenizer_of(first)})"
    return ""


def other_protocol(pair: Pair, measure: str) -> str:
    """Return in what the definitions differ by which the two of `pair` measured `measure`, or nothing."""
    one, other = protocol_of(pair.second), protocol_of(pair.first)
    keys = defining(measure, {pair.first_subject, pair.second_subject})
    differing = [key for key in keys if one.get(key) != other.get(key)]
    values = [(key, f"{one.get(key, 'none')!r} and {other.get(key, 'none')!r}") for key in differing]
    told = "; ".join(f"{key}: {both}" if len(both) <= LONGEST else key for key, both in values)
    return f"the protocols differ ({told})" if differing else ""


def defining(measure: str, subjects: set[str]) -> list[str]:
    """Return the keys of a protocol that say what `measure` of `subjects` is."""
    if measure == "nll":
        keys = ["perplexity", "scored_tokens", "documents"]
    elif "/" in measure:
        keys = ["application"]
    else:
        keys = [measure, "scoring"]
    return keys + ["truncated", "truncated_stride"] * ("truncated" in subjects)


def by_length(pair: Pair, measure: str) -> tuple[list[Row], list[Unpaired]]:
    """Return the differences of `pair` in `measure` by common length, and why it has none.

    Length 0, a task without filler, is none of context and left out.
    """
    unlike_protocol = other_protocol(pair, measure)
    if unlike_protocol and all(arm.cells(measure, subject) for arm, subject in pair.sides):
        return [], [Unpaired(measure, pair.name, f"no difference is computed, {unlike_protocol}")]
    first = scores_of(pair.first, measure, pair.first_subject)
    second = scores_of(pair.second, measure, pair.second_subject)
    for (arm, subject), found in zip(pair.sides, (first, second), strict=True):
        if not found and arm.cells(measure, subject):
            rows = stored(pair) if measure == "nll" else []
            return rows, [] if rows else [unpaired(arm, measure)]
    lengths = [length for length in first if length in second and length]
    unlike = [length for length in lengths if not alike(first[length], second[length])]
    rows = [row(pair, measure, n, first[n], second[n]) for n in lengths if n not in unlike]
    return rows, [Unpaired(measure, pair.name, unequal(pair, unlike))] if unlike else []


def stored(pair: Pair) -> list[Row]:
    """Return the differences of nll of one arm from its own control as its results hold them, which have no p-value."""
    key = f"minus_{pair.second_subject}"
    if pair.first is not pair.second or len(pair.first.records) > 1:
        return []
    documents = pair.first.results.protocol.get("documents")
    counted = {"pairs": documents} if isinstance(documents, int) else {}
    return [
        {"measure": "nll", **pair.row(), "length": cells["length"], "difference": cells[key]}
        | {end: cells[f"{key}_{end}"] for end in ("low", "high")}
        | counted
        for cells in pair.first.results.by_length
        if cells["subject"] == pair.first_subject and {key, f"{key}_low", f"{key}_high"} <= cells.keys()
    ]


def unequal(pair: Pair, lengths: Sequence[int]) -> str:
    """Return that what `pair` scored differs at `lengths`, and why it may."""
    where = ", ".join(map(str, lengths))
    longest = [max(arm.results.lengths["evaluated"], default=0) for arm in (pair.second, pair.first)]
    hint = "" if longest[0] == longest[1] else f": the longest of evaluation.lengths is {longest[0]} and {longest[1]}"
    return f"no difference is computed at {where}, where what was scored differs{hint}"


def unpaired(arm: Arm, measure: str) -> Unpaired:
    """Return why `arm` has no scores of `measure` that could be paired."""
    record = arm.records[0]
    lacking = [
        name for name, rows in (("documents.jsonl", record.documents), ("samples.jsonl", record.samples)) if not rows
    ]
    needed = "documents.jsonl" if measure == "nll" else "samples.jsonl"
    if needed in lacking and measure in ("nll", *(row["task"] for row in arm.results.tasks)):
        reason = f"no difference is computed without {needed}, as in runs of earlier versions; measure it again"
        return Unpaired(measure, arm.label, reason)
    return Unpaired(measure, "", "no difference is computed, since it is one number of all documents or pairs together")


def folded(missing: Sequence[Unpaired]) -> list[str]:
    """Return `missing` as sentences: those of a reason together, if they are of the same measures and arms."""
    arms: dict[tuple[str, str], dict[str, bool]] = {}
    for one in missing:
        arms.setdefault((one.reason, one.measure), {})[one.whose] = True
    measures: dict[tuple[str, str], list[str]] = {}
    for (reason, measure), labels in arms.items():
        measures.setdefault((reason, ", ".join(labels)), []).append(measure)
    return [
        ": ".join(part for part in (", ".join(names), labels, reason) if part)
        for (reason, labels), names in measures.items()
    ]


def alike(first: Scores, second: Scores) -> bool:
    """Return whether both are of the same items, and these of the same content."""
    return first.keys() == second.keys() != set() and all(first[item].content == second[item].content for item in first)


def row(pair: Pair, measure: str, length: int, first: Scores, second: Scores) -> Row:
    """Return the row of `pair` in `measure` at `length`."""
    items = [(first[item], second[item]) for item in first]
    seeds = max(len(pair.first.records), len(pair.second.records))
    found = of_answers(items) if measure != "nll" and is_binary(items) else of_sums(items)
    is_trained = (pair.first_subject == "extended", pair.second_subject == "extended")
    found = widened(found, items, pair.first is pair.second, is_trained)
    numbers = {"difference": found.value, "low": found.low, "high": found.high, "p": found.p, "pairs": len(items)}
    return {"measure": measure, **pair.row(), "length": length, **numbers} | ({"seeds": seeds} if seeds > 1 else {})


def is_binary(items: Sequence[tuple[Score, Score]]) -> bool:
    """Return whether every score is right or wrong, and counts as much as any other."""
    return all(score.value in (0.0, 1.0) and score.weight == 1 for pair in items for score in pair)


def of_sums(items: Sequence[tuple[Score, Score]]) -> Difference:
    """Return the difference of sums over what was counted, by paired bootstrap over `items`."""
    first, second, counts = columns(items)
    return paired_difference(first, second, counts)


def columns(items: Sequence[tuple[Score, Score]]) -> Iterator[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Yield the values of the first, of the second, and the counts."""
    yield np.array([first.value for first, _ in items])
    yield np.array([second.value for _, second in items])
    yield np.array([first.weight for first, _ in items])


def of_answers(items: Sequence[tuple[Score, Score]]) -> Difference:
    """Return the difference of shares right: exact McNemar, with Newcombe's interval."""
    cells = [(first.value, second.value) for first, second in items]
    counts = Agreement(*(cells.count(cell) for cell in ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0))))
    low, high = newcombe(counts)
    return Difference((counts.first - counts.second) / counts.total, low, high, mcnemar(counts.first, counts.second))
