"""What one subject scores on a common ground: the same windows and the same samples for every subject and every run.

Shapes: N documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from ctxext.evaluation.answers.scoring import score_samples, task_rows
from ctxext.evaluation.applications.applied import applied
from ctxext.evaluation.costs.cost import cost_of
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.ledger import Ledger, OutOfMemoryError
from ctxext.evaluation.reader import Reader, TruncatedReader
from ctxext.evaluation.results import Row
from ctxext.evaluation.shortage import AT_ONE_ROW, beyond
from ctxext.evaluation.text.language import Line, Scored, by_position, position_edges, score_windows, stacked
from ctxext.evaluation.text.measures import measures_of
from ctxext.tasks.samples import Sample

Watch = Callable[[Iterable[Any], str, int], Iterable[Any]]


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


def measure(subject: str, reader: Reader, ground: Ground, ledger: Ledger, watch: Watch) -> Measurement:
    """Return what `subject` scores on `ground` when its text is read by `reader`; `watch` shows the lengths go by.

    What `ledger` knows is not scored again. A length for which memory is short is left out, and all beyond it.
    """
    found = Measurement(subject)
    lengths = (0, *ground.settings.lengths) if ground.samples else ground.settings.lengths
    for length in watch(lengths, f"eval   {subject}", len(lengths)):
        obstacle = reader.obstacle(length) or beyond(found.unread)
        if not obstacle:
            obstacle = read_length(found, reader, length, ground, ledger)
        if obstacle:
            found.unread[length] = obstacle
    for section, part in (
        (found.language, measures_of(subject, reader, ground, ledger)),
        (found.applications, applied(subject, reader, ground, ledger)),
        (found.cost, cost_of(subject, reader, ground)),
    ):
        section += part.rows
        found.missing += part.missing
        found.predictions += part.records
    return found


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
    settings, windows = ground.settings, ground.windows
    scored = settings.scored_tokens
    sight = reader.sight(length, scored)  # it reads the same tokens, however long the window
    is_last = length == settings.lengths[-1] and not isinstance(reader, TruncatedReader)
    edges = position_edges(ground.trained_length, length) if is_last else []

    def score(run: range) -> list[Line]:
        return score_windows(reader, windows, run, sight, scored, edges)

    kind = "whole" if is_last else "text"
    keys = [f"{kind} {ground.text_digest} {sight} {scored} {index}" for index in range(len(windows.names))]
    lines = ledger.through(keys, score, reader.rows(sight, scored))
    found.scored[length] = stacked(lines)
    if is_last:
        found.positions += by_position(lines, edges, found.subject)
