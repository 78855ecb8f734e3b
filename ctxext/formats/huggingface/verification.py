"""Whether a reader computes from the written files what our model computes.

Shapes: S tokens, R compared rows, W hidden size, V vocabulary.
"""

import copy
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ctxext.maths.counted import generator
from ctxext.model.decoder import Decoder
from ctxext.position.dynamic import ByLength
from ctxext.position.longrope import LongRope
from ctxext.refusal import Refusal

READER = "transformers"
LONGEST = 4096
SHORTEST = 64
WORK = 4e10
"""The most that a text's tokens times the network's parameters may be: ten such texts are read in about a minute."""
ROWS = 256
STEPS = 8
OF_OTHERS = {"short_mscale", "long_mscale"}
"""Keys that are for other readers, and of which transformers says that it doesn't know them."""


class Text(NamedTuple):
    """Random tokens that stand at the positions from `start` up to `stop`."""

    start: int
    stop: int


class Compared(NamedTuple):
    """The largest absolute logit differences on `whole` texts and token by token (`cached`), and over which `texts`.

    `magnitude` is the largest absolute logit that our model has there: float32 keeps seven digits of it.
    """

    whole: float
    cached: float
    magnitude: float
    texts: tuple[Text, ...]


def is_reader_installed() -> bool:
    """Return whether transformers can be imported."""
    return find_spec(READER) is not None


def reader_name() -> str:
    """Return the reader and its version."""
    return f"{READER} {version(READER)}"


