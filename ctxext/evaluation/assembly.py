"""From measurements of subjects to the sections of `results.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ctxext.evaluation import effective
from ctxext.evaluation.answers.scoring import score_of
from ctxext.evaluation.effective import Base, Missed, Reached
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.measure import Measurement
from ctxext.evaluation.results import CONTROLS, Row
from ctxext.evaluation.shortage import NO_MEMORY
from ctxext.maths.intervals import Vector, paired_bootstrap
from ctxext.maths.mcnemar import Agreement, newcombe


@dataclass
class Sections:
    """The measured sections of `results.json`."""

    by_length: list[Row] = field(default_factory=list)
    by_position: list[Row] = field(default_factory=list)
    tasks: list[Row] = field(default_factory=list)
    language: list[Row] = field(default_factory=list)
    applications: list[Row] = field(default_factory=list)
    cost: list[Row] = field(default_factory=list)
    effective_length: list[Row] = field(default_factory=list)
    missing: list[Row] = field(default_factory=list)


def assemble(measurements: Sequence[Measurement], ground: Ground, absent: Mapping[str, str]) -> Sections:
    """Return the sections of `measurements` on `ground`; `absent` says why each other subject was not measured."""
    sections = Sections()
    known = {measurement.subject: measurement for measurement in measurements}
    for measurement in measurements:
        sections.by_length += length_rows(measurement, known)
        sections.by_position += measurement.positions
        sections.tasks += task_rows(measurement, known)
        for name in ("language", "applications", "cost"):
            getattr(sections, name).extend(getattr(measurement, name))
        sections.missing += measurement.missing
        sections.missing += unread_rows(measurement, ground)
        if ground.unscored:
            reason = ground.unscored
            sections.missing.append({"subject": measurement.subject, "what": "by_length", "reason": reason})
        for reached in effective_lengths(measurement, known.get("base"), ground):
            section = sections.effective_length if isinstance(reached, Reached) else sections.missing
            section.append(reached.row(measurement.subject))
        if not measurement.positions:
            unread = measurement.unread.get(ground.settings.lengths[-1])
            unscored = "no text is scored by length" if ground.unscored else ""
            reason = unread or unscored or "it reads no window in one pass"
            sections.missing.append({"subject": measurement.subject, "what": "by_position", "reason": reason})
    for subject, reason in absent.items():
        sections.missing.append({"subject": subject, "what": "by_length", "reason": reason})
    return sections


def unread_rows(measurement: Measurement, ground: Ground) -> list[Row]:
    """Return the rows of `missing` for the lengths that `measurement`'s subject can't read, by text and by task.

    So are those that a task doesn't fit.
    """
    unread = [
        (what, length, reason)
        for length, reason in measurement.unread.items()
        for what in (*(["by_length"] if length else []), *ground.settings.tasks)
    ]
    unfit = [
        (task, length, reason)
        for task, samples in ground.samples.items()
        for length, reason in samples.unfit.items()
        if length not in measurement.unread
    ]
    return [
        {"subject": measurement.subject, "what": what, "length": length, "reason": reason}
        for what, length, reason in [*unread, *unfit]
    ]


def length_rows(measurement: Measurement, known: Mapping[str, Measurement]) -> list[Row]:
    """Return the rows of `by_length`, with the paired differences from the controls among the `known` measurements."""
    rows = []
    for length, scored in measurement.scored.items():
        row = scored.row(measurement.subject, length)
        for control in CONTROLS:
            other = known[control].scored.get(length) if control in known else None
            if other is not None and control != measurement.subject and measurement.subject not in CONTROLS:
                low, high = paired_bootstrap(scored.nll, other.nll, scored.counts)
                difference = row["nll"] - float(other.nll.sum() / other.counts.sum())
                row |= {f"minus_{control}": difference, f"minus_{control}_low": low, f"minus_{control}_high": high}
        rows.append(row)
    return rows


def task_rows(measurement: Measurement, known: Mapping[str, Measurement]) -> Iterator[Row]:
    """Yield the rows of `tasks`; those over all depths have the paired differences from controls in `known`.

    Differences are of the same samples: of right and wrong with Newcombe's interval, of shares with a bootstrap's.
    """
    for row in measurement.tasks:
        if row["depth"] == "all" and measurement.subject not in CONTROLS:
            for control in CONTROLS:
                first = values_of(measurement, row["task"], row["length"])
                second = values_of(known[control], row["task"], row["length"]) if control in known else {}
                if second and first.keys() == second.keys():
                    pairs = [(value, second[item]) for item, value in first.items()]
                    low, high = bounds_of(pairs)
                    difference = sum(one - other for one, other in pairs) / len(pairs)
                    row = row | {f"minus_{control}": difference}
                    row |= {f"minus_{control}_low": low, f"minus_{control}_high": high}
        yield row


def values_of(measurement: Measurement, task: str, length: int) -> dict[tuple[object, ...], float]:
    """Return the score of each sample of `task` at `length` by what tells the samples apart."""
    return {
        (record["seed"], record["depth"], record["index"]): score_of(record)
        for record in measurement.records
        if (record["task"], record["length"]) == (task, length)
    }


def bounds_of(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the 95% interval of the mean of first - second in `pairs`."""
    if all(value in (0.0, 1.0) for pair in pairs for value in pair):
        return newcombe(Agreement(*(pairs.count(cell) for cell in ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)))))
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    return paired_bootstrap(first, second, np.ones(len(pairs)))


