"""Evaluation as a stage of a run: each subject measured once, and kept for every run that meets the same again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from ctxext.config.schema import Run
from ctxext.data.prepare import Prepared
from ctxext.evaluation.ground import Ground, common_ground
from ctxext.evaluation.ledger import Ledger, OutOfMemoryError
from ctxext.evaluation.measure import Measurement, measure, weigh
from ctxext.evaluation.pace import Pace
from ctxext.evaluation.reader import Reader, TruncatedReader, WholeReader
from ctxext.evaluation.results import SUBJECTS
from ctxext.evaluation.text.language import EndPoint
from ctxext.evaluation.text.longppl import key_tokens
from ctxext.maths.fingerprint import fingerprint
from ctxext.parallel.mesh import here
from ctxext.reporting.journal import Journal
from ctxext.reporting.progress import MeasureLine

PACKAGE = Path(__file__).parents[1]
COMPUTING = ("maths", "kernels", "parallel", "position", "mask", "attention", "tasks", "model", "data", "evaluation")
"""The packages whose code scores depend on."""


Leave = Callable[[], None]
"""What ends the program if it was asked to end; else it does nothing."""


@dataclass(frozen=True)
class Shown(Pace):
    """A pace that `line` shows, and at which the program may `leave`."""

    line: MeasureLine
    leave: Leave

    def begin(self, what: str) -> None:
        """Show `what` from now on."""
        self.line.begin(what)

    def count(self, done: int, total: int) -> None:
        """Show `done` of `total`."""
        self.line.count(done, total)

    def tick(self) -> None:
        """Show how far it is, and leave if that was asked for."""
        self.line.tick()
        self.leave()

    def end(self, found: str) -> None:
        """Show what was `found`."""
        self.line.end(found)


@dataclass(frozen=True)
class Findings:
    """What a run measured on `data` and `ground`: each subject's measurement, and `reasons` why a subject has none.

    `remarks` go into the protocol.
    """

    data: Prepared
    ground: Ground
    reasons: dict[str, str]
    remarks: dict[str, str] = field(default_factory=dict)
    measurements: list[Measurement] = field(default_factory=list)
    networks: dict[str, Any] = field(default_factory=dict)

    def add(self, subject: str, network: Any, cache: Path, journal: Journal, leave: Leave) -> None:
        """Measure `subject`, which reads through `network`, unless evaluation.subjects leaves it out.

        `leave` is called between batches, whose scores are kept.
        """
        if subject in self.ground.settings.subjects:
            self.measurements.append(measured(subject, network, self.ground, cache, journal, leave))
            self.networks[subject] = network

    def weigh(self, journal: Journal, leave: Leave) -> None:
        """Measure what each subject costs: at the end, one after the other, since times of one hour compare best.

        Training has changed the weights of all by then, and with them no cost.
        """
        for measurement in self.measurements:
            subject = measurement.subject
            with journal.measuring(f"eval   {subject}") as line:
                reader = reader_of(subject, self.networks[subject], self.ground)
                weigh(measurement, replace(reader, pace=Shown(line, leave)), self.ground)

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


def marked(ground: Ground, base: Any, cache: Path, journal: Journal, leave: Leave) -> Ground:
    """Return `ground` with the key tokens of LongPPL in the eyes of the untouched `base`, if that is asked for.

    Its scores are kept in `cache`; a `base` of None is not at hand.
    """
    if "longppl" not in ground.settings.measures or ground.unscored:
        return ground
    if base is None:
        return replace(ground, keys="its evaluator, the base of the run, is not at hand")
    name = f"the base, weights {fingerprint(base.state_dict())[:8]}"
    with journal.measuring("eval   base") as line:
        line.begin("key tokens")
        try:
            pace = Shown(line, leave)
            own, control = (ledger_of(subject, base, ground, cache, pace) for subject in ("base", "truncated"))
            return replace(ground, keys=key_tokens(name, base, ground, own, control))
        except OutOfMemoryError:
            return replace(ground, keys="out of memory where its evaluator, the base, reads at batch 1")


def members(network: Any) -> tuple[Any, ...]:
    """Return what fills the three seams of `network`; nothing for one without them."""
    return tuple(getattr(network, name, None) for name in ("position", "mask", "attention"))


def reader_of(subject: str, network: Any, ground: Ground) -> Reader:
    """Return how `subject` reads with `network`."""
    if subject == "truncated":
        settings = ground.settings
        reach, beginning = ground.trained_length, ground.corpus.beginning
        return TruncatedReader(network, settings.batch_tokens, reach, settings.truncated_stride, beginning)
    return WholeReader(network, ground.settings.batch_tokens)


def ledger_of(subject: str, network: Any, ground: Ground, cache: Path, pace: Pace) -> Ledger:
    """Return the ledger in `cache` of what `subject` scores with the weights of `network`."""
    return Ledger(cache / "measured" / f"{digest_of(network, reader_of(subject, network, ground))}.jsonl", pace, here())


def measured(subject: str, network: Any, ground: Ground, cache: Path, journal: Journal, leave: Leave) -> Measurement:
    """Return what `subject` scores with `network` on `ground`; scores of the same weights are kept in `cache`."""
    reader = reader_of(subject, network, ground)
    with journal.measuring(f"eval   {subject}") as line:
        pace = Shown(line, leave)
        ledger = ledger_of(subject, network, ground, cache, pace)
        if ledger.known:
            journal.say(f"eval   {subject}: {len(ledger.known)} scores of the same weights are kept, {ledger.path}")
        return measure(subject, replace(reader, pace=pace), ground, ledger)


def digest_of(network: Any, reader: Reader) -> str:
    """Return a hash of what scores depend on beside the text: the weights, how they read, by which code, and where."""
    way = (type(reader).__name__, getattr(reader, "trained_length", 0), getattr(reader, "stride", 0))
    where = (torch.__version__, network.unembedding[0].device.type, code_digest())
    return fingerprint(network.state_dict(), network.geometry, members(network), way, where)


@lru_cache(maxsize=1)
def code_digest(package: Path = PACKAGE) -> str:
    """Return a hash of the code in `package` that computes scores: none is taken that other code computed."""
    files = [*package.glob("*.py"), *(file for part in COMPUTING for file in (package / part).rglob("*.py"))]
    return fingerprint({}, *(file.read_bytes() for file in sorted(files)))


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
