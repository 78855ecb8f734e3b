"""The end of a run: all that was measured goes into `results.json`, and from there to whatever shows it."""

from __future__ import annotations

import platform
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from hydra.core.hydra_config import HydraConfig

from ctxext import __version__
from ctxext.commands.exporting import RESULTS, describe, write_exports
from ctxext.commands.extension import row_length
from ctxext.commands.interruption import typed
from ctxext.commands.measuring import Findings, save_records
from ctxext.config.folders import option_files
from ctxext.config.schema import Run
from ctxext.data.prepare import Prepared
from ctxext.evaluation.assembly import assemble
from ctxext.evaluation.protocol import protocol
from ctxext.evaluation.results import Results, Row
from ctxext.formats.bases import open_base
from ctxext.formats.companions import read_companions
from ctxext.maths.fingerprint import fingerprint
from ctxext.reporting.journal import Journal
from ctxext.reporting.report import write_report
from ctxext.reporting.table import results_table

LIBRARIES = ("torch", "tokenizers", "safetensors", "hydra-core")
SEAMS = ("position", "mask", "attention")


def conclude(run: Run, command: str, findings: Findings, network: Any, journal: Journal) -> Results:
    """Write the `findings` of `command`, and all that is made from them, into the journal's folder; show the table.

    `network` is exported as `run` asks.
    """
    sections, folder = assemble(findings.measurements, findings.ground, findings.absent), journal.folder
    results = Results(
        run=facts(run, command, findings.data),
        lengths={"trained": run.base.trained_length, "target": run.context_length, "evaluated": run.evaluation.lengths},
        protocol=protocol(findings.ground) | findings.remarks,
        by_length=sections.by_length,
        by_position=sections.by_position,
        tasks=sections.tasks,
        effective_length=sections.effective_length,
        language=sections.language,
        applications=sections.applications,
        cost=sections.cost,
        export={},
        missing=sections.missing,
    )
    folder.mkdir(parents=True, exist_ok=True)
    results.save(folder / RESULTS)  # before anything that may fail
    save_records(folder, findings)
    if run.export.format:
        words = findings.data.tokenizer, read_companions(folder)
        results = replace(results, export=write_exports(run, folder, network, *words, journal))
        describe(folder, results)
    journal.results(results, hyperparameters(run))
    write_report(results, folder)
    journal.table(results_table(results))
    journal.say(f"{folder}: {RESULTS}, report.md, plots/; tensorboard --logdir {folder.parent}")
    return results


def origin_of(run: Run) -> dict[str, Any]:
    """Return where the base of `run` comes from, as its files say."""
    return open_base(run.base.path).origin() if run.base.path else {}


def facts(run: Run, command: str, data: Prepared) -> Row:
    """Return what the run was: the key `run` of `results.json`."""
    kept = {row.outcome: row.tokens for row in data.ledger if row.tokens}
    length = row_length(run)
    return {
        **composed(run, command),
        "steps": run.trainer.steps,
        "trained_tokens": run.trainer.steps * (run.trainer.batch_tokens // length) * length,
        "data": {
            "source": type(run.dataset).__name__,
            "digest": data.digest,
            "tokenizer": fingerprint({}, data.tokenizer.to_str()),
            "tokens": kept,
            "documents": {row.outcome: row.documents for row in data.ledger if row.documents},
        },
    }


def composed(run: Run, command: str) -> Row:
    """Return what is known of `run` in any case: what `command` was, and what the model is made of."""
    versions = {library: version(library) for library in LIBRARIES}
    return {
        "name": run.name,
        "method": method_of(run),
        "seed": run.seed,
        "command": typed(command),
        "base": run.base.path or "none",
        "origin": origin_of(run),
        **{slot: repr(getattr(run, slot)) for slot in SEAMS},
        "adapter": run.trainer.adapter,
        "versions": versions | {"ctxext": __version__, "python": platform.python_version()},
    }


def unmeasured(run: Run, command: str) -> Results:
    """Return the results of a `command` that measures nothing of `run`: what it is, and that nothing is known of it."""
    why = f"ctxext {command} measures none; ctxext eval does"
    return Results(
        run=composed(run, command),
        lengths={"trained": run.base.trained_length, "target": run.context_length, "evaluated": []},
        protocol={},
        by_length=[],
        by_position=[],
        tasks=[],
        effective_length=[],
        cost=[],
        export={},
        missing=[{"what": what, "reason": why} for what in ("by_length", "by_position", "tasks", "effective_length")],
    )


def method_of(run: Run) -> str:
    """Return the overlay that the run chose, or nothing; a name that the user typed is not a method."""
    choices = HydraConfig.get().runtime.choices if HydraConfig.initialized() else {}
    known = [path.stem for path in option_files("method")]
    return str(choices.get("method", run.name if run.name in known else ""))


def hyperparameters(run: Run) -> dict[str, str | float]:
    """Return the columns of TensorBoard's run table."""
    chosen: dict[str, str | float] = {
        "method": method_of(run) or "none",
        "seed": run.seed,
        "context_length": run.context_length,
        "trained_length": run.base.trained_length,
        "base": run.base.path or "none",
        "steps": run.trainer.steps,
        "batch_tokens": run.trainer.batch_tokens,
        "learning_rate": run.trainer.learning_rate,
    }
    slots = {key: type(getattr(run, key)).__name__ for key in ("model", "position", "mask", "attention", "dataset")}
    numbers = {
        name: float(getattr(slot, name))
        for slot, name in ((run.position, "factor"), (run.mask, "window"), (run.mask, "sinks"))
        if hasattr(slot, name)
    }
    return chosen | slots | numbers
