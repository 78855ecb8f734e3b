"""`ctxext eval`: a finished run on a whole dataset, through its own composition or another, without training."""

from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from ctxext.commands.company import company, journal_of
from ctxext.commands.conclusion import conclude
from ctxext.commands.device import device_of
from ctxext.commands.foundation import base_members, read_base, show
from ctxext.commands.interruption import leave_if_asked
from ctxext.commands.measuring import Findings, ground_of, marked, members
from ctxext.commands.saved_network import saved_network
from ctxext.config.legality import notes
from ctxext.config.saved import read_config
from ctxext.config.schema import Run
from ctxext.data.prepare import prepare
from ctxext.data.sources import Source
from ctxext.evaluation.applications.applied import check_scorer
from ctxext.evaluation.protocol import chosen
from ctxext.evaluation.results import TRAINED_ON
from ctxext.evaluation.text.language import last_end
from ctxext.parallel.mesh import Mesh
from ctxext.reporting.journal import Journal
from ctxext.training.signals import listening


def evaluate(run: Run, folder: Path) -> None:
    """Score a network on documents of the whole dataset of `run`, those long enough, up to the last token of each.

    There are at most evaluation.documents of them, drawn once for all runs.

    The run in `run.run` is the subject `extended`; without one, the base is read through position, mask and attention
    of `run` as `zero_shot`. Beside either stand `base` and `truncated`.
    """
    check_scorer(run.dataset.application)
    run = replace(run, export=replace(run.export, format=[]))
    with (
        company(run, folder, "eval", device_of(run).type) as (mesh, common),
        journal_of(mesh, common, run.name) as journal,
    ):
        score(run, mesh, journal)


def score(run: Run, mesh: Mesh, journal: Journal) -> None:
    """Score what `run` names in each process of `mesh`; the first writes into the folder of `journal`."""
    with listening(journal.say) as stop:
        leave = partial(leave_if_asked, stop, journal, "eval")
        for note in notes(run):
            journal.say(note)
        network, tokenizer, _ = saved_network(run, journal)
        whole = replace(run.dataset, validation_share=0.0, test_share=1.0)
        with mesh.first():
            data = prepare(whole, tokenizer, run.model.vocab_size, Path(run.cache), journal.watch)
        show(data, run, journal)
        ground = ground_of(run, data, last_end)
        subjects = subjects_of(run, network)
        remarks = trained_on(run)
        for sentence in [*chosen(ground).values(), *remarks.values()]:
            journal.say(f"eval   {sentence}")
        leave(mesh=mesh)
        ground = marked(ground, subjects.get("base"), Path(run.cache), journal, leave)
        findings = Findings(data, ground, reasons(run, subjects), remarks)
        for subject, reading in subjects.items():
            findings.add(subject, reading, Path(run.cache), journal, leave)
        if mesh.is_first:
            findings.weigh(journal, leave)
            conclude(run, "eval", findings, network, journal)


def subjects_of(run: Run, network: Any) -> dict[str, Any]:
    """Return the subjects of `run` with the network that each reads through: the controls are those of its base."""
    if not run.run:
        base = network.reading(*base_members(run))
        return controls(base) | ({"zero_shot": network} if members(base) != members(network) else {})
    base = controls(read_base(run).to(device_of(run))) if run.base.path else {}
    return base | {"extended": network}


def trained_on(run: Run) -> dict[str, str]:
    """Return for the protocol that the earlier run which `run` names was trained on some of the documents, if so."""
    if not run.run or (run.base.path and not run.trainer.steps):
        return {}
    trained = read_config(Path(run.run)).get("dataset", {})
    own = {field.name for field in fields(run.dataset)} - {field.name for field in fields(Source)}
    is_same = trained.get("_target_") == f"{type(run.dataset).__module__}.{type(run.dataset).__qualname__}"
    if not is_same or any(trained.get(name) != getattr(run.dataset, name) for name in own):
        return {}
    return {TRAINED_ON: f"{run.run} was trained on this dataset: its training documents are among those scored"}


def controls(base: Any) -> dict[str, Any]:
    """Return the subjects that read through the untouched `base`."""
    return {"base": base, "truncated": base}


def reasons(run: Run, subjects: dict[str, Any]) -> dict[str, str]:
    """Return why each subject of `run` that is not among `subjects` can't be measured."""
    if not run.run:
        unchanged = {} if "zero_shot" in subjects else {"zero_shot": "the method changes nothing, it is the base"}
        return {"extended": "ctxext eval trains nothing", **unchanged}
    scratch = "the run's base was trained from scratch, and the run keeps its own weights alone"
    untrained = {"zero_shot": "ctxext eval of a run takes its weights as they are"}
    return untrained | ({} if run.base.path else dict.fromkeys(("base", "truncated"), scratch))
