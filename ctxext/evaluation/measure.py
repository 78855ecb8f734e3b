"""What one subject scores on a common ground: the same windows and the same samples for every subject and every run.

Shapes: N documents.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

from ctxext.evaluation.answers.scoring import score_samples, task_rows
from ctxext.evaluation.applications.applied import applied
from ctxext.evaluation.costs.cost import cost_of
from ctxext.evaluation.found import Found
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.ledger import Ledger, OutOfMemoryError
from ctxext.evaluation.reader import Reader
from ctxext.evaluation.results import Row
from ctxext.evaluation.shortage import AT_ONE_ROW, beyond
from ctxext.evaluation.text.language import Scored, by_position, stacked
from ctxext.evaluation.text.lines import edges_at, lines_at
from ctxext.evaluation.text.measures import measures_of
from ctxext.tasks.samples import Sample


@dataclass
class Measurement:
    """What `subject` scored: sums over documents by length, rows by position, a record for each sample and prediction.

    `unread` says why it can't read each length that is not among the `scored`; `missing` has what else is absent.
    """

    subject: str
    scored: dict[int, Scored] = field(default_factory=dict)
    positions: list[Row] = field(default_factory=list)
    records: list[Row] = field(default_factory=list)
    tasks: list[Row] = field(default_factory=list)
    language: list[Row] = field(default_factory=list)
    applications: list[Row] = field(default_factory=list)
    cost: list[Row] = field(default_factory=list)
    predictions: list[Row] = field(default_factory=list)
    unread: dict[int, str] = field(default_factory=dict)
    missing: list[Row] = field(default_factory=list)

    def documents(self, names: list[str]) -> Iterator[Row]:
        """Yield the lines of documents.jsonl: what the subject scored in each document, by its name, at each length."""
        for length, scored in self.scored.items():
            for index, name in enumerate(names):
                line = {key: float(values[index]) for key, values in vars(scored).items()}
                yield {"subject": self.subject, "length": length, "document": name} | line


def measure(subject: str, reader: Reader, ground: Ground, ledger: Ledger) -> Measurement:
    """Return what `subject` scores on `ground` when its text is read by `reader`; the ledger's pace is told of it.

    What `ledger` knows is not scored again. A length for which memory is short is left out, and all beyond it.
    """
    found = Measurement(subject)
    lengths = (0, *ground.settings.lengths) if ground.samples else ground.settings.lengths
    for length in lengths:
        ledger.pace.begin(str(length) if length else "tasks without filler")
        obstacle = reader.obstacle(length) or beyond(found.unread)
        if not obstacle:
            obstacle = read_length(found, reader, length, ground, ledger)
        if obstacle:
            found.unread[length] = obstacle
        ledger.pace.end(obstacle or headline(found, length))
    parts: list[tuple[str, list[Row], Callable[[], Found]]] = [
        ("measures of text", found.language, partial(measures_of, subject, reader, ground, ledger)),
        (ground.source.application, found.applications, partial(applied, subject, reader, ground, ledger)),
    ]
    for name, section, part in parts:
        ledger.pace.begin(name)
        made = part()
        section += made.rows
        found.missing += made.missing
        found.predictions += made.records
        if made.rows or made.missing:
            ledger.pace.end("")
    return found


def weigh(found: Measurement, reader: Reader, ground: Ground) -> None:
    """Add to `found` what its subject costs on `ground` where `reader` reads."""
    reader.pace.begin("cost")
    made = cost_of(found.subject, reader, ground)
    found.cost += made.rows
    found.missing += made.missing
    reader.pace.end("")


def headline(found: Measurement, length: int) -> str:
    """Return in words what was `found` at `length`: of text, or else of each task."""
    if length in found.scored:
        scored = found.scored[length]
        perplexity = math.exp(scored.nll.sum() / scored.counts.sum())
        return f"perplexity {perplexity:.1f}  {len(scored.nll)} documents"
    rows = [row for row in found.tasks if row["length"] == length and row["depth"] == "all"]
    return "  ".join(f"{row['task']} {row['value']:.2f}" for row in rows)


def read_length(found: Measurement, reader: Reader, length: int, ground: Ground, ledger: Ledger) -> str:
    """Add to `found` what `reader` scores at `length`, 0 for tasks without filler; return why it could not."""
    try:
        if length and not ground.unscored:
            score_text(found, reader, length, ground, ledger)
        samples = [sample for by_length in ground.samples.values() for sample in by_length[length]]
        for task, group in groupby(samples, key=lambda sample: sample.place.task):
            is_by_depth = ground.settings.parameters.task(task).is_by_depth
            records = score_samples(found.subject, reader, list[Sample](group), ground, ledger)
            found.records += records
            found.tasks += task_rows(records, is_by_depth)
    except OutOfMemoryError:
        return AT_ONE_ROW
    return ""


def score_text(found: Measurement, reader: Reader, length: int, ground: Ground, ledger: Ledger) -> None:
    """Add to `found` the sums over the last tokens of windows of `length`; at the longest, the means by position."""
    lines, edges = lines_at(reader, ground, ledger, length), edges_at(reader, ground, length)
    found.scored[length] = stacked(lines)
    if edges:
        found.positions += by_position(lines, edges, found.subject)
