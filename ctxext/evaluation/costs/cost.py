"""What reading costs at each length: arithmetic, time and memory, of one row of the windows' tokens at a time.

Shapes: S tokens of the row.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctxext.evaluation.costs.computed import computed_flops
from ctxext.evaluation.costs.timing import FEWEST, LEAST, SPAN, Timing, growth, timed
from ctxext.evaluation.found import Found
from ctxext.evaluation.ground import Ground
from ctxext.evaluation.ledger import OutOfMemoryError, within_memory
from ctxext.evaluation.reader import Model, Reader, TruncatedReader, device_of
from ctxext.evaluation.results import Row
from ctxext.evaluation.shortage import AT_ONE_ROW, beyond
from ctxext.model.cost import counted, head_weights, weight_bytes
from ctxext.model.pieces import CHUNK, through
from ctxext.model.resident import forget_peak, held, peak
from ctxext.model.strip import ROOM

PROTOCOL = (
    "one row at a time. flops_per_token: needed by the true mask, the logits of every token among them; "
    "computed_flops_per_token: all pairs that kernels are given. ms_per_token: wall time of reading the row into an "
    f"empty cache, {CHUNK} tokens at once where that changes nothing, up to the logits after it, over its tokens; "
    "decode_ms_per_token: of one more token at its end; medians after a warm-up, and the least of the tries, of which "
    f"there are {LEAST} where they take long. truncated, beyond the trained length: a pass for each token. "
    "peak_bytes: the weights, and what reading adds at its peak to what was held before. cache_bytes_per_token: what "
    "later tokens can look at, over the length. exponent: of time against length"
)
"""The definitions, in words."""
ANEW = {"exponent": "beyond the trained length each token's text is encoded anew"}


def cost_of(subject: str, reader: Reader, ground: Ground) -> Found:
    """Return the rows of `cost` for `subject`, which reads by `reader`, at each length of `ground`, from short to long.

    All is measured anew: times of another hour or machine are none of this one. The longest has the exponent.
    """
    rows: list[Row] = []
    unread: dict[int, str] = {}
    passes: dict[int, Row] = {}
    for length in ground.settings.lengths:
        reader.pace.tick()
        unread[length] = reader.obstacle(length) or beyond(unread)
        if not unread[length]:
            try:
                rows.append({"subject": subject, "length": length} | cost_at(length, reader, ground, passes))
            except OutOfMemoryError:
                unread[length] = AT_ONE_ROW
    missing = [
        {"subject": subject, "what": "cost", "length": length, "reason": reason}
        for length, reason in unread.items()
        if reason
    ]
    reasons = absent(rows, reader) | (ANEW if anew_beyond(rows, reader) else with_growth(rows))
    missing += [{"subject": subject, "what": f"cost {key}", "reason": reason} for key, reason in reasons.items()]
    return Found(rows, missing)


def cost_at(length: int, reader: Reader, ground: Ground, passes: dict[int, Row]) -> Row:
    """Return what `reader` needs for a text of `length` tokens; a pass is measured once, and kept in `passes`."""
    size = min(length, reader.trained_length) if isinstance(reader, TruncatedReader) else length
    if size not in passes:
        tokens, repeats = row_of(ground, size), ground.settings.repeats
        passes[size] = within_memory(lambda _: [cost_of_pass(reader.model, tokens, repeats)], range(1))[0]
    if size == length:
        return passes[size]
    assert isinstance(reader, TruncatedReader)
    return anew(passes[size], size, length, reader)


def row_of(ground: Ground, size: int) -> Tensor:
    """Return `size` tokens [1, size] of the first window of `ground`, or, without windows, of its corpus."""
    if ground.windows.names:
        return ground.windows.last(size)[:1]
    return torch.from_numpy(np.resize(ground.corpus.tokens[:size], (1, size)).astype(np.int64))


def cost_of_pass(model: Model, tokens: Tensor, repeats: int) -> Row:
    """Return what `model` needs to read `tokens` [1, S] in one pass, timed `repeats` times, and to write after them."""
    device, size = device_of(model), tokens.shape[1]
    tokens = tokens.to(device)
    row: Row = dict(counted(model, size))
    row["parameters"] = int(row["parameters"])
    read = partial(read_on, model, tokens)
    is_told, before = forget_peak(device), held(device)
    flops = computed_flops(lambda: read(model.new_cache()))  # and a warm-up
    if is_told:
        row["peak_bytes"] = weight_bytes(model) + max(peak(device) - before, 0)
    row["computed_flops_per_token"] = flops / size + 2 * head_weights(model) * (size - 1) / size
    if repeats:
        reading = timed(lambda: read(model.new_cache()), repeats, device)
        repeats = reading.tries
        row |= in_milliseconds("ms_per_token", reading, size)
        row |= in_milliseconds("decode_ms_per_token", decoding(model, tokens, repeats), 1)
    weight: Tensor = model.unembedding[0]
    circumstances = {"threads": torch.get_num_threads(), "dtype": str(weight.dtype).removeprefix("torch.")}
    return row | {"repeats": repeats, "device": device.type} | circumstances


def in_milliseconds(key: str, timing: Timing, tokens: int) -> Row:
    """Return `timing` in milliseconds for each of `tokens`, the median by `key`."""
    return {key: 1000 * timing.median / tokens, f"{key}_least": 1000 * timing.least / tokens}


@torch.inference_mode()
def read_on(model: Model, tokens: Tensor, cache: Any, start: int = 0) -> Tensor:
    """Return the logits after `tokens` [1, S], whose positions begin at `start`; `cache` has those before."""
    for _, piece in through(model, cache, tokens, CHUNK, start):
        hidden = piece
    logits: Tensor = hidden[:, -1] @ model.unembedding[0].T
    return logits


def decoding(model: Model, tokens: Tensor, repeats: int) -> Timing:
    """Return how long `model` takes for one of the last `repeats` of `tokens` [1, S], the text before them being read.

    The last part of this is read apart, for which a cache with a limit has no room, so that it drops what is out of
    reach, and a token alone, as a warm-up.
    """
    size = tokens.shape[1]
    last = max(size - repeats, 1)
    edges = sorted({0, max(last - ROOM - 2, 0), max(last - 1, 0), last})
    cache = model.new_cache()
    for start, stop in pairwise(edges):
        read_on(model, tokens[:, start:stop], cache, start)
    places = iter(range(last, size))

    def step() -> None:
        place = next(places)
        read_on(model, tokens[:, place : place + 1], cache, place)

    return timed(step, size - last, tokens.device)


def anew(row: Row, size: int, length: int, reader: TruncatedReader) -> Row:
    """Return the cost of `length` tokens for `reader`, one pass of which, over `size` tokens, costs what `row` says.

    The first `size` tokens share a pass, then each, or each stride, takes one of its own, and nothing is kept for it.
    """
    passes = 1 + -(-(length - size) // reader.stride)
    head = 2 * head_weights(reader.model)
    found = {key: value for key, value in row.items() if key != "mask_density"}
    for key in ("flops_per_token", "computed_flops_per_token"):
        found[key] = ((row[key] - head) * size * passes + head * length) / length
    for kind in ("", "_least"):
        if f"ms_per_token{kind}" in row:
            found[f"decode_ms_per_token{kind}"] = row[f"ms_per_token{kind}"] * size
            found[f"ms_per_token{kind}"] = row[f"ms_per_token{kind}"] * size * passes / length
    return found | {"cache_bytes_per_token": 0.0}


def absent(rows: list[Row], reader: Reader) -> dict[str, str]:
    """Return for each number that none of `rows`, or not the longest, has, the reason."""
    if not rows:
        return {}
    anew = isinstance(reader, TruncatedReader)
    reasons = {
        "mask_density": "each token's text is encoded anew" if anew else "a network without heads has none",
        "peak_bytes": "this system doesn't let the peak of a process begin anew",
        "ms_per_token": "evaluation.repeats=0 times nothing",
    }
    return {key: reason for key, reason in reasons.items() if key not in rows[-1]}


def anew_beyond(rows: list[Row], reader: Reader) -> bool:
    """Return whether `reader` reads the longest of `rows` in another way than the shortest: each token's text anew."""
    return isinstance(reader, TruncatedReader) and bool(rows) and rows[-1]["length"] > reader.trained_length


def with_growth(rows: list[Row]) -> dict[str, str]:
    """Add to the longest of `rows` how time grows with the length; return the reason where it can't be told."""
    found = growth({row["length"]: row["ms_per_token"] * row["length"] for row in rows if "ms_per_token" in row})
    if found is None:
        return {"exponent": f"it takes times at {FEWEST} lengths or more, the longest {SPAN} times the shortest"}
    if found.exponent < 0:
        return {"exponent": "longer texts took less time, so that something else was timed"}
    rows[-1] |= {"exponent": found.exponent, "r_squared": found.r_squared}
    return {}
