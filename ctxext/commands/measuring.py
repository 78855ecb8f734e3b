"""Evaluation as a stage of a run: each subject measured once, those that don't depend on the training kept."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctxext.evaluation.measure import Ground, Measurement, measure
from ctxext.evaluation.reader import Reader, TruncatedReader, WholeReader
from ctxext.maths.fingerprint import fingerprint
from ctxext.reporting.journal import Journal

VERSION = 1
"""Raised when a definition of evaluation changes, so that no measurement by an older one is taken."""


def members(network: Any) -> tuple[Any, ...]:
    """Return what fills the three seams of `network`; nothing for one without them."""
    return tuple(getattr(network, name, None) for name in ("position", "mask", "attention"))


def reader_of(subject: str, network: Any, ground: Ground) -> Reader:
    """Return how `subject` reads with `network`."""
    if subject == "truncated":
        return TruncatedReader(network, ground.settings.batch_tokens, ground.trained_length)
    return WholeReader(network, ground.settings.batch_tokens)


def measured(
    subject: str, network: Any, ground: Ground, cache: Path, data_digest: str, journal: Journal
) -> Measurement:
    """Return what `subject` scores with `network` on `ground`, from `cache` if the same was measured before."""
    settings = dataclasses.replace(ground.settings, subjects=[subject])
    digest = fingerprint(
        network.state_dict(),
        VERSION,
        network.geometry,
        members(network),
        settings,
        ground.trained_length,
        data_digest,
        ground.windows.names,
    )
    path = cache / "measured" / f"{digest}.json"
    if path.is_file():
        journal.say(f"eval   {subject}: the same weights were measured before, {path}")
        return Measurement.load(path)
    measurement = measure(subject, reader_of(subject, network, ground), ground, journal.watch)
    measurement.save(path)
    return measurement


def save_samples(path: Path, measurements: Sequence[Measurement]) -> None:
    """Write a line of `path` for each scored sample."""
    lines = [json.dumps(record) + "\n" for measurement in measurements for record in measurement.records]
    path.write_text("".join(lines), encoding="utf-8")