@torch.no_grad()
def compared(folder: Path, decoder: Decoder, trained_length: int) -> Compared:
    """Compare `decoder` with `folder` as transformers loads it, in float32 on the CPU, at random tokens.

    Texts end at 1, 2 and 4 times `trained_length`. What would be too long to compute stands at the last of these
    positions alone. Token by token, texts are fed across the trained length and beyond it.
    """
    theirs = reader(folder)
    longest, reach = affordable(decoder), last_position(theirs.config)
    ends = sorted({min(times * trained_length, reach) for times in (1, 2, 4)})
    texts = tuple(Text(max(end - longest, 0), end) for end in ends)
    crossing = sorted({min(end + STEPS // 2, reach) for end in ends[:2]})
    with on_the_cpu(decoder) as ours:
        whole = torch.tensor([whole_difference(ours, theirs, text) for text in texts]).amax(dim=0).tolist()
        cached = [cached_difference(ours, theirs, Text(max(end - longest, 0), end)) for end in crossing]
    return Compared(whole[0], float(torch.tensor(cached).max()), whole[1], texts)


def affordable(decoder: Decoder) -> int:
    """Return the length of a text that `decoder` reads in bearable time."""
    parameters = sum(parameter.numel() for parameter in decoder.parameters())
    return int(min(max(WORK / parameters, SHORTEST), LONGEST))


def last_position(config: Any) -> int:
    """Return up to which position the model of the reader's `config` goes; any other than a table goes on."""
    return int(config.n_positions) if config.model_type == "gpt2" else 1 << 40


@contextmanager
def on_the_cpu(decoder: Decoder) -> Iterator[Decoder]:
    """Lend `decoder` in float32 on the CPU, set to evaluate: itself where it is there, to save the memory of a copy."""
    is_there = all(p.device.type == "cpu" and p.dtype == torch.float32 for p in decoder.parameters())
    lent = decoder if is_there else copy.deepcopy(decoder).to("cpu", torch.float32)
    was_training = lent.training
    lent.eval()
    try:
        yield lent
    finally:
        lent.train(was_training)


class UnreadableFiles(Refusal):
    """What the reader said when it refused the files."""


def reader(folder: Path) -> Any:
    """Return the model that transformers makes of `folder`, in float32; raise UnreadableFiles if it makes none."""
    load = import_module(READER).AutoModelForCausalLM.from_pretrained
    with overheard() as said:
        try:
            model, found = load(
                folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False, output_loading_info=True
            )
        except Exception as error:  # whatever it raises, it doesn't read the files
            raise UnreadableFiles(f"{type(error).__name__}: {' '.join(str(error).split())}") from error
    strays = {key: found[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys") if found.get(key)}
    assert not strays, f"{folder}: transformers found other tensors than were written: {strays}"
    assert not (unknown := unknown_keys(said)), f"{folder}: transformers doesn't know the keys {unknown}"
    return model.eval()


def unknown_keys(warnings: list[str]) -> set[str]:
    """Return the keys of a configuration that the `warnings` say are not known, but for those for other readers."""
    told = [warning for warning in warnings if "Unrecognized keys" in warning]
    return {key for warning in told for key in re.findall(r"'(\w+)'", warning.rpartition("{")[2])} - OF_OTHERS


@contextmanager
def overheard() -> Iterator[list[str]]:
    """Collect what transformers warns of while the block runs, and keep it from writing on the console."""
    said: list[str] = []
    listener = logging.Handler()
    listener.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    bars, root = import_module(f"{READER}.utils.logging"), logging.getLogger(READER)
    drawn, handlers, level = bars.is_progress_bar_enabled(), root.handlers, root.level
    bars.disable_progress_bar()
    root.handlers = [listener]
    root.setLevel(logging.WARNING)
    try:
        yield said
    finally:
        root.handlers = handlers
        root.setLevel(level)
        if drawn:
            bars.enable_progress_bar()


def random_tokens(decoder: Decoder, length: int) -> Tensor:
    """Return `length` tokens [1, S], drawn evenly from the vocabulary of `decoder`."""
    draw = generator(0, "export verification", length)
    return torch.from_numpy(draw.integers(0, decoder.geometry.vocab_size, size=(1, length)))


def logits(decoder: Decoder, tokens: Tensor, positions: Tensor, rows: Tensor) -> Tensor:
    """Return the logits [R, V] of `decoder` at `rows` [R] of `tokens` [1, S] at `positions` [1, S]."""
    hidden = settled(decoder, int(positions[0, -1]) + 1).hidden(tokens, positions)[0, rows]
    weight, bias, cap = decoder.unembedding
    found = torch.nn.functional.linear(hidden, weight, bias)
    return cap * torch.tanh(found / cap) if cap else found


def settled(decoder: Decoder, length: int) -> Decoder:
    """Return `decoder` as it reads texts of `length` tokens, also where only the last of these are there."""
    if not isinstance(decoder.position, ByLength):
        return decoder
    static = decoder.position.at(length)
    if isinstance(static, LongRope):  # it reads all that is longer than its own length alike
        static = replace(static, original_max_position_embeddings=1)
    return decoder.reading(static, decoder.mask, decoder.attention)


def whole_difference(ours: Decoder, theirs: Any, text: Text) -> tuple[float, float]:
    """Return the largest logit difference over `text` in one pass, at evenly spaced rows and the last; and logit."""
    length = text.stop - text.start
    tokens, positions = random_tokens(ours, length), torch.arange(*text)[None]
    rows = torch.linspace(0, length - 1, min(length, ROWS)).long()
    read = theirs(input_ids=tokens, position_ids=positions, use_cache=False, logits_to_keep=rows).logits[0]
    found = logits(ours, tokens, positions, rows)
    return largest(found, read), float(found.abs().max())


def cached_difference(ours: Decoder, theirs: Any, text: Text) -> float:
    """Return the largest logit difference over the last tokens of `text`, which the reader is fed one by one."""
    length = text.stop - text.start
    tokens, positions = random_tokens(ours, length), torch.arange(*text)[None]
    start = max(length - STEPS, 1)
    cache = theirs(input_ids=tokens[:, :start], position_ids=positions[:, :start], use_cache=True).past_key_values
    read = [
        theirs(
            input_ids=tokens[:, part], position_ids=positions[:, part], past_key_values=cache, use_cache=True
        ).logits[0]
        for part in (slice(step, step + 1) for step in range(start, length))
    ]
    return largest(logits(ours, tokens, positions, torch.arange(start, length)), torch.cat(read))


def largest(first: Tensor, second: Tensor) -> float:
    """Return the largest absolute difference of two tensors; not a number if either holds one."""
    return float((first - second).abs().max())
