"""The log-likelihood of held-out text, at each length on the same scored tokens, and by position.

Shapes: N documents, L tokens, k scored tokens.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctxext.data.corpus import Corpus
from ctxext.evaluation.reader import Reader
from ctxext.evaluation.results import Row
from ctxext.maths.counted import generator
from ctxext.maths.intervals import Vector, ratio_bootstrap
from ctxext.refusal import require


@dataclass(frozen=True)
class Windows:
    """The longest window of each document: `tokens` [N, L], whether each is a target, and the bytes that each stands for."""

    tokens: Tensor
    targets: Tensor
    sizes: Tensor
    names: list[str]

    def last(self, length: int) -> Tensor:
        """Return the last `length` tokens of each window [N, length]."""
        return self.tokens[:, -length:]


EndPoint = Callable[[int, int, int], int]
"""Where the window of document (index) ends, from (index, its tokens, the window's length)."""


def drawn_end(index: int, tokens: int, length: int) -> int:
    """Return an end point drawn once for the document, so that not every window holds a text's last words."""
    return int(generator(0, "end point", index).integers(length, tokens + 1))


def last_end(index: int, tokens: int, length: int) -> int:
    """Return the document's end."""
    return tokens


def choose_windows(corpus: Corpus, length: int, documents: int, sizes: NDArray[np.int64], end_point: EndPoint) -> Windows:
    """Return windows of `length` tokens of at most `documents` documents of `corpus`, each ending at its `end_point`.

    The choice depends on the corpus alone, so that every run scores the same tokens. `sizes` [V] are the bytes of each
    token. Only documents of `length` tokens and more are eligible; if there is none, the lengths are refused.
    """
    spans = np.diff(corpus.starts) - 1  # the end token is not scored
    eligible = [index for index in range(len(corpus)) if spans[index] >= length]
    longest = int(spans.max()) if len(spans) else 0
    require(
        bool(eligible),
        f"evaluation.lengths: no document held out is as long as {length} tokens (the longest has {longest}); "
        "lower evaluation.lengths, or take longer documents",
    )
    chosen = [int(index) for index in sorted(generator(0, "evaluated documents").permutation(eligible)[:documents])]
    rows, masks = [], []
    for index in chosen:
        stop = int(corpus.starts[index]) + end_point(index, int(spans[index]), length)
        rows.append(corpus.tokens[stop - length : stop].astype(np.int64))
        masks.append(np.ones(length, dtype=bool) if corpus.targets is None else corpus.targets[stop - length : stop].copy())
    tokens = np.stack(rows)
    names = [corpus.names[index] for index in chosen]
    return Windows(torch.from_numpy(tokens), torch.from_numpy(np.stack(masks)), torch.from_numpy(sizes[tokens]), names)


@dataclass(frozen=True)
class Scored:
    """What a subject scored at one length: sums over each document [N] of nll, hits, counted tokens and their bytes."""

    nll: Vector
    hits: Vector
    counts: Vector
    sizes: Vector

    def row(self, subject: str, length: int) -> Row:
        """Return the row of `by_length`; `low` and `high` bound the nll."""
        nll = float(self.nll.sum() / self.counts.sum())
        low, high = ratio_bootstrap(self.nll, self.counts)
        return {
            "subject": subject,
            "length": length,
            "nll": nll,
            "perplexity": math.exp(nll),
            "bits_per_byte": float(self.nll.sum() / (math.log(2) * self.sizes.sum())),
            "accuracy": float(self.hits.sum() / self.counts.sum()),
            "tokens": int(self.counts.sum()),
            "low": low,
            "high": high,
        }


def score_length(reader: Reader, windows: Windows, length: int, scored: int) -> Scored:
    """Return the sums of `reader` over the last `scored` tokens of windows of `length`, which are the same at every length."""
    return sums(*reader.score(windows.last(length), scored), windows)


def score_whole(reader: Reader, windows: Windows, scored: int, edges: list[int], subject: str) -> tuple[Scored, list[Row]]:
    """Return from one pass over the whole windows the sums over their last `scored` tokens, and the rows by position."""
    nll, hit = reader.score(windows.tokens, windows.tokens.shape[1] - 1)
    return sums(nll[:, -scored:], hit[:, -scored:], windows), by_position(nll, windows, edges, subject)


def sums(nll: Tensor, hit: Tensor, windows: Windows) -> Scored:
    """Return the sums over each document of `nll` and `hit` [N, k], which stand at the windows' ends."""
    counted = windows.targets[:, -nll.shape[1] :]
    require(bool(counted.any(dim=1).all()), "evaluation.scored_tokens: a document has no target among them; raise it")
    parts = (nll.double() * counted, hit.double() * counted, counted.double(), windows.sizes[:, -nll.shape[1] :].double() * counted)
    return Scored(*(part.sum(dim=1).numpy() for part in parts))


def position_edges(trained_length: int, longest: int) -> list[int]:
    """Return the edges of half-open buckets: quarters of the trained length up to it, then doubling, up to `longest`."""
    edges = {0, *(trained_length * quarter // 4 for quarter in range(1, 5)), longest}
    edge = trained_length
    while edge < longest:
        edges.update((edge, edge * 3 // 2))
        edge *= 2
    return sorted(value for value in edges if value <= longest)


def by_position(nll: Tensor, windows: Windows, edges: list[int], subject: str) -> list[Row]:
    """Return the rows of `by_position`: the mean of `nll` [N, L - 1] over targets whose place lies between neighbouring `edges`."""
    counted = windows.targets[:, 1:]
    rows: list[Row] = []
    for low, high in itertools.pairwise(edges):
        # Target i of the scored ones stands at place i + 1.
        inside = slice(max(low - 1, 0), high - 1)
        count = int(counted[:, inside].sum())
        if count:
            mean = float((nll[:, inside].double() * counted[:, inside]).sum() / count)
            rows.append({"subject": subject, "low_position": low, "high_position": high, "nll": mean, "tokens": count})
    return rows
