"""Export as a stage: a network into each format that is asked for, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ctxext.config.schema import Run
from ctxext.formats.companions import Companions
from ctxext.formats.export import export_huggingface
from ctxext.formats.gguf.export import export_gguf
from ctxext.reporting.journal import Journal

HUGGING_FACE, GGUF = "export/hf", "export/model.gguf"


def write_exports(
    run: Run, folder: Path, network: Any, tokenizer: Tokenizer, companions: Companions, journal: Journal
) -> dict[str, Any]:
    """Write `network` below `folder` in the formats that `run` asks for; return the label of the first.

    The labels of further ones are its `others`. Where it asks for none, the folder of Hugging Face is written.
    """
    words, lengths = (tokenizer, companions), (run.context_length, run.base.trained_length)
    labels = []
    if "hf" in run.export.format or not run.export.format:
        labels.append(export_huggingface(folder / HUGGING_FACE, network, *words, *lengths))
        journal.say(told(folder / HUGGING_FACE, labels[-1]))
    if "gguf" in run.export.format:
        labels.append(export_gguf(folder / GGUF, network, *words, *lengths, run.export.gguf_type))
        journal.say(told(folder / GGUF, labels[-1]))
    for line in (line for label in labels for line in label.get("serve", [])):
        journal.say(f"serve  {line}")
    return {**labels[0], **({"others": labels[1:]} if labels[1:] else {})} if labels else {}


def each(label: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what `write_exports` returned, a format at a time."""
    if label:
        yield label
        yield from label.get("others", [])


def told(target: Path, label: dict[str, Any]) -> str:
    """Return in a line what became of `target`."""
    if label["label"] in ("not exportable", "not verified"):
        return f"{target}: {label['label']}, {label['reason']}"
    return f"{target}: {label['label']}, largest logit difference {label['max_logit_difference']:.2g}"
