"""A run as Hugging Face files with a measured label: written aside, reloaded, compared, and only then named."""

import math
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ctxext.formats.companions import Companions
from ctxext.formats.deployment import commands, of_an_untouched_base
from ctxext.formats.exactness import is_another_model, is_exact
from ctxext.formats.huggingface.verification import UnreadableFiles, compared, is_reader_installed, reader_name
from ctxext.formats.huggingface.writing.folder import write
from ctxext.formats.huggingface.writing.reasons import NotExportable, unhoused
from ctxext.formats.replacement import aside, put, remove
from ctxext.model.decoder import Decoder
from ctxext.seams import Position


def export_huggingface(
    folder: Path,
    model: Any,
    tokenizer: Tokenizer,
    companions: Companions,
    context_length: int,
    trained_length: int,
    base: Position,
) -> dict[str, Any]:
    """Write `model`, any network of a run, `tokenizer` and its `companions` as `folder`, in place of what is there.

    `base` is the encoding of the untouched model. Return the label, `exact`, `approximate`, `not exportable` or `not
    verified`, with the largest logit difference or the reason, and how servers are started on the folder. What is not
    exportable, or is read as another model, leaves no folder.
    """
    try:
        if not isinstance(model, Decoder):
            raise unhoused("model", model.geometry)
        with aside(folder) as fresh:
            place = write(fresh, model, tokenizer, companions, context_length)
            label = measure(fresh, model, trained_length)
            put(fresh, folder)
    except NotExportable as error:
        remove(folder)
        return {"format": "hf", "label": "not exportable", "reason": str(error)}
    notes = {"notes": list(place.notes)} if place.notes else {}
    extension = of_an_untouched_base(place.config, context_length, base) if model.position != base else []
    serve = [*commands(folder, context_length), *extension]
    return {"format": "hf", **label, **notes, "folder": str(folder), "serve": serve}


def measure(folder: Path, decoder: Decoder, trained_length: int) -> dict[str, Any]:
    """Return the label of `folder` as a reader loads it; raise NotExportable if it loads another than `decoder`."""
    if not is_reader_installed():
        return {"label": "not verified", "reason": "transformers is not installed: pip install ctxext[transformers]"}
    try:
        whole, cached, magnitude, texts = compared(folder, decoder, trained_length)
    except UnreadableFiles as error:
        raise NotExportable(f"transformers refuses to load it: {error}") from error
    if is_another_model(whole, magnitude) or math.isnan(cached):
        raise NotExportable(f"transformers reads another model, its logits differ by {whole:.2g} of {magnitude:.3g}")
    found = {
        "max_logit_difference": max(whole, cached),
        "max_logit": magnitude,
        "reader": reader_name(),
        "positions": [[text.start, text.stop] for text in texts],
    }
    if is_exact(max(whole, cached), magnitude):
        return {"label": "exact", **found}
    where = "with a cache" if cached > whole else "on a whole text"
    return {"label": "approximate", **found, "reason": f"it differs most {where}"}
