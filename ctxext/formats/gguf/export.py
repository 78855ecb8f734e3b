"""A run as a GGUF file with a measured label: written aside, read back, compared, and only then named."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.formats.bases import BaseFiles, open_base
from ctxext.formats.companions import Companions
from ctxext.formats.deployment import file_commands
from ctxext.formats.exactness import is_another_model, is_exact
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
from ctxext.formats.replacement import aside, put, remove
from ctxext.mask.document import IntraDocument
from ctxext.model.decoder import Decoder
from ctxext.position.longrope import LongRope
from ctxext.position.nope import Nope

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
    with the largest logit difference or the reason. What is not exportable leaves no file.
    """
    try:
        check_body(model.geometry)  # other networks have no seams to look into
        with aside(file) as fresh:
            notes = write(fresh, model, tokenizer, companions, context_length, precision)
            label = measure(fresh, model, trained_length, precision)
            put(fresh, file)
    except NotExportable as error:
        remove(file)
        return {"format": "gguf", "label": "not exportable", "reason": str(error)}
    told = {"notes": [*notes, SEEN], "folder": str(file.parent), "serve": file_commands(file, context_length)}
    return {"format": "gguf", "type": precision, **label, **told}


@torch.no_grad()
def measure(file: Path, decoder: Decoder, trained_length: int, precision: str) -> dict[str, Any]:
    """Return the label of `file`, read back; raise NotExportable if it says another model than `decoder`.

    Compared are random texts that end at 1 and 2 times `trained_length`. With the weights of `decoder` the composition
    in the file must be the same; what is left is what its weights lost in `precision`.
    """
    base = open_base(str(file))
    weights = base.weights()
    with on_the_cpu(decoder) as ours:
        longest = affordable(ours)
        texts = [Text(max(end - longest, 0), end) for end in (trained_length, 2 * trained_length)]
        with_ours = read(base, weights | ours.state_dict())  # a tied output may be stored a second time
        composed, magnitude = difference(ours, with_ours, texts)
        if is_another_model(composed, magnitude):
            raise NotExportable(f"the file says another model, its logits differ by {composed:.2g} of {magnitude:.3g}")
        lost, _ = difference(ours, read(base, weights), texts)
        chosen = by_context(ours, texts[0])
    causes = {AS_DIVISORS: composed, f"weights are rounded to {precision}": lost, BY_CONTEXT: chosen}
    return labelled(causes, magnitude)


def read(base: BaseFiles, weights: dict[str, Tensor]) -> Decoder:
    """Return the network of `base` around `weights`, which are not copied."""
    network: Any
    with torch.device("meta"):
        network = base.geometry().build(Nope(), IntraDocument(), Softmax())
    network.load_state_dict(weights, assign=True)
    found: Decoder = network.reading(*base.members()).eval()
    return found


def labelled(differences: dict[str, float], magnitude: float) -> dict[str, Any]:
    """Return the label for the largest of `differences`, by their causes, of logits up to `magnitude`."""
    cause, most = max(differences.items(), key=lambda item: item[1])
    found = {"max_logit_difference": most, "max_logit": magnitude}
    return (
        {"label": "exact", **found} if is_exact(most, magnitude) else {"label": "approximate", **found, "reason": cause}
    )


def difference(ours: Decoder, theirs: Decoder, texts: Sequence[Text]) -> tuple[float, float]:
    """Return the largest logit difference over `texts`, at evenly spaced rows and the last, and logit of `ours`.

    Either is not a number if a logit is none.
    """
    found = []
    for text in texts:
        length = text.stop - text.start
        tokens, positions = random_tokens(ours, length), torch.arange(*text)[None]
        rows = torch.linspace(0, length - 1, min(length, ROWS)).long()
        mine, others = (logits(model, tokens, positions, rows) for model in (ours, theirs))
        found.append((largest(mine, others), float(mine.abs().max())))
    apart, magnitude = torch.tensor(found).amax(dim=0).tolist()
    return apart, magnitude


def by_context(ours: Decoder, text: Text) -> float:
    """Return the largest logit difference over `text`, of the trained length, between short and long factors."""
    if not isinstance(ours.position, LongRope):
        return 0.0
    long = replace(ours.position, short_factor=ours.position.long_factor)
    apart, _ = difference(ours, ours.reading(long, ours.mask, ours.attention), [text])
    return apart
