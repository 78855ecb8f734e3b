"""`ctxext export`: the checkpoint of a run as files that others load, reloaded and compared."""

from dataclasses import replace
from pathlib import Path

from ctxext.commands.conclusion import RESULTS, SEAMS
from ctxext.commands.exporting import HUGGING_FACE, each, write_exports
from ctxext.commands.saved_network import saved_network
from ctxext.config.schema import Run
from ctxext.evaluation.results import Results
from ctxext.formats.card import write_card
from ctxext.refusal import Refusal
from ctxext.reporting.journal import Journal


def export(run: Run, folder: Path) -> None:
    """Write the run in `run.run` to its own folder export/, and say how exactly others read it.

    A composition that is not the run's own, and the base where `run.run` is empty, go to `folder`. What has no home is
    refused.
    """
    with Journal(folder, run.name) as journal:
        if not run.run:
            journal.say(f"no run=PATH: the weights of base.path={run.base.path} are written, untrained")
        network, tokenizer, companions = saved_network(run, journal)
        file = Path(run.run) / RESULTS
        results = Results.load(file) if run.run and file.is_file() else None
        is_own = bool(run.run) and (results is None or is_composition_of(run, results))
        target = Path(run.run) if is_own else folder
        label = write_exports(run, target, network, tokenizer, companions, journal)
        for found in each(label):
            if found["label"] == "not exportable":
                raise Refusal(f"{run.run or run.base.path}: not exportable to {found['format']}, {found['reason']}")
        if results is not None and is_own:
            results = replace(results, export=label)
            results.save(file)
            if (target / HUGGING_FACE).is_dir():
                write_card(target / HUGGING_FACE, vars(results))


def is_composition_of(run: Run, results: Results) -> bool:
    """Return whether `results` were measured through position, mask and attention of `run`."""
    return all(results.run.get(slot) == repr(getattr(run, slot)) for slot in SEAMS)
