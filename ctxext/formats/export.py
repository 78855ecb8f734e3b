"""A run as Hugging Face files with a measured label: written aside, reloaded, compared, and only then named."""

import math
import os
import shutil
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ctxext.formats.companions import Companions
from ctxext.formats.huggingface.homes import NotExportable, decoder_geometry
from ctxext.formats.huggingface.writing import write
from ctxext.formats.huggingface.verification import differences, is_reader_installed
from ctxext.model.decoder import Decoder

EXACT = 1e-5
ANOTHER_MODEL = 1e-3


def export_huggingface(
    folder: Path, model: Any, tokenizer: Tokenizer, companions: Companions, context_length: int, trained_length: int
) -> dict[str, Any]:
    """Write `model`, any network of a run, `tokenizer` and its `companions` as `folder`, in place of what is there.

    Return the label, `exact`, `approximate`, `not exportable` or `not verified`, with the largest logit difference or
    the reason. What is not exportable, or is read as another model, leaves no folder.
    """
    temporary = folder.with_name(f".tmp-{folder.name}-{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        decoder_geometry(model.geometry)
        place = write(temporary, model, tokenizer, companions, context_length)
        label = measure(temporary, model, trained_length)
        put(temporary, folder)
    except NotExportable as error:
        return {"format": "hf", "label": "not exportable", "reason": str(error)}
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return {"format": "hf", **label} | ({"notes": list(place.notes)} if place.notes else {})


def measure(folder: Path, decoder: Decoder, trained_length: int) -> dict[str, Any]:
    """Return the label of `folder` as a reader loads it; raise NotExportable if it loads another than `decoder`."""
    if not is_reader_installed():
        return {"label": "not verified", "reason": "transformers is not installed: pip install ctxext[transformers]"}
    whole, cached = differences(folder, decoder, trained_length)
    if not whole <= ANOTHER_MODEL or math.isnan(cached):
        raise NotExportable(f"transformers reads another model, its logits differ by {whole:.2g}")
    if max(whole, cached) <= EXACT:
        return {"label": "exact", "max_logit_difference": max(whole, cached)}
    where = "with a cache" if cached > whole else "on a whole text"
    return {"label": "approximate", "max_logit_difference": max(whole, cached), "reason": f"it differs most {where}"}


def put(temporary: Path, folder: Path) -> None:
    """Rename `temporary` to `folder`; an older one is moved away first, so that no file of it stays."""
    old = folder.with_name(f".old-{folder.name}-{os.getpid()}")
    if folder.exists():
        folder.rename(old)
    temporary.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
