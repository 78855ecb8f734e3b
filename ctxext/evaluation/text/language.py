"""The log-likelihood of held-out text, at each length on the same scored tokens, and by position.

Shapes: N documents, L tokens, k scored tokens.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypedDict

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
    """The text of the longest window of each document: `tokens` [N, T], which are targets, and the bytes of each.

    What is read of it begins with the control tokens `beginning`, which count in its length: L is T and theirs.
    They were drawn of the `eligible` documents, those long enough.
    """

    tokens: Tensor
    targets: Tensor
    sizes: Tensor
    names: list[str]
    beginning: tuple[int, ...] = ()
    eligible: int = 0

    @property
    def length(self) -> int:
        """How many tokens a whole window has."""
        return len(self.beginning) + self.tokens.shape[1]

    @property
    def unscored(self) -> int:
        """How many tokens at the start of what is read nothing predicts: those of the beginning, or the first."""
        return max(len(self.beginning), 1)

    def last(self, length: int) -> Tensor:
        """Return windows of `length` [N, length]: the last tokens of each behind the beginning."""
        return self.begun(self.tokens[:, len(self.beginning) - length :])

    def begun(self, texts: Tensor) -> Tensor:
        """Return `texts` [N, T], each behind the beginning."""
        if not self.beginning:
            return texts
        return torch.cat((torch.tensor(self.beginning).expand(texts.shape[0], -1), texts), dim=1)


EndPoint = Callable[[int, int, int], int]
"""Where the window of document (index) ends, from (index, its tokens, the window's length)."""


def drawn_end(index: int, tokens: int, length: int) -> int:
    """Return an end point drawn once for the document, so that not every window holds a text's last words."""
    return int(generator(0, "end point", index).integers(length, tokens + 1))


def last_end(index: int, tokens: int, length: int) -> int:
    """Return the document's end."""
    return tokens


def longest(corpus: Corpus) -> int:
    """Return how many tokens the longest document of `corpus` has, without its end token; 0 if there is none."""
    return int(np.diff(corpus.starts).max(initial=1)) - 1


def no_windows(length: int) -> Windows:
    """Return no windows of `length` tokens."""
    none = torch.zeros(0, length, dtype=torch.long)
    return Windows(none, none.bool(), none, [])


def choose_windows(
    corpus: Corpus, length: int, documents: int, sizes: NDArray[np.int64], end_point: EndPoint, key: str
) -> Windows:
    """Return windows of `length` tokens of at most `documents` documents of `corpus`, each ending at its `end_point`.

    The choice depends on the corpus alone, so that every run scores the same tokens. `sizes` [V] are the bytes of each
    token. Only documents of `length` tokens and more are eligible; if there is none, the config's `key` is refused.
    Where texts begin with control tokens, those stand in front of each window too, and are counted.
    """
    spans = np.diff(corpus.starts) - 1  # the end token is not scored
    eligible = np.flatnonzero(spans >= length)
    require(
        len(eligible) > 0,
        f"{key} needs documents held out of {length} tokens or more, and the longest has {spans.max(initial=0)}; "
        f"change {key}, or take longer documents, or more of them into the split",
    )
    if corpus.targets is not None:
        end_point = last_end  # where the answer stands
    chosen = np.sort(generator(0, "evaluated documents").permutation(eligible)[:documents]).tolist()
    stops = [int(corpus.starts[index]) + end_point(index, int(spans[index]), length) for index in chosen]
    places = np.array(stops)[:, None] + np.arange(len(corpus.beginning) - length, 0)
    tokens = corpus.tokens[places].astype(np.int64)
    targets = np.ones_like(tokens, dtype=bool) if corpus.targets is None else corpus.targets[places]
    names = [corpus.names[index] for index in chosen]
    text, bytes_of = torch.from_numpy(tokens), torch.from_numpy(sizes[tokens])
    return Windows(text, torch.from_numpy(targets), bytes_of, names, corpus.beginning, len(eligible))


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
    """Return the sums of `reader` over the last `scored` tokens of windows of `length`, the same at every length."""
    return stacked(score_windows(reader, windows, range(len(windows.names)), length, scored, []))


class Line(TypedDict):
    """The sums over one document, by bucket of positions those of nll and counted tokens, and each token's nll."""

    nll: float
    hits: float
    counts: float
    sizes: float
    buckets: list[tuple[float, float]]
    tokens: list[float]


def score_windows(
    reader: Reader, windows: Windows, run: range, length: int, scored: int, edges: Sequence[int]
) -> list[Line]:
    """Return the sums over the last `scored` tokens of those windows whose numbers are in `run`, cut to `length`.

    With `edges` every token is scored, and summed between neighbouring edges too.
    """
    rows = slice(run.start, run.stop)
    first = windows.unscored if edges else length - scored
    nll, hit = reader.score(windows.last(length)[rows], length - first)
    counted, sizes = windows.targets[rows, -nll.shape[1] :].double(), windows.sizes[rows, -nll.shape[1] :]
    last = counted[:, -scored:]
    parts = [(part[:, -scored:].double() * last).sum(dim=1).tolist() for part in (nll, hit, last, sizes)]
    buckets = bucket_sums(nll, counted, edges, first)
    tokens = nll[:, -scored:].double().tolist()
    return [
        Line(nll=a, hits=b, counts=c, sizes=d, buckets=e, tokens=f)
        for a, b, c, d, e, f in zip(*parts, buckets, tokens, strict=True)
    ]


def bucket_sums(nll: Tensor, counted: Tensor, edges: Sequence[int], first: int) -> list[list[tuple[float, float]]]:
    """Return for each row of `nll` [N, L - first] its sum over the `counted` targets between neighbouring `edges`."""
    sums: list[list[tuple[float, float]]] = [[] for _ in range(nll.shape[0])]
    for low, high in itertools.pairwise(edges):
        # Target i of the scored ones stands at place i + first.
        inside = slice(max(low - first, 0), max(high - first, 0))
        values = (nll[:, inside].double() * counted[:, inside]).sum(dim=1).tolist()
        for row, value, count in zip(sums, values, counted[:, inside].sum(dim=1).tolist(), strict=True):
            row.append((value, count))
    return sums


def stacked(lines: Sequence[Line]) -> Scored:
    """Return the sums of all documents from the `lines` of each; refuse one without a target."""
    counts = [line["counts"] for line in lines]
    require(all(counts), "evaluation.scored_tokens: a document has no target among them; raise it")
    return Scored(*(np.array([line[key] for line in lines]) for key in ("nll", "hits", "counts", "sizes")))


def position_edges(trained_length: int, longest: int) -> list[int]:
    """Return the edges of half-open buckets up to `longest`: quarters of the trained length up to it, then doubling."""
    edges = {0, *(trained_length * quarter // 4 for quarter in range(1, 5)), longest}
    edge = trained_length
    while edge < longest:
        edges.update((edge, edge * 3 // 2))
        edge *= 2
    return sorted(value for value in edges if value <= longest)


def by_position(lines: Sequence[Line], edges: Sequence[int], subject: str) -> list[Row]:
    """Return the rows of `by_position`: the mean nll of all documents over the targets between neighbouring `edges`."""
    rows: list[Row] = []
    for number, (low, high) in enumerate(itertools.pairwise(edges)):
        total, count = np.array([line["buckets"][number] for line in lines]).sum(axis=0)
        if count:
            nll = float(total / count)
            row = {"subject": subject, "low_position": low, "high_position": high, "nll": nll, "tokens": int(count)}
            rows.append(row)
    return rows
