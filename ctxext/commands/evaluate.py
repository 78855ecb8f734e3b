"""`ctxext eval`: a finished run on a whole dataset, through its own composition or another, without training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ctxext.commands.conclusion import conclude
from ctxext.commands.foundation import base_members
from ctxext.commands.measuring import measured, members
from ctxext.commands.saved_network import saved_network
from ctxext.config.schema import Run
from ctxext.data.prepare import prepare
from ctxext.evaluation.language import last_end
from ctxext.evaluation.measure import common_ground
from ctxext.evaluation.settings import SUBJECTS
from ctxext.reporting.journal import Journal
from ctxext.reporting.table import ledger_table


def evaluate(run: Run, folder: Path) -> None:
    """Score a network on every long enough document of the dataset of `run`, up to the last token of each.

    The run in `run.run` is the subject `extended`; without one, the base is read through position, mask and attention of
    `run` as `zero_shot`, beside `base` and `truncated`.
    """
    run = replace(run, export=replace(run.export, format=[]))
    with Journal(folder, run.name) as journal:
        network, tokenizer = saved_network(run, journal)
        whole = replace(run.dataset, validation_share=0.0, test_share=1.0)
        data = prepare(whole, tokenizer, run.model.vocab_size, Path(run.cache), journal.watch)
        journal.table(ledger_table(data.ledger))
        ground = common_ground(run.evaluation, run.base.trained_length, data.test, tokenizer, last_end)
        subjects = subjects_of(run, network)
        measurements = [
            measured(subject, reading, ground, Path(run.cache), data.digest, journal)
            for subject, reading in subjects.items()
            if subject in run.evaluation.subjects
        ]
        absent = {
            subject: "ctxext eval trains nothing" if not run.run else "only the run's own weights are measured"
            for subject in SUBJECTS
            if subject not in subjects
        }
        conclude(run, folder, data, ground, measurements, absent, network, journal)


def subjects_of(run: Run, network: Any) -> dict[str, Any]:
    """Return the subjects of `run` with the network that each reads through."""
    if run.run:
        return {"extended": network}
    base = network.reading(*base_members(run))
    return {"base": base, "truncated": base} | ({"zero_shot": network} if members(base) != members(network) else {})
