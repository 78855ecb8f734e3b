"""Perplexity by a window that slides over each text, weighted by tokens, or as the script of YaRN averages it.

Shapes: N documents, T tokens of each, L tokens of a window, W windows of a text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctxext.evaluation.ground import Ground
from ctxext.evaluation.ledger import Ledger
from ctxext.evaluation.reader import Reader, TruncatedReader
from ctxext.evaluation.results import Row
from ctxext.evaluation.text.lines import lines_at
from ctxext.maths.intervals import Vector, ratio_bootstrap


class Span(NamedTuple):
    """The tokens `start` to `stop` of a text, of which the last `scored` are scored."""

    start: int
    stop: int
    scored: int


def spans(length: int, room: int, stride: int, unscored: int) -> Iterator[Span]:
    """Yield the windows of a text of `length` tokens: `room` of them each, begun every `stride` tokens.

    The first scores all but `unscored` tokens, each later one those that none before it has; the last may be shorter.
    """
    start, done = 0, unscored
    while True:
        stop = min(start + room, length)
        yield Span(start, stop, stop - done)
        if stop == length:
            return
        start, done = start + stride, stop


def stride_at(length: int, stride: int) -> int:
    """Return the stride of a window of `length` tokens: `stride`, but at most half the window."""
    return min(stride, length // 2)


def sliding_obstacle(reader: Reader, ground: Ground) -> str:
    """Return why `reader` reads through no window, or nothing if it does."""
    if isinstance(reader, TruncatedReader):
        return f"it takes a pass a token; a window of {reader.trained_length} tokens is such a control of the base"
    return ""


def window_sums(reader: Reader, ground: Ground, ledger: Ledger, length: int) -> NDArray[np.float64]:
    """Return nll and counted targets [N, W, 2] of each window of `length` tokens, the beginning ones among them."""
    if length == ground.windows.length:  # one window scores all
        whole = np.array([line["buckets"] for line in lines_at(reader, ground, ledger, length)], dtype=np.float64)
        return np.add.reduce(whole, axis=1, keepdims=True)
    windows, begin = ground.windows, list(ground.windows.beginning)
    total, stride = windows.tokens.shape[1], stride_at(length, ground.settings.stride)
    pieces = list(spans(total, length - len(begin), stride, unscored=0 if len(begin) else 1))
    assert sum(piece.scored for piece in pieces) == total - (0 if len(begin) else 1), pieces

    def score(run: range) -> list[list[tuple[float, float]]]:
        rows, found = slice(run.start, run.stop), [list[tuple[float, float]]() for _ in run]
        for piece in pieces:
            texts = windows.tokens[rows, piece.start : piece.stop]
            nll, _ = reader.score(windows.begun(texts), piece.scored)
            counted = windows.targets[rows, piece.stop - piece.scored : piece.stop].double()
            sums = ((nll.double() * counted).sum(dim=1).tolist(), counted.sum(dim=1).tolist())
            for row, pair in zip(found, zip(*sums, strict=True), strict=True):
                row.append(pair)
        return found

    keys = [f"sliding {ground.text_digest} {length} {stride} {begin} {n}" for n in range(len(windows.names))]
    return np.array(ledger.through(keys, score, reader.rows(length, length)))


def sliding(reader: Reader, ground: Ground, ledger: Ledger, length: int) -> Row:
    """Return the perplexity of all tokens of the texts: every token is scored once, and counts as much as any other."""
    sums = window_sums(reader, ground, ledger, length)
    return described(sums, sums[..., 0].sum(axis=1), sums[..., 1].sum(axis=1), ground, length)


def sliding_yarn(reader: Reader, ground: Ground, ledger: Ledger, length: int) -> Row:
    """Return exp of the mean over windows of each window's mean nll: a last, short window counts as much as the first.

    It is what is printed under the name of perplexity by YaRN's script, and by others that took it over.
    """
    sums = window_sums(reader, ground, ledger, length)
    nll, counted = sums[..., 0], sums[..., 1]
    means = np.divide(nll, counted, out=np.zeros_like(nll), where=counted > 0)
    return described(sums, means.sum(axis=1), (counted > 0).sum(axis=1).astype(float), ground, length)


def described(sums: NDArray[np.float64], totals: Vector, weights: Vector, ground: Ground, length: int) -> Row:
    """Return exp of Σ `totals` [N] ÷ Σ `weights` [N] with its interval over documents, and what it is made of."""
    low, high = ratio_bootstrap(totals, weights)
    return {
        "value": math.exp(totals.sum() / weights.sum()),
        "low": math.exp(low),
        "high": math.exp(high),
        "n": int(sums[..., 1].sum()),
        "windows": int((sums[..., 1] > 0).sum()),
        "stride": stride_at(length, ground.settings.stride),
        "beginning": len(ground.windows.beginning),
    }
