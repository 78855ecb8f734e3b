"""Training as a stage of a run: rows, the loop, and what goes into the journal."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ctxext.commands.ceiling import Ceiling
from ctxext.commands.device import device_of
from ctxext.commands.footprint import forecast_of, foretold, pace_of, reached, taken, timed
from ctxext.commands.probing import make_probe, shortfall
from ctxext.config.record import accept
from ctxext.config.schema import Run
from ctxext.data.lessons import RECALL, Lessons
from ctxext.data.prepare import Prepared
from ctxext.data.rows import Rows
from ctxext.maths.fingerprint import fingerprint
from ctxext.model.resident import peak
from ctxext.parallel.mesh import here
from ctxext.position.sampling import AsLaid, Pose, Randomized, Sampler
from ctxext.reporting.journal import Journal
from ctxext.reporting.progress import left_out, waiting
from ctxext.training.adapters import attach, merge
from ctxext.training.allocator import arranged
from ctxext.training.checkpoint import FROZEN, frozen
from ctxext.training.compiling import as_written, compiled
from ctxext.training.drift import versions
from ctxext.training.loop import Course, Progress, Watcher, fit, resume
from ctxext.training.optimiser import compute_dtype
from ctxext.training.settings import AS_LAID, WITHOUT
from ctxext.training.shares import spread
from ctxext.training.signals import Stop
from ctxext.training.spikes import Spikes

FAULTS = ("resume_allow", "nonfinite", "nonfinite_limit")
"""What is done about faults: it changes no number of a run that has none."""
UNRELATED = ("save_every", "keep", "resume", "compile", "gradient_checkpointing", *FAULTS)
"""Settings of the trainer that change no number; `compile` changes last bits, of which a run that goes on is warned."""
DRAWING = ("positions", "max_position")
"""Settings of the trainer that change none where positions are as laid."""
ADAPTING = ("adapter", "lora_")
"""What the settings of the trainer begin with that change none where every weight is trained."""
SAMPLERS: dict[str, type[Pose | Randomized]] = {"pose": Pose, "randomized": Randomized}


def identity_of(run: Run, data: Prepared) -> dict[str, Any]:
    """Return all that the weights trained in `run` on `data` depend on, in words and numbers."""
    members = {key: repr(getattr(run, key)) for key in ("model", "position", "mask", "attention")}
    unrelated = (*UNRELATED, *(DRAWING if run.trainer.positions == AS_LAID else ()))
    adapting = ADAPTING if run.trainer.adapter == WITHOUT else ()
    trainer = {
        f"trainer.{key}": value
        for key, value in dataclasses.asdict(run.trainer).items()
        if key not in unrelated and not key.startswith(adapting)
    }
    lengths = {"context_length": run.context_length, "seed": run.seed, "dataset.recall_share": run.dataset.recall_share}
    lessons = {} if lessons_of(run) == Lessons() else {"dataset.lessons": repr(lessons_of(run))}
    pairs = {} if data.train.targets is None else {"rows": "whole pairs"}  # once they were cut anywhere
    drawn = {} if run.trainer.positions == AS_LAID else {"base.trained_length": row_length(run)}
    precision = str(compute_dtype(run.trainer.precision, device_of(run))).removeprefix("torch.")
    return {
        **members,
        **trainer,
        **lengths,
        **lessons,
        **pairs,
        **drawn,
        "trainer.precision": precision,
        "data": data.digest,
        "tokenizer": fingerprint({}, data.tokenizer.to_str()),
    }


def row_length(run: Run) -> int:
    """Return how many tokens a row of `run` has: where positions are drawn, no more than at first."""
    return run.context_length if run.trainer.positions == AS_LAID else run.base.trained_length


def sampler_of(run: Run) -> Sampler:
    """Return what chooses the positions of the rows of `run`."""
    way = run.trainer.positions
    return AsLaid() if way == AS_LAID else SAMPLERS[way](run.trainer.max_position)


def rows_of(run: Run, data: Prepared) -> Rows:
    """Return the rows that `run` trains on, of `data`."""
    apart, share = run.mask.keeps_documents_apart(), run.dataset.recall_share
    return Rows(data.train, data.tokenizer, row_length(run), share, run.seed, apart, sampler_of(run), lessons_of(run))


def lessons_of(run: Run) -> Lessons:
    """Return the lessons of `run`, as it measures the tasks that they are in."""
    names, suite = run.dataset.lessons, run.evaluation.parameters
    return Lessons(tuple(names), {name: suite.task(name) for name in names if name != RECALL})


def course_of(network: Any, run: Run, data: Prepared, rows: Rows, checkpoints: Path) -> Course:
    """Return the course of `run` for `network`, to which its adapter is attached.

    Its checkpoints leave out frozen weights that can be read again from the base's files.
    """
    identity = identity_of(run, data) | {"base": fingerprint(network.state_dict())} | versions()
    attach(network, run.trainer, run.seed)
    is_read_again = bool(run.base.path) and run.trainer.adapter != WITHOUT
    left_out = {FROZEN: fingerprint(frozen(network))} if is_read_again else {}
    return Course(rows, run.trainer, checkpoints, identity, left_out, here())


def trained_share(network: Any, run: Run) -> str:
    """Return how many of the weights of `network` are trained, where the adapter of `run` leaves some as they are."""
    if run.trainer.adapter == WITHOUT:
        return ""
    sizes = [(part.numel(), part.requires_grad) for part in network.parameters()]
    trained, whole = sum(size for size, is_trained in sizes if is_trained), sum(size for size, _ in sizes)
    return f", {run.trainer.adapter} of rank {run.trainer.lora_rank}: {trained:,} of {whole:,} weights are trained"


def planned(network: Any, run: Run, rows: Rows) -> str:
    """Return what `network` is trained on, how long, and how much of it."""
    settings = f"{run.trainer.steps} steps of {step_size(run.trainer.batch_tokens, rows.length)}"
    share, names = run.dataset.recall_share, ", ".join(run.dataset.lessons)
    lessons = f", {share:.0%} of the rows lessons in {names}" if share else ""
    sampler = rows.sampler
    drawn = "" if isinstance(sampler, AsLaid) else f", at positions drawn below {sampler.max_position}"
    return f"at {rows.length} tokens, {settings}{lessons}{drawn}{trained_share(network, run)}"


def step_size(tokens: int, length: int) -> str:
    """Return how many tokens a step has whose rows of `length` fit into `tokens`, and why where these are fewer."""
    used = tokens // length * length
    less = f" (trainer.batch_tokens={tokens} holds {tokens // length} whole rows)"
    return f"{used} tokens{less * (used < tokens)}"


def told_of(rows: Rows) -> str:
    """Return what becomes of pairs that no row holds whole, or nothing."""
    return rows.packing.told if rows.is_paired and rows.recall_share < 1 else ""


def merged(network: Any, run: Run, journal: Journal) -> None:
    """Merge the adapter of `run`, if it has one, into `network`, and say how exactly."""
    if run.trainer.adapter != WITHOUT:
        difference = merge(network, run.base.trained_length)
        journal.say(f"merged: the logits differ from the adapter's by {difference:.2g} of their scale")


def extend(network: Any, run: Run, data: Prepared, checkpoints: Path, journal: Journal, stop: Stop) -> None:
    """Train `network` as `run` says, from the newest of `checkpoints` on, until it is done or `stop` is asked for.

    With an adapter, it comes back with that attached.
    """
    rows = rows_of(run, data)
    course = course_of(network, run, data, rows, checkpoints)
    progress, optimiser = resume(network, course, journal.say)
    accept(checkpoints.parent)
    journal.truncate(progress.step)
    if progress.step < run.trainer.steps:
        journal.say(f"train  {planned(network, run, rows)}")
        for note in filter(None, (told_of(rows), shortfall(run, data))):
            journal.say(note)
        device = network.unembedding[0].device
        with arranged(run.trainer, device) as freed, Ceiling(network, run, rows, checkpoints) as ceiling:
            forecast, before = forecast_of(network, run, rows, checkpoints), peak(device)
            ceiling.forecast = forecast
            journal.say(f"memory {foretold(forecast)}{freed and f'; that of freed tensors is {freed}'}")
            pace = pace_of(network, run, rows)
            journal.say(f"time   {timed(pace, run.trainer.steps - progress.step)}")
            with spread(network, optimiser, run.trainer, course.mesh) as (training, own):
                probe = make_probe(training, run, data)
                carry_out(training, course, progress, own, Audience(journal, probe, stop))
        journal.say(f"memory {reached(forecast, before, network)}")
        journal.say(f"time   {taken(pace, journal.rows())}")
        for note in filter(None, [waiting(journal.rows()), left_out(journal.rows())]):
            journal.say(f"train  {note}")
    network.eval()
    if progress.interrupted:
        journal.say(f"saved at step {progress.step} in {checkpoints}")


class Audience(NamedTuple):
    """Who is told of each step, what is measured after it, and who may ask for the end."""

    journal: Journal
    probe: Callable[[int], dict[str, float]]
    stop: Stop


def carry_out(
    network: Any, course: Course, progress: Progress, optimiser: torch.optim.AdamW, audience: Audience
) -> None:
    """Train `network` along `course` from `progress` on, a line of the journal for each step."""
    settings, journal, probe = course.settings, audience.journal, audience.probe
    network.gradient_checkpointing = settings.gradient_checkpointing
    spikes = Spikes(row["loss"] for row in journal.rows() if "loss" in row)
    with ExitStack() as training:
        if settings.compile:
            batch, probe = course.rows.batch(0, course.rows_a_step), as_written(probe)
            training.enter_context(compiled(network, batch, settings, lambda told: journal.say(f"train  {told}")))
        line = training.enter_context(journal.steps(progress.step + 1, settings.steps))

        def log(row: dict[str, Any]) -> None:
            note = spikes.note(row["loss"])
            journal.log_step(row | ({"note": note} if note else {}))
            line.show(row)

        fit(network, course, Watcher(log, probe, audience.stop, journal.settle), progress, optimiser)
