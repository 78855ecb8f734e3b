"""Export as a stage: a network into each format that is asked for, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ctxext.commands.foundation import base_members
from ctxext.config.schema import Run
from ctxext.evaluation.results import Results
from ctxext.formats.card import write_card
from ctxext.formats.companions import Companions
from ctxext.formats.export import export_huggingface
from ctxext.formats.gguf.export import export_gguf
from ctxext.reporting.journal import Journal

RESULTS = "results.json"
HUGGING_FACE, GGUF = "export/hf", "export/model.gguf"
PLACES = {"hf": HUGGING_FACE, "gguf": GGUF}
REFUSED = "not exportable"


def write_exports(
    run: Run, folder: Path, network: Any, tokenizer: Tokenizer, companions: Companions, journal: Journal
) -> dict[str, Any]:
    """Write `network` below `folder` in the formats that `run` asks for; return the label of the first.

    The labels of further ones are its `others`. Where it asks for none, the folder of Hugging Face is written.
    """
    words, lengths = (tokenizer, companions), (run.context_length, run.base.trained_length)
    labels = []
    if "hf" in run.export.format or not run.export.format:
        labels.append(export_huggingface(folder / HUGGING_FACE, network, *words, *lengths, base_members(run)[0]))
    if "gguf" in run.export.format:
        labels.append(export_gguf(folder / GGUF, network, *words, *lengths, run.export.gguf_type))
    for label in labels:
        if label["label"] != REFUSED:  # its sentence stands in the table of a run, and is the error of an export
            journal.say(told(folder / PLACES[label["format"]], label))
    for line in (line for label in labels for line in label.get("serve", [])):
        journal.say(f"serve  {line}")
    return joined(labels)


def joined(labels: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the first of `labels`, which holds the further ones as its `others`."""
    return {**labels[0], **({"others": labels[1:]} if labels[1:] else {})} if labels else {}


def each(label: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what `write_exports` returned, a format at a time."""
    if label:
        yield {key: value for key, value in label.items() if key != "others"}
        yield from label.get("others", [])


def refused(label: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the formats of the `label` of an export that nothing was written in."""
    return [found for found in each(label) if found["label"] == REFUSED]


def with_earlier(label: dict[str, Any], earlier: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return `label` with what `earlier` tells of other formats, as far as they still lie in `folder`."""
    now, there = list(each(label)), {"hf": (folder / HUGGING_FACE).is_dir(), "gguf": (folder / GGUF).is_file()}
    formats = {found["format"] for found in now}
    return joined([*now, *(old for old in each(earlier) if old["format"] not in formats and there[old["format"]])])


def describe(folder: Path, results: Results) -> None:
    """Write the card of the export that `results` tell of beside its weights, and them into `folder`.

    Numbers that were measured of another composition, and lie there, stay.
    """
    file = folder / RESULTS
    earlier = Results.load(file) if file.is_file() else results
    if earlier.run == results.run or not (earlier.by_length or earlier.tasks):
        results.save(file)
    if "hf" in {found["format"] for found in each(results.export) if found["label"] != REFUSED}:
        write_card(folder / HUGGING_FACE, vars(results))


def told(target: Path, label: dict[str, Any]) -> str:
    """Return in a line what became of `target`, why, and what its users must know."""
    words = [f"{target}: {label['label']}"]
    if "max_logit_difference" in label:
        words.append(f"largest logit difference {label['max_logit_difference']:.1e} of {label['max_logit']:.3g}")
    words += [label["reason"]] if "reason" in label else []
    return " ".join([", ".join(words), *(f"({note.rstrip('.')})" for note in label.get("notes", []))])
