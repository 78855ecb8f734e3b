"""Whether a reader computes from the written files what our model computes.

Shapes: S tokens, R compared rows, W hidden size, V vocabulary.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ctxext.maths.counted import generator
from ctxext.model.decoder import Decoder

LONGEST = 4096
ROWS = 256
CACHED_STEPS = 8


def is_reader_installed() -> bool:
    """Return whether transformers can be imported."""
    return find_spec("transformers") is not None


@torch.no_grad()
def differences(folder: Path, decoder: Decoder, trained_length: int) -> tuple[float, float]:
    """Return the largest absolute logit differences between `decoder` and `folder` as transformers loads it.

    The first is of whole texts of 1, 2 and 4 times `trained_length` random tokens, at most 4096; the second of texts
    fed token by token after a prompt, across the trained length and beyond it. Both in float32 on the CPU.
    """
    ours = copy.deepcopy(decoder).to("cpu", torch.float32).eval()
    theirs = reader(folder)
    lengths = sorted({min(times * trained_length, LONGEST) for times in (1, 2, 4)})
    whole = max(whole_difference(ours, theirs, random_tokens(decoder, length)) for length in lengths)
    ends = sorted({min(length + CACHED_STEPS // 2, LONGEST) for length in lengths[:2]})
    cached = max(cached_difference(ours, theirs, random_tokens(decoder, end)) for end in ends)
    return whole, cached


def reader(folder: Path) -> Any:
    """Return the model that transformers makes of `folder`, in float32."""
    with without_progress_bars():
        model, found = import_module("transformers").AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False, output_loading_info=True
        )
    strays = {key: found[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys") if found.get(key)}
    assert not strays, f"{folder}: transformers found other tensors than were written: {strays}"
    return model.eval()


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Keep transformers from drawing on the console while the block runs."""
    logging = import_module("transformers.utils.logging")
    drawn = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if drawn:
            logging.enable_progress_bar()


def random_tokens(decoder: Decoder, length: int) -> Tensor:
    """Return `length` tokens [1, S], drawn evenly from the vocabulary of `decoder`."""
    draw = generator(0, "export verification", length)
    return torch.from_numpy(draw.integers(0, decoder.geometry.vocab_size, size=(1, length)))


def logits(decoder: Decoder, tokens: Tensor, rows: Tensor) -> Tensor:
    """Return the logits [R, V] of `decoder` at `rows` [R] of `tokens` [1, S]."""
    hidden = decoder.hidden(tokens, torch.arange(tokens.shape[1])[None])[0, rows]
    weight, bias = decoder.unembedding
    return torch.nn.functional.linear(hidden, weight, bias)


def whole_difference(ours: Decoder, theirs: Any, tokens: Tensor) -> float:
    """Return the largest logit difference over `tokens` [1, S] in one pass, at evenly spaced rows and the last."""
    length = tokens.shape[1]
    rows = torch.linspace(0, length - 1, min(length, ROWS)).long()
    read = theirs(input_ids=tokens, use_cache=False, logits_to_keep=rows).logits[0]
    return largest(logits(ours, tokens, rows), read)


def cached_difference(ours: Decoder, theirs: Any, tokens: Tensor) -> float:
    """Return the largest logit difference over the last `tokens` [1, S], which the reader is fed one by one."""
    length = tokens.shape[1]
    start = max(length - CACHED_STEPS, 1)
    cache = theirs(input_ids=tokens[:, :start], use_cache=True).past_key_values
    read = [
        theirs(input_ids=tokens[:, step : step + 1], past_key_values=cache, use_cache=True).logits[0]
        for step in range(start, length)
    ]
    return largest(logits(ours, tokens, torch.arange(start, length)), torch.cat(read))


def largest(first: Tensor, second: Tensor) -> float:
    """Return the largest absolute difference of two tensors; not a number if either holds one."""
    return float((first - second).abs().max())
