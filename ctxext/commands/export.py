"""`ctxext export`: the checkpoint of a run as files that others load, reloaded and compared."""

from dataclasses import replace
from pathlib import Path

from ctxext.commands.conclusion import SEAMS, unmeasured
from ctxext.commands.exporting import RESULTS, describe, each, refused, with_earlier, write_exports
from ctxext.commands.saved_network import saved_network
from ctxext.config.schema import Run
from ctxext.evaluation.results import Results
from ctxext.refusal import Refusal
from ctxext.reporting.journal import Journal


def export(run: Run, folder: Path) -> None:
    """Write the run in `run.run` to its own folder export/, and say how exactly others read it.

    A composition that is not the run's own, and the base where `run.run` is empty, go to `folder`. What has no home is
    refused, after the formats that have one are written.
    """
    with Journal(folder, run.name) as journal:
        if not run.run:
            journal.say(f"no run=PATH: the weights of base.path={run.base.path} are written, untrained")
        network, tokenizer, companions = saved_network(run, journal)
        file = Path(run.run) / RESULTS
        results = Results.load(file) if run.run and file.is_file() else unmeasured(run, "export")
        is_own = bool(run.run) and is_composition_of(run, results)
        target = Path(run.run) if is_own else folder
        label = write_exports(run, target, network, tokenizer, companions, journal)
        without = refused(label)
        if len(without) < len(list(each(label))) or (target / RESULTS).is_file():
            described = results if is_own else unmeasured(run, "export")
            describe(target, replace(described, export=with_earlier(label, described.export, target)))
        if without:
            reasons = "; ".join(f"not exportable to {found['format']}, {found['reason']}" for found in without)
            raise Refusal(f"{run.run or run.base.path}: {reasons}")


def is_composition_of(run: Run, results: Results) -> bool:
    """Return whether `results` were measured through position, mask and attention of `run`."""
    return all(results.run.get(slot) == repr(getattr(run, slot)) for slot in SEAMS)
