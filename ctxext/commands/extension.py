"""Training as a stage of a run: rows, the loop, and what goes into the journal."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ctxext.commands.probing import make_probe
from ctxext.config.schema import Run
from ctxext.data.prepare import Prepared
from ctxext.data.rows import Rows
from ctxext.maths.fingerprint import fingerprint
from ctxext.position.sampling import AsLaid, Pose, Randomized, Sampler
from ctxext.reporting.journal import Journal
from ctxext.training.loop import Course, Watcher, fit, resume
from ctxext.training.settings import AS_LAID
from ctxext.training.signals import Stop

UNRELATED = ("save_every", "keep", "resume", "compile")
"""Settings of the trainer that change no number."""
DRAWING = ("positions", "max_position")
"""Settings of the trainer that change none where positions are as laid."""
SAMPLERS: dict[str, type[Pose | Randomized]] = {"pose": Pose, "randomized": Randomized}


def identity_of(run: Run, data: Prepared) -> dict[str, Any]:
    """Return all that the weights trained in `run` on `data` depend on, in words and numbers."""
    members = {key: repr(getattr(run, key)) for key in ("model", "position", "mask", "attention")}
    unrelated = (*UNRELATED, *(DRAWING if run.trainer.positions == AS_LAID else ()))
    trainer = {
        f"trainer.{key}": value for key, value in dataclasses.asdict(run.trainer).items() if key not in unrelated
    }
    lengths = {"context_length": run.context_length, "seed": run.seed, "dataset.recall_share": run.dataset.recall_share}
    return {**members, **trainer, **lengths, "data": data.digest, "tokenizer": fingerprint({}, data.tokenizer.to_str())}


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
    return Rows(data.train, data.tokenizer, row_length(run), share, run.seed, apart, sampler_of(run))


def extend(network: Any, run: Run, data: Prepared, checkpoints: Path, journal: Journal, stop: Stop) -> None:
    """Train `network` as `run` says, from the newest of `checkpoints` on, until it is done or `stop` is asked for."""
    rows = rows_of(run, data)
    identity = identity_of(run, data) | {"base": fingerprint(network.state_dict())}
    course = Course(rows, run.trainer, checkpoints, identity)
    progress, optimiser = resume(network, course, journal.say)
    journal.truncate(progress.step)
    probe = make_probe(network, run, data)
    if progress.step < run.trainer.steps:
        settings = f"{run.trainer.steps} steps of {run.trainer.batch_tokens} tokens"
        lessons = f", {run.dataset.recall_share:.0%} of the rows lessons in look-up" if run.dataset.recall_share else ""
        sampler = rows.sampler
        drawn = "" if isinstance(sampler, AsLaid) else f", at positions drawn below {sampler.max_position}"
        journal.say(f"train  at {rows.length} tokens, {settings}{lessons}{drawn}")
        if run.trainer.compile:
            for block in getattr(network, "layers", ()):
                block.compile()
        with journal.steps(progress.step + 1, run.trainer.steps) as line:

            def log(row: dict[str, Any]) -> None:
                journal.log_step(row)
                line.show(row)

            fit(network, course, Watcher(log, probe, stop), progress, optimiser)
    network.eval()
    if progress.interrupted:
        journal.say(f"saved at step {progress.step} in {checkpoints}")
