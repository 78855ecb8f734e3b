"""Evaluation as a stage of a run: each subject measured once, and kept for every run that meets the same again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctxext.data.prepare import Prepared
from ctxext.evaluation.measure import Ground, Measurement, measure
from ctxext.evaluation.reader import Reader, TruncatedReader, WholeReader
from ctxext.evaluation.settings import SUBJECTS
from ctxext.maths.fingerprint import fingerprint
from ctxext.reporting.journal import Journal

VERSION = 2
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
    """Return what `subject` scores with `network` on `ground`, from `cache` if the same was measured before."""
    path = cache / "measured" / f"{digest_of(subject, network, ground)}.json"
    if path.is_file():
        journal.say(f"eval   {subject}: the same weights were measured before, {path}")
        return Measurement.load(path)
    measurement = measure(subject, reader_of(subject, network, ground), ground, journal.watch)
    measurement.save(path)
    return measurement


def digest_of(subject: str, network: Any, ground: Ground) -> str:
    """Return a hash of all that the measurement of `subject` depends on."""
    windows = ground.windows
    texts = {"windows": windows.tokens, "windows' targets": windows.targets, "windows' bytes": windows.sizes}
    settings = dataclasses.replace(ground.settings, subjects=[subject], every=0)
    if subject != "truncated":
        settings = dataclasses.replace(settings, truncated_stride=1)
    seams = (network.geometry, members(network))
    return fingerprint(network.state_dict() | texts, VERSION, seams, settings, ground.trained_length, ground.samples)


def save_samples(path: Path, measurements: Sequence[Measurement]) -> None:
    """Write a line of `path` for each scored sample."""
    lines = [json.dumps(record) + "\n" for measurement in measurements for record in measurement.records]
    path.write_text("".join(lines), encoding="utf-8")
