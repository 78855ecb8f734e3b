"""From measurements of subjects to the sections of `results.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ctxext.evaluation import effective
from ctxext.evaluation.effective import Missed, Reached
from ctxext.evaluation.measure import Ground, Measurement
from ctxext.evaluation.results import Row
from ctxext.maths.intervals import paired_bootstrap

CONTROLS = ("base", "truncated")


@dataclass
class Sections:
    """The measured sections of `results.json`."""

    by_length: list[Row] = field(default_factory=list)
    by_position: list[Row] = field(default_factory=list)
    tasks: list[Row] = field(default_factory=list)
    effective_length: list[Row] = field(default_factory=list)
    missing: list[Row] = field(default_factory=list)


def assemble(measurements: Sequence[Measurement], ground: Ground, absent: Mapping[str, str]) -> Sections:
    """Return the sections of `measurements` on `ground`; `absent` says why each other subject was not measured."""
    sections = Sections()
    known = {measurement.subject: measurement for measurement in measurements}
    for measurement in measurements:
        sections.by_length += length_rows(measurement, known)
        sections.by_position += measurement.positions
        sections.tasks += measurement.task_rows()
        sections.missing += unread_rows(measurement, ground)
        for reached in effective_lengths(measurement, known.get("base"), ground):
            section = sections.effective_length if isinstance(reached, Reached) else sections.missing
            section.append(reached.row(measurement.subject))
        if not measurement.positions:
            unread = measurement.unread.get(ground.settings.lengths[-1])
            reason = unread or "it reads no window in one pass"
            sections.missing.append({"subject": measurement.subject, "what": "by_position", "reason": reason})
    for subject, reason in absent.items():
        sections.missing.append({"subject": subject, "what": "by_length", "reason": reason})
    return sections


def unread_rows(measurement: Measurement, ground: Ground) -> list[Row]:
    """Return the rows of `missing` for the lengths that `measurement`'s subject can't read, by text and by task."""
    return [
        {"subject": measurement.subject, "what": what, "length": length, "reason": reason}
        for length, reason in measurement.unread.items()
        for what in ("by_length", *ground.settings.tasks)
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


def effective_lengths(measurement: Measurement, base: Measurement | None, ground: Ground) -> list[Reached | Missed]:
    """Return how far `measurement` reaches by each rule; the reference is the `base` at its trained length."""
    trained = ground.trained_length
    if base is None or trained not in base.scored:
        reason = f"the base was not measured at its trained length {trained}"
        return [Missed("nll(0.05)", reason), *([Missed("score(0.85)", reason)] if ground.samples else [])]
    losses = {length: scored.nll for length, scored in measurement.scored.items()}
    reference = base.scored[trained]
    reached = [effective.by_nll(losses, reference.counts, reference.nll, trained)]
    if ground.samples:
        total = next(row for row in base.task_rows() if row["length"] == trained and row["depth"] == "all")
        scores = {row["length"]: row["value"] for row in measurement.task_rows() if row["depth"] == "all"}
        reached.append(effective.by_score(scores, total["value"], total["low"], total["chance"]))
    if measurement.unread:  # the subject ends, not the sweep
        return [replace(found, at_least=False) if isinstance(found, Reached) else found for found in reached]
    return reached


def seen(ground: Ground) -> str:
    """Return how many tokens before a scored one the truncation control sees."""
    stride, most = ground.settings.truncated_stride, ground.trained_length
    if stride == 1:
        return f"the last {most} tokens"
    return f"the last {most - stride + 1} to {most} tokens (a pass scores {stride})"


def protocol(ground: Ground) -> Row:
    """Return in words and numbers what was measured."""
    settings, names = ground.settings, ground.windows.names
    scored = settings.scored_tokens
    return {
        "perplexity": f"exp of the token-weighted mean nll of the last {scored} tokens of each window, the same tokens "
        "at every length; natural logarithm, softmax in float32, no beginning-of-text token",
        "truncated": f"each scored token from {seen(ground)} of its window before it, at positions from 0; in a task, "
        "prompt and answer from its last ones",
        "passkey": "one fact in filler sentences, prompt and answer exactly the length; correct if its code is "
        "likelier than 9 others",
        "interval": "95%: percentile bootstrap of 2000 resamples over documents (nll, paired differences); Wilson "
        "(accuracy)",
        "scored_tokens": scored,
        "truncated_stride": settings.truncated_stride,
        "documents": len(names),
        "samples": settings.samples if settings.tasks else 0,
    }
