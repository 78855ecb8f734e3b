"""The base of a run: weights that were read from a folder, or trained from scratch once and kept."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from ctxext.attention.softmax import Softmax
from ctxext.commands.company import journal_of
from ctxext.commands.device import device_of
from ctxext.commands.extension import extend, identity_of
from ctxext.commands.interruption import leave_if_asked
from ctxext.config.schema import Run
from ctxext.data.ledger import AS_TEXT, AS_TOKENS, REPAIRED
from ctxext.data.prepare import QUARANTINE, Prepared, prepare
from ctxext.formats.bases import open_base
from ctxext.formats.companions import Companions, plain_companions
from ctxext.mask.document import IntraDocument
from ctxext.maths.fingerprint import fingerprint
from ctxext.model.geometry import DecoderGeometry
from ctxext.parallel.mesh import here
from ctxext.position.nope import Nope
from ctxext.refusal import require
from ctxext.reporting.journal import Journal
from ctxext.reporting.table import ledger_table
from ctxext.training.drift import versions
from ctxext.training.lock import lock_in_turn
from ctxext.training.settings import AS_LAID, WITHOUT
from ctxext.training.signals import Stop


def prepared(run: Run, journal: Journal) -> Prepared:
    """Return the run's data, encoded with the base's tokenizer, or with one trained on them; show what became of it."""
    tokenizer = open_base(run.base.path).tokenizer() if run.base.path else None
    with here().first():  # the others find what it leaves in the cache
        data = prepare(run.dataset, tokenizer, run.model.vocab_size, Path(run.cache), journal.watch)
    show(data, run, journal)
    return data


def show(data: Prepared, run: Run, journal: Journal) -> None:
    """Show in `journal` what became of the documents of `data`, and where those that weren't clean are listed."""
    journal.table(ledger_table(data.ledger))
    kept = sum(row.documents for row in data.ledger if row.outcome.startswith("kept"))
    if data.ledger[0].documents > kept or any(
        row.outcome.startswith((REPAIRED, AS_TEXT, AS_TOKENS)) for row in data.ledger
    ):
        journal.say(
            f"data   what was dropped or repaired, and why: {Path(run.cache) / 'tokens' / data.digest / QUARANTINE}"
        )


def companions_of(run: Run, tokenizer: Tokenizer) -> Companions:
    """Return what goes with the `tokenizer` of `run`: what its base brings along, or what fits one trained here."""
    return open_base(run.base.path).companions() if run.base.path else plain_companions(tokenizer)


def base_members(run: Run) -> tuple[Any, Any, Any]:
    """Return position, mask and attention of the untouched model: what the base brings, or is to be trained with."""
    if not run.base.path:
        return run.position.base(), run.mask.base(), run.attention.base()
    position, mask, attention = open_base(run.base.path).members()
    return position, run.mask.base() if mask == IntraDocument() else mask, attention


def check_base(run: Run) -> None:
    """Refuse a base whose files a new `run` could not read to the end; an earlier run has its own."""
    if run.base.path and not run.run:
        own_geometry(run)
        open_base(run.base.path).check()


def own_geometry(run: Run) -> DecoderGeometry:
    """Return the sizes of the base of `run`; refuse others in `run.model`."""
    geometry = open_base(run.base.path).geometry()
    for key, value in vars(geometry).items():
        wanted = getattr(run.model, key, None)
        require(
            wanted == value,
            f"model.{key} is {wanted!r}, but base.path={run.base.path} has {value!r}; drop it, or use base=none",
        )
    return geometry


def read_base(run: Run) -> Any:
    """Return the network of `base.path`, untouched; refuse a geometry that is not its own."""
    base, geometry = open_base(run.base.path), own_geometry(run)
    network: Any
    with torch.device("meta"):  # the weights that are read take the place of drawn ones, and are never there twice
        network = geometry.build(Nope(), IntraDocument(), Softmax())
    network.load_state_dict(base.weights(), assign=True)
    return network.reading(*base_members(run))


@dataclass(frozen=True)
class Scratch:
    """The stage that trains a base: the run as it would be at the trained length, and the folder that keeps it."""

    run: Run
    folder: Path


def scratch(run: Run, data: Prepared) -> Scratch:
    """Return the stage that trains the base of `run`; the folder is named by all that the weights depend on."""
    settings = replace(
        run.trainer,
        steps=run.base.steps,
        learning_rate=run.base.learning_rate,
        batch_tokens=run.base.batch_tokens,
        resume="auto",
        resume_allow=[*versions()],  # whoever trained a base that is kept, it is named by its own weights
        positions=AS_LAID,
        adapter=WITHOUT,
    )
    position, mask, attention = base_members(run)
    length = run.base.trained_length
    stage = replace(run, context_length=length, trainer=settings, position=position, mask=mask, attention=attention)
    digest = fingerprint({}, identity_of(stage, data))
    return Scratch(stage, Path(run.cache) / "bases" / f"{type(position).__name__.lower()}-{length}-{digest[:8]}")


def train_base(run: Run, data: Prepared, journal: Journal, stop: Stop) -> Any:
    """Return the network trained from scratch at the trained length, taken from the cache if it was trained before."""
    stage = scratch(run, data)
    torch.manual_seed(run.seed)
    network = run.model.build(stage.run.position, stage.run.mask, stage.run.attention).to(device_of(run))
    journal.say(f"base: trained from scratch at {run.base.trained_length} tokens, kept in {stage.folder}")
    with held_in_turn(stage.folder, journal, stop), journal_of(here(), stage.folder, stage.folder.name) as own:
        extend(network, stage.run, data, stage.folder / "checkpoints", own, stop)
    return network


def held_in_turn(folder: Path, journal: Journal, stop: Stop) -> AbstractContextManager[None]:
    """Return what holds `folder` for all processes of a run, after others of the same sweep, who need the same base."""
    if not here().is_first:
        return nullcontext()
    return lock_in_turn(folder, journal.say, partial(rest, stop, journal))


def rest(stop: Stop, journal: Journal) -> None:
    """Let half a second go by, or end the program if `stop` was asked for."""
    leave_if_asked(stop, journal)
    time.sleep(0.5)


def untouched(run: Run, data: Prepared, journal: Journal, stop: Stop) -> Any:
    """Return the base of `run`, read or trained, on the run's device."""
    return read_base(run).to(device_of(run)) if run.base.path else train_base(run, data, journal, stop)


def read_through(network: Any, run: Run) -> Any:
    """Return a network with the weights of `network` that reads through the run's method.

    What the method learns and `network` has not begins with values drawn from the run's seed.
    """
    torch.manual_seed(run.seed)
    return network.reading(run.position, run.mask, run.attention)
