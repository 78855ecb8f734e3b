"""Paired differences: of two arms, or of an arm and its own controls, on the same documents and samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ctxext.evaluation.comparison.arms import Arm
from ctxext.evaluation.comparison.conditions import data_of, protocol_of, tokenizer_of
from ctxext.evaluation.comparison.scores import Score, Scores, scores_of
from ctxext.evaluation.results import Row
from ctxext.maths.mcnemar import Agreement, mcnemar, newcombe
from ctxext.maths.multiple import holm
from ctxext.maths.paired import Difference, paired_difference

CONTROLS = ("base", "truncated")


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

    def row(self) -> Row:
        """Return what a row of differences says of the pair."""
        names = {"first": self.first.label, "first_subject": self.first_subject}
        return names | {"second": self.second.label, "second_subject": self.second_subject}


def pairs_of(arms: Sequence[Arm], best: Arm) -> list[Pair]:
    """Return the pairs of `arms` that are compared: each with the first and with the `best`, later - earlier.

    Each is compared with its own controls, too.
    """
    measured = [arm for arm in arms if arm.subject]
    found = [
        Pair(later, later.subject, earlier, earlier.subject)
        for earlier, later in combinations(measured, 2)
        if earlier is measured[0] or best in (earlier, later)
    ]
    for arm in measured:
        controls = [control for control in CONTROLS if control in arm.subjects and control != arm.subject]
        found += [Pair(arm, arm.subject, arm, control) for control in controls]
    return found


def differences(pairs: Sequence[Pair], measures: Sequence[str]) -> tuple[list[Row], list[str]]:
    """Return a row for each of `pairs`, `measures` and lengths that can be paired, and a sentence for what can't."""
    rows: list[Row] = []
    missing = []
    for pair in pairs:
        unlike = obstacle(pair)
        if unlike:
            missing.append(f"{pair.name}: no difference is computed, {unlike}")
            continue
        for measure in measures:
            found, reason = by_length(pair, measure)
            rows += found
            missing += [f"{measure}: {reason}"] if reason else []
    return rows, list(dict.fromkeys(missing))


def obstacle(pair: Pair) -> str:
    """Return why no measure of `pair` may be compared, or nothing."""
    first, second = pair.first, pair.second
    if first is second:
        return ""
    if data_of(first) is None or data_of(first) != data_of(second):
        return f"the data differ (digests {data_of(second) or 'unknown'} and {data_of(first) or 'unknown'})"
    if tokenizer_of(first) != tokenizer_of(second):
        return f"the tokenizers differ ({tokenizer_of(second)} and {tokenizer_of(first)})"
    one, other = protocol_of(second), protocol_of(first)
    differing = [key for key in dict.fromkeys([*one, *other]) if one.get(key) != other.get(key)]
    told = "; ".join(f"{key}: {one.get(key, 'none')!r} and {other.get(key, 'none')!r}" for key in differing)
    return f"the protocols differ ({told})" if differing else ""


def by_length(pair: Pair, measure: str) -> tuple[list[Row], str]:
    """Return the differences of `pair` in `measure` at each common length, corrected together, or why there are none.

    Length 0, a task without filler, is none of context and left out.
    """
    first = scores_of(pair.first, measure, pair.first_subject)
    second = scores_of(pair.second, measure, pair.second_subject)
    for arm, subject, found in ((pair.first, pair.first_subject, first), (pair.second, pair.second_subject, second)):
        if not found and arm.cells(measure, subject):
            return [], f"no difference is computed, {unpaired(arm, measure)}"
    lengths = [length for length in first if length in second and length]
    unlike = [length for length in lengths if not alike(first[length], second[length])]
    rows = [row(pair, measure, n, first[n], second[n]) for n in lengths if n not in unlike]
    for found_row, corrected in zip(rows, holm([one["p"] for one in rows]), strict=True):
        found_row["p_holm"] = corrected
    return rows, f"{pair.name}, {unequal(pair, unlike)}" if unlike else ""


def unequal(pair: Pair, lengths: Sequence[int]) -> str:
    """Return that what `pair` scored differs at `lengths`, and why it may."""
    where = ", ".join(map(str, lengths))
    longest = [max(arm.results.lengths["evaluated"], default=0) for arm in (pair.second, pair.first)]
    hint = "" if longest[0] == longest[1] else f": the longest of evaluation.lengths is {longest[0]} and {longest[1]}"
    return f"no difference is computed at {where}, where what was scored differs{hint}"


def unpaired(arm: Arm, measure: str) -> str:
    """Return why `arm` has no scores of `measure` that could be paired."""
    record = arm.records[0]
    lacking = [
        name for name, rows in (("documents.jsonl", record.documents), ("samples.jsonl", record.samples)) if not rows
    ]
    needed = "documents.jsonl" if measure == "nll" else "samples.jsonl"
    if needed in lacking and measure in ("nll", *(row["task"] for row in arm.results.tasks)):
        return f"{arm.label} has no {needed}, as runs of earlier versions; measure it again"
    return "it is one number of all documents, and none has its own"


def alike(first: Scores, second: Scores) -> bool:
    """Return whether both are of the same items, and these of the same content."""
    return first.keys() == second.keys() != set() and all(first[item].content == second[item].content for item in first)


def row(pair: Pair, measure: str, length: int, first: Scores, second: Scores) -> Row:
    """Return the row of `pair` in `measure` at `length`."""
    items = [(first[item], second[item]) for item in first]
    seeds = max(len(pair.first.records), len(pair.second.records))
    found = of_answers(items) if measure != "nll" and is_binary(items) else of_sums(items)
    numbers = {"difference": found.value, "low": found.low, "high": found.high, "p": found.p, "pairs": len(items)}
    return {"measure": measure, **pair.row(), "length": length, **numbers} | ({"seeds": seeds} if seeds > 1 else {})


def is_binary(items: Sequence[tuple[Score, Score]]) -> bool:
    """Return whether every score is right or wrong."""
    return all(score.value in (0.0, 1.0) for pair in items for score in pair)


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
