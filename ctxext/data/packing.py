"""Whole documents packed into rows, so that no target is learnt without the input that it answers.

Shapes: D documents, P pieces of them, R rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctxext.data.corpus import Corpus
from ctxext.maths.counted import generator

OPEN_ROWS = 32
"""How many rows are filled at once: enough that little stays empty, and few enough to look through."""


@dataclass(frozen=True)
class Packing:
    """Pieces of a corpus, `spans` [P, 2] of its tokens, in rows: row r holds those from `borders`[r] to [r + 1].

    Of the pairs that are longer than a row, `cut` lost the front of their input, and `left_out` are in no row, since
    their target alone is as long as that.
    """

    spans: NDArray[np.int64]
    borders: NDArray[np.int64]
    cut: int
    left_out: int

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.borders) - 1

    def row(self, index: int) -> NDArray[np.int64]:
        """Return the spans of row `index`, in their order."""
        return self.spans[self.borders[index] : self.borders[index + 1]]

    @property
    def told(self) -> str:
        """What became of pairs that are longer than a row, in words, or nothing."""
        words = [
            f"{self.cut} of the pairs lose the front of their input to fit a row" if self.cut else "",
            f"{self.left_out} of the pairs are left out, their target alone is longer" if self.left_out else "",
        ]
        return ", ".join(filter(None, words))


def pack(corpus: Corpus, length: int, seed: int) -> Packing:
    """Return the documents of `corpus` in rows of `length` tokens and the target behind them, shuffled by `seed`."""
    paired = {pair.name for pair in corpus.pairs}
    pieces: list[tuple[int, int]] = []
    cut = left_out = 0
    for name, start, stop in zip(corpus.names, corpus.starts[:-1].tolist(), corpus.starts[1:].tolist(), strict=True):
        if name in paired and stop - start > length + 1:
            fits = len(corpus.beginning) + answer_length(corpus, start, stop) <= length
            cut, left_out = cut + fits, left_out + (not fits)
            pieces += [(stop - length - 1, stop)] if fits else []
        else:
            pieces += windows(start, stop, length)
    spans = np.array(pieces, dtype=np.int64).reshape(-1, 2)
    spans = generator(seed, "packing").permutation(spans)
    rows = first_fit(np.diff(spans, axis=1).ravel().tolist(), length + 1)
    count = int(rows.max(initial=-1)) + 1
    borders = np.searchsorted(np.sort(rows), np.arange(count + 1))
    return Packing(spans[np.argsort(rows, kind="stable")], borders, cut, left_out)


def answer_length(corpus: Corpus, start: int, stop: int) -> int:
    """Return how many of the tokens of `corpus` from `start` to `stop` are targets."""
    assert corpus.targets is not None, "a corpus of pairs tells its targets"
    return int(corpus.targets[start:stop].sum())


def windows(start: int, stop: int, length: int) -> Iterator[tuple[int, int]]:
    """Yield the spans in which the tokens from `start` to `stop` are each predicted once, of `length` + 1 at most."""
    for first in range(start, stop - 1, length):
        yield first, min(first + length + 1, stop)


def first_fit(sizes: Sequence[int], room: int) -> NDArray[np.int64]:
    """Return the row of each of `sizes`, in turn put into the first open one of `room` that has enough left."""
    left: dict[int, int] = {}
    rows, made = [], 0
    for size in sizes:
        row = next((row for row, rest in left.items() if rest >= size), made)
        if row == made:
            made += 1
            if len(left) == OPEN_ROWS:
                del left[min(left, key=left.__getitem__)]
        left[row] = left.get(row, room) - size
        rows.append(row)
    return np.array(rows, dtype=np.int64)
