"""`ctxext train`: prepare data, get the base, measure it, check, train, measure again, export, report."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ctxext.commands.check import prove_in_brief
from ctxext.commands.conclusion import conclude
from ctxext.commands.device import device_of
from ctxext.commands.extension import extend, merged, rows_of
from ctxext.commands.footprint import planned
from ctxext.commands.foundation import companions_of, prepared, read_through, untouched
from ctxext.commands.interruption import leave_if_asked
from ctxext.commands.measuring import Findings, ground_of, marked, members
from ctxext.config.legality import notes
from ctxext.config.schema import Run
from ctxext.evaluation.applications.applied import check_scorer
from ctxext.evaluation.protocol import chosen
from ctxext.evaluation.text.language import drawn_end
from ctxext.formats.companions import TOKENIZER
from ctxext.reporting.journal import Journal
from ctxext.training.settings import WITHOUT
from ctxext.training.signals import listening


def train(run: Run, folder: Path) -> None:
    """Carry `run` through its stages; everything it makes lies in `folder`, but for what is kept in its cache."""
    folder.mkdir(parents=True, exist_ok=True)
    device_of(run)  # refused before anything slow
    check_scorer(run.dataset.application)
    with Journal(folder, run.name) as journal, listening(journal.say) as stop:
        leave = partial(leave_if_asked, stop, journal)
        leave()
        for note in notes(run):
            journal.say(note)
        data = prepared(run, journal)
        leave()
        data.tokenizer.save(str(folder / TOKENIZER))
        companions_of(run, data.tokenizer).write(folder, run.context_length)
        ground = ground_of(run, data, drawn_end)
        for sentence in chosen(ground).values():
            journal.say(f"eval   {sentence}")
        base = untouched(run, data, journal, stop)
        leave()
        method = read_through(base, run)
        plan = Plan(base, method, is_changed=members(base) != members(method), is_trained=run.trainer.steps > 0)
        if plan.is_trained and run.trainer.adapter == WITHOUT:  # an adapter is attached only once the base is measured
            journal.say(f"plan   {planned(method, run, rows_of(run, data), folder / 'checkpoints')}")
        findings = Findings(data, marked(ground, base, Path(run.cache), journal, leave), plan.reasons())
        for subject, network in plan.untrained().items():
            findings.add(subject, network, Path(run.cache), journal, leave)
            leave()
        if plan.is_trained:
            prove_in_brief(base, run, journal)
            extend(method, run, data, folder / "checkpoints", journal, stop)
            leave()
            merged(method, run, journal)
            findings.add("extended", method, Path(run.cache), journal, leave)
        findings.weigh(journal, leave)
        conclude(run, "train", findings, method, journal)


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
