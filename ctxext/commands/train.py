"""`ctxext train`: prepare data, get the base, measure it, check, train, measure again, export, report."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ctxext.commands.check import prove_in_brief
from ctxext.commands.company import company, journal_of
from ctxext.commands.conclusion import conclude
from ctxext.commands.device import device_of
from ctxext.commands.extension import extend, merged, rows_of
from ctxext.commands.footprint import planned
from ctxext.commands.foundation import companions_of, prepared, read_through, untouched
from ctxext.commands.interruption import leave_if_asked
from ctxext.commands.measuring import Findings, ground_of, marked, members
from ctxext.commands.tuning import tuned
from ctxext.config.legality import notes
from ctxext.config.schema import Run
from ctxext.evaluation.applications.applied import check_scorer
from ctxext.evaluation.protocol import chosen
from ctxext.evaluation.text.language import drawn_end
from ctxext.formats.companions import TOKENIZER
from ctxext.parallel.mesh import Mesh
from ctxext.reporting.journal import Journal
from ctxext.training.settings import WITHOUT
from ctxext.training.signals import listening


def train(run: Run, folder: Path) -> float | None:
    """Carry `run` through its stages; everything it makes lies in `folder`, but for what is kept in its cache.

    Where a sweeper tunes it, return what that makes least.
    """
    folder.mkdir(parents=True, exist_ok=True)
    device = device_of(run)  # refused before anything slow
    check_scorer(run.dataset.application)
    with company(run, folder, "train", device.type) as (mesh, common), journal_of(mesh, common, run.name) as journal:
        return carry_through(run, mesh, journal)


def carry_through(run: Run, mesh: Mesh, journal: Journal) -> float | None:
    """Return what `train` does, in each process of `mesh`; the first writes into the folder of `journal`."""
    folder = journal.folder
    with listening(journal.say) as stop:
        leave = partial(leave_if_asked, stop, journal, "train")
        leave(mesh=mesh)
        for note in notes(run):
            journal.say(note)
        data = prepared(run, journal)
        leave(mesh=mesh)
        keep_words(run, data.tokenizer, mesh, folder)
        ground = ground_of(run, data, drawn_end)
        for sentence in chosen(ground).values():
            journal.say(f"eval   {sentence}")
        base = untouched(run, data, journal, stop)
        leave(mesh=mesh)
        method = read_through(base, run)
        plan = Plan(base, method, is_changed=members(base) != members(method), is_trained=run.trainer.steps > 0)
        if plan.is_trained and run.trainer.adapter == WITHOUT:  # an adapter is attached only once the base is measured
            journal.say(f"plan   {planned(method, run, rows_of(run, data), folder / 'checkpoints')}")
        findings = Findings(data, marked(ground, base, Path(run.cache), journal, leave), plan.reasons())
        for subject, network in plan.untrained().items():
            findings.add(subject, network, Path(run.cache), journal, leave)
            leave(mesh=mesh)
        if plan.is_trained:
            if mesh.is_first:
                prove_in_brief(base, run, journal)
            extend(method, run, data, folder / "checkpoints", journal, stop)
            leave(mesh=mesh)
            merged(method, run, journal)
            findings.add("extended", method, Path(run.cache), journal, leave)
        if not mesh.is_first:
            return None
        findings.weigh(journal, leave)
        conclude(run, "train", findings, method, journal)
        return tuned(run, data, method, journal)


def keep_words(run: Run, tokenizer: Tokenizer, mesh: Mesh, folder: Path) -> None:
    """Write the `tokenizer` of `run`, and what goes with it, into `folder`, if this process of `mesh` writes."""
    if mesh.is_first:
        tokenizer.save(str(folder / TOKENIZER))
        companions_of(run, tokenizer).write(folder, run.context_length)


@dataclass(frozen=True)
class Plan:
    """Which subjects there are: `base` and `method` share their weights; training changes those of both."""

    base: Any
    method: Any
    is_changed: bool
    is_trained: bool

    def untrained(self) -> dict[str, Any]:
        """Return the subjects that are measured before training, with the network that each reads through."""
        changed = {"zero_shot": self.method} if self.is_changed else {}
        return {"base": self.base, "truncated": self.base, **changed}

    def reasons(self) -> dict[str, str]:
        """Return for each subject that there can't be the reason."""
        unchanged = {"zero_shot": "the method changes nothing before training, it is the base"}
        untrained = {"extended": "trainer.steps=0: nothing was trained"}
        return ({} if self.is_changed else unchanged) | ({} if self.is_trained else untrained)
