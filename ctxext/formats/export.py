"""A run as Hugging Face files with a measured label: written aside, reloaded, compared, and only then named."""

import math
import os
import shutil
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ctxext.formats.companions import Companions
from ctxext.formats.deployment import commands
from ctxext.formats.huggingface.verification import UnreadableFiles, compared, is_reader_installed, reader_name
from ctxext.formats.huggingface.writing.folder import write
from ctxext.formats.huggingface.writing.reasons import NotExportable, unhoused
from ctxext.model.decoder import Decoder

EXACT = 1e-5
"""The largest difference that is rounding, of logits up to 1, or as a share of the largest logit."""
ANOTHER_MODEL = 1e-3


def export_huggingface(
    folder: Path, model: Any, tokenizer: Tokenizer, companions: Companions, context_length: int, trained_length: int
) -> dict[str, Any]:
    """Write `model`, any network of a run, `tokenizer` and its `companions` as `folder`, in place of what is there.

    Return the label, `exact`, `approximate`, `not exportable` or `not verified`, with the largest logit difference or
    the reason, and how servers are started on the folder. What is not exportable, or is read as another model, leaves
    no folder.
    """
    temporary = folder.with_name(f".tmp-{folder.name}-{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        if not isinstance(model, Decoder):
            raise unhoused("model", model.geometry)
        place = write(temporary, model, tokenizer, companions, context_length)
        label = measure(temporary, model, trained_length)
        put(temporary, folder)
    except NotExportable as error:
        return {"format": "hf", "label": "not exportable", "reason": str(error)}
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    notes = {"notes": list(place.notes)} if place.notes else {}
    extends = model.position != model.position.base()
    serve = commands(folder, place.config, context_length, extends=extends)
    return {"format": "hf", **label, **notes, "folder": str(folder), "serve": serve}


def measure(folder: Path, decoder: Decoder, trained_length: int) -> dict[str, Any]:
    """Return the label of `folder` as a reader loads it; raise NotExportable if it loads another than `decoder`."""
    if not is_reader_installed():
        return {"label": "not verified", "reason": "transformers is not installed: pip install ctxext[transformers]"}
    try:
        whole, cached, magnitude, texts = compared(folder, decoder, trained_length)
    except UnreadableFiles as error:
        raise NotExportable(f"transformers refuses to load it: {error}") from error
    if not whole <= ANOTHER_MODEL or math.isnan(cached):
        raise NotExportable(f"transformers reads another model, its logits differ by {whole:.2g}")
    found = {
        "max_logit_difference": max(whole, cached),
        "max_logit": magnitude,
        "reader": reader_name(),
        "positions": [[text.start, text.stop] for text in texts],
    }
    if max(whole, cached) <= EXACT * max(1.0, magnitude):
        return {"label": "exact", **found}
    where = "with a cache" if cached > whole else "on a whole text"
    return {"label": "approximate", **found, "reason": f"it differs most {where}"}


def put(temporary: Path, folder: Path) -> None:
    """Rename `temporary` to `folder`; an older one is moved away first, so that no file of it stays."""
    old = folder.with_name(f".old-{folder.name}-{os.getpid()}")
    if folder.exists():
        folder.rename(old)
    temporary.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
