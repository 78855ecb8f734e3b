"""Evaluation as a stage of a run: each subject measured once, and kept for every run that meets the same again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ctxext.config.schema import Run
from ctxext.data.prepare import Prepared
from ctxext.evaluation.ground import Ground, common_ground
from ctxext.evaluation.ledger import Ledger, OutOfMemoryError
from ctxext.evaluation.measure import Measurement, measure
from ctxext.evaluation.reader import Reader, TruncatedReader, WholeReader
from ctxext.evaluation.settings import SUBJECTS
from ctxext.evaluation.text.language import EndPoint
from ctxext.evaluation.text.longppl import key_tokens
from ctxext.maths.fingerprint import fingerprint
from ctxext.reporting.journal import Journal

VERSION = 3
"""Raised when a definition of evaluation changes, so that no measurement by an older one is taken."""


@dataclass(frozen=True)
class Findings:
    """What a run measured on `data` and `ground`: each subject's measurement, and `reasons` why a subject has none."""

    data: Prepared
    ground: Ground
    reasons: dict[str, str]
    measurements: list[Measurement] = field(default_factory=list)

    def add(self, subject: str, network: Any, cache: Path, journal: Journal) -> None:
        """Measure `subject`, which reads through `network`, unless evaluation.subjects leaves it out."""
        if subject in self.ground.settings.subjects:
            self.measurements.append(measured(subject, network, self.ground, cache, journal))

    @property
    def absent(self) -> dict[str, str]:
        """For each of the contract's subjects that was not measured the reason."""
        known = {measurement.subject for measurement in self.measurements}
        return {
            subject: self.reasons.get(subject, "not among evaluation.subjects")
            for subject in SUBJECTS
            if subject not in known
        }


def ground_of(run: Run, data: Prepared, end_point: EndPoint) -> Ground:
    """Return what every subject of `run` is measured on, of the test part of its `data`."""
    length = run.base.trained_length
    return common_ground(run.evaluation, length, data.test, data.tokenizer, run.dataset, end_point)


def marked(ground: Ground, base: Any, cache: Path) -> Ground:
    """Return `ground` with the key tokens of LongPPL in the eyes of the untouched `base`, if that is asked for.

    Its scores are kept in `cache`; a `base` of None is not at hand.
    """
    if "longppl" not in ground.settings.measures or ground.unscored:
        return ground
    if base is None:
        return replace(ground, keys="its evaluator, the base of the run, is not at hand")
    ledger = Ledger(cache / "measured" / f"{digest_of(base, reader_of('base', base, ground))}.jsonl")
    try:
        name = f"the base, weights {fingerprint(base.state_dict())[:8]}"
        return replace(ground, keys=key_tokens(name, base, ground, ledger))
    except OutOfMemoryError:
        return replace(ground, keys="out of memory where its evaluator, the base, reads at batch 1")


def members(network: Any) -> tuple[Any, ...]:
    """Return what fills the three seams of `network`; nothing for one without them."""
    return tuple(getattr(network, name, None) for name in ("position", "mask", "attention"))


def reader_of(subject: str, network: Any, ground: Ground) -> Reader:
    """Return how `subject` reads with `network`."""
    if subject == "truncated":
        settings = ground.settings
        return TruncatedReader(network, settings.batch_tokens, ground.trained_length, settings.truncated_stride)
    return WholeReader(network, ground.settings.batch_tokens)


def measured(subject: str, network: Any, ground: Ground, cache: Path, journal: Journal) -> Measurement:
    """Return what `subject` scores with `network` on `ground`; scores of the same weights are kept in `cache`."""
    reader = reader_of(subject, network, ground)
    ledger = Ledger(cache / "measured" / f"{digest_of(network, reader)}.jsonl")
    if ledger.known:
        journal.say(f"eval   {subject}: {len(ledger.known)} scores of the same weights are kept, {ledger.path}")
    return measure(subject, reader, ground, ledger, journal.watch)


def digest_of(network: Any, reader: Reader) -> str:
    """Return a hash of what scores depend on beside the text: the weights, how they read, and by which definitions."""
    way = (type(reader).__name__, getattr(reader, "trained_length", 0), getattr(reader, "stride", 0))
    return fingerprint(network.state_dict(), VERSION, network.geometry, members(network), way)


def save_records(folder: Path, findings: Findings) -> None:
    """Write into `folder` a line of samples.jsonl for each scored sample, and of documents.jsonl for each document.

    Where there is an application, predictions.jsonl has a line for each pair. Runs are compared by these lines.
    """
    names = findings.ground.windows.names
    samples = [record for measurement in findings.measurements for record in measurement.records]
    documents = [line for measurement in findings.measurements for line in measurement.documents(names)]
    predictions = [line for measurement in findings.measurements for line in measurement.predictions]
    files = {"samples.jsonl": samples, "documents.jsonl": documents} | (
        {"predictions.jsonl": predictions} if predictions else {}
    )
    for name, lines in files.items():
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
