"""The end of a run: everything measured goes into `results.json`, and from there to table, TensorBoard, report and card."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ctxext import __version__
from ctxext.commands.measuring import save_samples
from ctxext.config.schema import Run
from ctxext.data.prepare import Prepared
from ctxext.evaluation.assembly import assemble, protocol
from ctxext.evaluation.measure import Ground, Measurement
from ctxext.evaluation.results import Results, Row
from ctxext.formats.bases import base_folder
from ctxext.formats.card import write_card
from ctxext.formats.export import export_huggingface
from ctxext.reporting import plots
from ctxext.reporting.journal import Journal
from ctxext.reporting.report import write_report
from ctxext.reporting.table import results_table

LIBRARIES = ("torch", "tokenizers", "safetensors", "hydra-core")


def conclude(
    run: Run,
    folder: Path,
    data: Prepared,
    ground: Ground,
    measurements: Sequence[Measurement],
    absent: Mapping[str, str],
    network: Any,
    journal: Journal,
) -> Results:
    """Write `results.json` and all that is made from it into `folder`, export `network` as asked, and show the table."""
    sections = assemble(measurements, ground, absent)
    label = exported(run, folder, data, network, journal)
    results = Results(
        run=facts(run, data),
        lengths={"trained": run.base.trained_length, "target": run.context_length, "evaluated": run.evaluation.lengths},
        protocol=protocol(ground),
        by_length=sections.by_length,
        by_position=sections.by_position,
        tasks=sections.tasks,
        effective_length=sections.effective_length,
        cost=[],
        export=label,
        missing=[*sections.missing, {"what": "cost", "reason": "this version measures no cost"}],
    )
    results.save(folder / "results.json")
    save_samples(folder / "samples.jsonl", measurements)
    if (folder / "export" / "hf").is_dir():
        write_card(folder / "export" / "hf", vars(results), base_folder(run.base.path) if run.base.path else None)
    journal.results(results, hyperparameters(run))
    plots.draw(results, folder / "plots")
    write_report(results, folder)
    journal.table(results_table(results))
    journal.say(f"{folder}: results.json, report.md, plots/, checkpoints/; tensorboard --logdir outputs")
    return results


def exported(run: Run, folder: Path, data: Prepared, network: Any, journal: Journal) -> Row:
    """Return the label of the export in the formats that `run` asks for."""
    if "hf" not in run.export.format:
        return {}
    return export_huggingface(
        folder / "export" / "hf", network, data.tokenizer, run.context_length, run.base.trained_length
    )


def facts(run: Run, data: Prepared) -> Row:
    """Return what the run was: the key `run` of `results.json`."""
    versions = {library: version(library) for library in LIBRARIES} | {"ctxext": __version__, "python": platform.python_version()}
    kept = {row.outcome: row.tokens for row in data.ledger if row.tokens}
    trained = run.trainer.steps * (run.trainer.batch_tokens // run.context_length) * run.context_length
    return {
        "name": run.name,
        "method": run.name,
        "seed": run.seed,
        "command": " ".join(["ctxext", *sys.argv[1:]]),
        "base": run.base.path or "none",
        "position": repr(run.position),
        "mask": repr(run.mask),
        "attention": repr(run.attention),
        "steps": run.trainer.steps,
        "trained_tokens": trained,
        "versions": versions,
        "data": {"source": type(run.dataset).__name__, "digest": data.digest, "tokens": kept},
    }


def hyperparameters(run: Run) -> dict[str, str | float]:
    """Return the columns of TensorBoard's run table."""
    chosen: dict[str, str | float] = {
        "method": run.name,
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
