"""`ctxext export`: the checkpoint of a run as files that others load, reloaded and compared."""

import json
from pathlib import Path

from ctxext.commands.saved_network import saved_network
from ctxext.config.schema import Run
from ctxext.formats.bases import base_folder
from ctxext.formats.card import write_card
from ctxext.formats.export import export_huggingface
from ctxext.refusal import Refusal, require
from ctxext.reporting.journal import Journal


def export(run: Run, folder: Path) -> None:
    """Write the run in `run.run` to its own export/hf, and say how exactly transformers reads it; refuse what has no home."""
    require("hf" in run.export.format, f"export.format must name a format, one of hf, got {run.export.format}")
    target = Path(run.run) / "export" / "hf"
    with Journal(folder, run.name) as journal:
        network, tokenizer = saved_network(run, journal)
        label = export_huggingface(target, network, tokenizer, run.context_length, run.base.trained_length)
        if label["label"] == "not exportable":
            raise Refusal(f"run={run.run}: not exportable, {label['reason']}")
        results = Path(run.run) / "results.json"
        if results.is_file():
            content = json.loads(results.read_text(encoding="utf-8")) | {"export": label}
            write_card(target, content, base_folder(run.base.path) if run.base.path else None)
        difference = (
            f", largest logit difference {label['max_logit_difference']:.2g}" if "max_logit_difference" in label else ""
        )
        journal.say(f"{target}: {label['label']}{difference}")
