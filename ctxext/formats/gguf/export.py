"""A run as a GGUF file with a measured label: written aside, read back, compared, and only then named."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from ctxext.formats.bases import open_base
from ctxext.formats.companions import Companions
from ctxext.formats.deployment import file_commands
from ctxext.formats.gguf.writing.file import write
from ctxext.formats.gguf.writing.homes import check_body
from ctxext.formats.huggingface.verification import (
    ROWS,
    Text,
    affordable,
    largest,
    logits,
    on_the_cpu,
    random_tokens,
)
from ctxext.formats.huggingface.writing.reasons import NotExportable
from ctxext.model.decoder import Decoder
from ctxext.position.longrope import LongRope

EXACT = 1e-5
ANOTHER_MODEL = 1e-3
SEEN = "llama.cpp was not run: the file was read back by ctxext, in the conventions seen with llama-cpp-python 0.3.36."
AS_DIVISORS = "frequencies are stored by what divides them, which rounds them once more"
BY_CONTEXT = "texts up to the trained length are read by the long factors in a longer context"


def export_gguf(
    file: Path,
    model: Any,
    tokenizer: Tokenizer,
    companions: Companions,
    context_length: int,
    trained_length: int,
    precision: str,
) -> dict[str, Any]:
    """Write `model`, any network of a run, `tokenizer` and its `companions` as `file`, in place of what is there.

    Matrices are stored in `precision`: F32, F16 or Q8_0. Return the label, `exact`, `approximate` or `not exportable`,
    with the largest logit difference or the reason. What is not exportable writes nothing.
    """
    temporary = file.with_name(f".tmp-{os.getpid()}-{file.name}")
    try:
        check_body(model.geometry)  # other networks have no seams to look into
        file.parent.mkdir(parents=True, exist_ok=True)
        notes = write(temporary, model, tokenizer, companions, context_length, precision)
        label = measure(temporary, model, trained_length, precision)
        temporary.replace(file)
    except NotExportable as error:
        return {"format": "gguf", "label": "not exportable", "reason": str(error)}
    finally:
        temporary.unlink(missing_ok=True)
    told = {"notes": [*notes, SEEN], "folder": str(file.parent), "serve": file_commands(file, context_length)}
    return {"format": "gguf", "type": precision, **label, **told}


@torch.no_grad()
def measure(file: Path, decoder: Decoder, trained_length: int, precision: str) -> dict[str, Any]:
    """Return the label of `file`, read back; raise NotExportable if it says another model than `decoder`.

    Compared are random texts that end at 1 and 2 times `trained_length`. With the weights of `decoder` the composition
    in the file must be the same; what is left is what its weights lost in `precision`.
    """
    base = open_base(str(file))
    theirs: Any = base.geometry().build(*base.members()).eval()
    weights = base.weights()
    with on_the_cpu(decoder) as ours:
        longest = affordable(ours)
        texts = [Text(max(end - longest, 0), end) for end in (trained_length, 2 * trained_length)]
        theirs.load_state_dict(weights | ours.state_dict())  # a tied output may be stored a second time
        composed = difference(ours, theirs, texts)
        if not composed <= ANOTHER_MODEL:
            raise NotExportable(f"the file says another model, its logits differ by {composed:.2g}")
        theirs.load_state_dict(weights)
        lost, chosen = difference(ours, theirs, texts), by_context(ours, texts[0])
    return labelled({AS_DIVISORS: composed, f"weights are rounded to {precision}": lost, BY_CONTEXT: chosen})


def labelled(differences: dict[str, float]) -> dict[str, Any]:
    """Return the label for the largest of `differences` of logits by their causes."""
    cause, most = max(differences.items(), key=lambda item: item[1])
    label = {"label": "exact", "max_logit_difference": most}
    return label if most <= EXACT else label | {"label": "approximate", "reason": cause}


def difference(ours: Decoder, theirs: Decoder, texts: Sequence[Text]) -> float:
    """Return the largest logit difference over `texts`, at evenly spaced rows and the last; not a number if one is."""
    found = []
    for text in texts:
        length = text.stop - text.start
        tokens, positions = random_tokens(ours, length), torch.arange(*text)[None]
        rows = torch.linspace(0, length - 1, min(length, ROWS)).long()
        found.append(largest(*(logits(model, tokens, positions, rows) for model in (ours, theirs))))
    return float(torch.tensor(found).max())


def by_context(ours: Decoder, text: Text) -> float:
    """Return the largest logit difference over `text`, of the trained length, between short and long factors."""
    if not isinstance(ours.position, LongRope):
        return 0.0
    long = replace(ours.position, short_factor=ours.position.long_factor)
    return difference(ours, ours.reading(long, ours.mask, ours.attention), [text])
