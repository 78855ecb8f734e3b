"""`ctxext eval`: a finished run on a whole dataset, through its own composition or another, without training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ctxext.commands.conclusion import conclude
from ctxext.commands.foundation import base_members
from ctxext.commands.measuring import Findings, members
from ctxext.commands.saved_network import saved_network
from ctxext.config.legality import notes
from ctxext.config.schema import Run
from ctxext.data.prepare import prepare
from ctxext.evaluation.language import last_end
from ctxext.evaluation.measure import common_ground
from ctxext.reporting.journal import Journal
from ctxext.reporting.table import ledger_table


def evaluate(run: Run, folder: Path) -> None:
    """Score a network on every long enough document of the dataset of `run`, up to the last token of each.

    The run in `run.run` is the subject `extended`; without one, the base is read through position, mask and attention
    of `run` as `zero_shot`, beside `base` and `truncated`.
    """
    run = replace(run, export=replace(run.export, format=[]))
    with Journal(folder, run.name) as journal:
        for note in notes(run):
            journal.say(note)
        network, tokenizer, _ = saved_network(run, journal)
        whole = replace(run.dataset, validation_share=0.0, test_share=1.0)
        data = prepare(whole, tokenizer, run.model.vocab_size, Path(run.cache), journal.watch)
        journal.table(ledger_table(data.ledger))
        ground = common_ground(run.evaluation, run.base.trained_length, data.test, tokenizer, last_end)
        subjects = subjects_of(run, network)
        findings = Findings(data, ground, reasons(run, subjects))
        for subject, reading in subjects.items():
            findings.add(subject, reading, Path(run.cache), journal)
        conclude(run, "eval", findings, network, journal)


def subjects_of(run: Run, network: Any) -> dict[str, Any]:
    """Return the subjects of `run` with the network that each reads through."""
    if run.run:
        return {"extended": network}
    base = network.reading(*base_members(run))
    return {"base": base, "truncated": base} | ({"zero_shot": network} if members(base) != members(network) else {})


def reasons(run: Run, subjects: dict[str, Any]) -> dict[str, str]:
    """Return why each subject of `run` that is not among `subjects` can't be measured."""
    if run.run:
        return dict.fromkeys(("base", "truncated", "zero_shot"), "only the run's own weights are measured")
    unchanged = {} if "zero_shot" in subjects else {"zero_shot": "the method changes nothing, it is the base"}
    return {"extended": "ctxext eval trains nothing", **unchanged}
