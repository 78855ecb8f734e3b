"""What one subject scores on a common ground: the same windows and the same samples for every subject and every run.

Shapes: N documents.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from ctxext.data.corpus import Corpus
from ctxext.data.tokenizer import byte_lengths
from ctxext.evaluation import language, retrieval
from ctxext.evaluation.language import EndPoint, Scored, Windows
from ctxext.evaluation.reader import Reader, TruncatedReader
from ctxext.evaluation.results import Row
from ctxext.evaluation.settings import Evaluation
from ctxext.refusal import require
from ctxext.tasks.passkey import Sample

Watch = Callable[[Iterable[Any], str, int], Iterable[Any]]


@dataclass(frozen=True)
class Ground:
    """What every subject is measured on: `windows` of held-out text, and `samples` of the tasks by length."""

    settings: Evaluation
    trained_length: int
    windows: Windows
    samples: dict[int, list[Sample]]


def common_ground(
    settings: Evaluation, trained_length: int, corpus: Corpus, tokenizer: Tokenizer, end_point: EndPoint
) -> Ground:
    """Return the ground on `corpus`, each window ending where `end_point` says; refuse lengths that no document has."""
    require(
        settings.truncated_stride <= trained_length,
        f"evaluation.truncated_stride must be at most base.trained_length={trained_length}, the tokens of a pass, got "
        f"{settings.truncated_stride}",
    )
    sizes, key = byte_lengths(tokenizer), "evaluation.lengths"
    windows = language.choose_windows(corpus, settings.lengths[-1], settings.documents, sizes, end_point, key)

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    lengths = settings.lengths if "passkey" in settings.tasks else []
    samples = {length: retrieval.passkey_samples(settings, length, encode) for length in lengths}
    return Ground(settings, trained_length, windows, samples)


@dataclass(frozen=True)
class Measurement:
    """What `subject` scored: sums over documents by length, rows by position, and a record for each sample.

    `unread` says why it can't read each length that is not among the `scored`.
    """

    subject: str
    scored: dict[int, Scored]
    positions: list[Row]
    records: list[Row]
    unread: dict[int, str]

    def save(self, path: Path) -> None:
        """Write the measurement to `path` as JSON, whole or not at all."""
        scored = {
            length: {key: value.tolist() for key, value in vars(sums).items()} for length, sums in self.scored.items()
        }
        content = {"subject": self.subject, "scored": scored, "positions": self.positions, "records": self.records}
        content["unread"] = self.unread
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> Measurement:
        """Return the measurement in `path`."""
        content = json.loads(path.read_text(encoding="utf-8"))
        scored = {
            int(length): Scored(**{key: np.array(values) for key, values in sums.items()})
            for length, sums in content["scored"].items()
        }
        unread = {int(length): reason for length, reason in content["unread"].items()}
        return cls(content["subject"], scored, content["positions"], content["records"], unread)

    def task_rows(self) -> list[Row]:
        """Return the rows of `tasks`."""
        by_length = groupby(self.records, key=lambda record: (record["task"], record["length"]))
        return [row for _, records in by_length for row in retrieval.task_rows(records)]


def measure(subject: str, reader: Reader, ground: Ground, watch: Watch) -> Measurement:
    """Return what `subject` scores on `ground` when its text is read by `reader`; `watch` shows the lengths go by."""
    settings, windows = ground.settings, ground.windows
    positions: list[Row] = []
    scored: dict[int, Scored] = {}
    records: list[Row] = []
    unread = {length: reason for length in settings.lengths if (reason := reader.obstacle(length))}
    lengths = [length for length in settings.lengths if length not in unread]
    for length in watch(reversed(lengths), f"eval   {subject}", len(lengths)):
        sight = reader.sight(length, settings.scored_tokens)
        alike = next((known for known in scored if reader.sight(known, settings.scored_tokens) == sight), None)
        if alike is not None:  # it reads the same tokens, however long the window
            scored[length] = scored[alike]
        elif length == settings.lengths[-1] and not isinstance(reader, TruncatedReader):
            edges = language.position_edges(ground.trained_length, length)
            scored[length], positions = language.score_whole(reader, windows, settings.scored_tokens, edges, subject)
        else:
            scored[length] = language.score_length(reader, windows, sight, settings.scored_tokens)
        samples = ground.samples.get(length, [])
        ranks = retrieval.rank_samples(reader, samples) if samples else []
        records = [retrieval.sample_record(subject, *pair) for pair in zip(samples, ranks, strict=True)] + records
    return Measurement(subject, dict(sorted(scored.items())), positions, records, unread)