def effective_lengths(measurement: Measurement, base: Measurement | None, ground: Ground) -> list[Reached | Missed]:
    """Return how far `measurement` reaches by each rule; the reference is the `base` at its trained length."""
    found = [*lengths_by_nll(measurement, base, ground)]
    for task in ground.settings.tasks:
        found += lengths_by_score(task, measurement, base, ground)
    if all(reason.startswith(NO_MEMORY) for reason in measurement.unread.values()):
        return found  # what ends is the sweep, not the subject
    return [replace(one, at_least=False) if isinstance(one, Reached) else one for one in found]


def lengths_by_nll(measurement: Measurement, base: Measurement | None, ground: Ground) -> Iterator[Reached | Missed]:
    """Yield how far the nll of `measurement` stays near that of the `base`, and near its own."""
    trained, rules = ground.trained_length, ground.settings.effective
    losses = {length: scored.nll for length, scored in measurement.scored.items()}
    for kind, owner, margins in (("nll", base, rules.nll), ("own_nll", measurement, rules.own_nll)):
        for margin in margins:
            rule = f"{kind}({margin:g})"
            if owner is None or trained not in owner.scored:
                yield Missed(rule, unmeasured("the base" if owner is not measurement else "it", trained))
            else:
                reference = owner.scored[trained]
                yield effective.by_nll(rule, losses, reference.counts, reference.nll, trained, margin)


def lengths_by_score(
    task: str, measurement: Measurement, base: Measurement | None, ground: Ground
) -> Iterator[Reached | Missed]:
    """Yield how far the scores of `task` by `measurement` stay near that of the `base`, and above a fixed one."""
    trained, rules = ground.trained_length, ground.settings.effective
    scores = scores_of(task, measurement)
    for kind, owner, shares in (("score", base, rules.score), ("own_score", measurement, rules.own_score)):
        reference = reference_of(task, owner, trained)
        for share in shares:
            rule = f"{kind}({share:g}) {task}"
            if reference is None:
                yield Missed(rule, unmeasured("the base" if owner is not measurement else "it", trained))
            else:
                yield effective.by_share(rule, scores, reference, share)
    guesses = [row["chance"] for row in measurement.tasks if row["task"] == task and row["length"]]
    for threshold in rules.absolute:
        yield effective.by_threshold(f"score>={threshold:g} {task}", scores, threshold, max(guesses, default=0.0))


def reference_of(task: str, owner: Measurement | None, length: int) -> Base | None:
    """Return what `owner` scored in `task` at `length`, with its lower bound and chance; None if it wasn't measured."""
    rows = owner.tasks if owner is not None else []
    total = [row for row in rows if row["task"] == task and row["length"] == length and row["depth"] == "all"]
    if owner is None or not total:
        return None
    return Base(scores_of(task, owner)[length], total[0]["low"], total[0]["chance"], length)


def scores_of(task: str, measurement: Measurement) -> dict[int, Vector]:
    """Return the scores of `measurement` in the samples of `task` by length; those without filler have none."""
    found: dict[int, list[float]] = {}
    for record in measurement.records:
        if record["task"] == task and record["length"]:
            found.setdefault(record["length"], []).append(score_of(record))
    return {length: np.array(scores) for length, scores in found.items()}


def unmeasured(whose: str, length: int) -> str:
    """Return why there is no reference."""
    return f"{whose} was not measured at its trained length {length}"
