"""Rows to train on: windows of a corpus, its pairs, and freshly written lessons, each found by its number alone.

Shapes: B rows, S tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from operator import itemgetter

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from ctxext.data.corpus import Corpus
from ctxext.data.lessons import RECALL, Lessons
from ctxext.data.lettering import lettered
from ctxext.data.material import CorpusMaterial
from ctxext.data.packing import Packing, pack
from ctxext.maths.counted import generator
from ctxext.position.sampling import AsLaid, Sampler
from ctxext.refusal import require
from ctxext.tasks import recall


@dataclass(frozen=True)
class Batch:
    """Rows side by side: `tokens`, `targets`, `positions` [B, S] int64, `weights` [B, S] float, and the rows' names.

    `documents` [B, S] keeps packed documents apart; None where each row is of one document. A target with weight 0 is
    not predicted: the first token behind a document's end, all that begins a document, the inputs of (input, target)
    pairs, and what fills a row.
    """

    tokens: Tensor
    targets: Tensor
    weights: Tensor
    positions: Tensor
    documents: Tensor | None
    samples: list[str]

    def parts(self, count: int) -> Iterator[Batch]:
        """Yield the batch in `count` runs of rows, or row by row if it has fewer."""
        for numbers in np.array_split(np.arange(len(self.samples)), min(count, len(self.samples))):
            rows = slice(int(numbers[0]), int(numbers[-1]) + 1)  # a view, which pinned memory stays pinned in
            yield replace(self.each(itemgetter(rows)), samples=self.samples[rows])

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`; from pinned memory it is copied while the host goes on."""
        return self.each(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> Batch:
        """Return the batch in memory that a CUDA device copies from by itself."""
        return self.each(Tensor.pin_memory)

    def each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with the outcome of `change` in place of each tensor."""
        documents = None if self.documents is None else change(self.documents)
        tokens, targets, weights, positions = map(change, (self.tokens, self.targets, self.weights, self.positions))
        return Batch(tokens, targets, weights, positions, documents, self.samples)


@dataclass(frozen=True)
class Row:
    """One row before it is stacked: arrays of S, and of S + 1 for `tokens`, which hold the last target too."""

    tokens: NDArray[np.int64]
    weights: NDArray[np.float32]
    documents: NDArray[np.int64]
    positions: NDArray[np.int64]
    sample: str


@dataclass(frozen=True)
class Rows:
    """Rows of `length` tokens: `recall_share` of them lessons, the others shuffled windows of `corpus`.

    Where that has pairs, a window holds whole ones, filled up behind. A row that does not keep its documents apart is
    one text, whose positions run on. `sampler` may draw others instead. Row n is a function of (seed, n) alone, so that
    a resumed run sees the rows that it would have seen.
    """

    corpus: Corpus
    tokenizer: Tokenizer
    length: int
    recall_share: float
    seed: int
    keeps_documents_apart: bool = True
    sampler: Sampler = field(default_factory=AsLaid)
    curriculum: Lessons = field(default_factory=Lessons)

    def __post_init__(self) -> None:
        require(self.length > 1, f"a training row needs 2 tokens or more, got context_length {self.length}")
        if self.recall_share == 1:
            return
        if self.is_paired:
            require(
                self.windows > 0,
                f"dataset: none of the {len(self.corpus)} pairs of the training split has a target of at most "
                f"{self.length} tokens, a row's, its end counted; take shorter ones, or a larger context_length",
            )
        require(
            self.windows > 0,
            f"dataset: the training split holds {len(self.corpus.tokens)} tokens, fewer than one row of {self.length}; "
            "take more text, a smaller context_length, or dataset.recall_share=1",
        )

    @property
    def is_paired(self) -> bool:
        """Whether the corpus has pairs of input and target."""
        return self.corpus.targets is not None

    @cached_property
    def packing(self) -> Packing:
        """The rows of a corpus of pairs, which are the same each time round, in another order."""
        return pack(self.corpus, self.length, self.seed)

    @property
    def windows(self) -> int:
        """How many windows are seen in one time round; what a text has left behind the last whole one is not seen."""
        return len(self.packing) if self.is_paired else max(len(self.corpus.tokens) - 1, 0) // self.length

    def batch(self, first: int, count: int) -> Batch:
        """Return rows `first` up to `first + count`."""
        rows = [self.row(number) for number in range(first, first + count)]
        tokens = torch.from_numpy(np.stack([row.tokens for row in rows]))
        documents = np.stack([row.documents for row in rows])
        return Batch(
            tokens[:, :-1],
            tokens[:, 1:],
            torch.from_numpy(np.stack([row.weights for row in rows])),
            torch.from_numpy(np.stack([row.positions for row in rows])),
            torch.from_numpy(documents) if documents.any() else None,  # asked of numpy: torch would start threads
            [row.sample for row in rows],
        )

    def row(self, number: int) -> Row:
        """Return row `number`: lessons are spread evenly among the windows."""
        lessons = self.lessons(number)
        row = self.lesson(lessons) if self.lessons(number + 1) > lessons else self.window(number - lessons)
        draw = generator(self.seed, "positions", number)
        return replace(row, positions=self.sampler.sample(row.positions, row.documents, draw))

    def lessons(self, rows: int) -> int:
        """Return how many of the first `rows` rows are lessons; rounding undoes 0.29 * 100 = 28.999999999999996."""
        return int(round(rows * self.recall_share, 6))

    def window(self, number: int) -> Row:
        """Return the window that comes `number`th when all are shuffled anew for each time round."""
        epoch, place = divmod(number, self.windows)
        window = int(window_order(self.seed, epoch, self.windows)[place])
        if self.corpus.targets is not None:
            return self.packed(window, self.corpus.targets)
        start, stop = window * self.length, (window + 1) * self.length
        tokens = self.corpus.tokens[start : stop + 1].astype(np.int64)
        document = np.searchsorted(self.corpus.starts, np.arange(start, stop + 1), side="right") - 1
        places = np.arange(start, stop + 1) - self.corpus.starts[document]
        weights = (places[1:] >= max(len(self.corpus.beginning), 1)).astype(np.float32)
        return self.laid(tokens, weights, document[:-1] - document[0], f"text/{window}")

    def packed(self, window: int, targets: NDArray[np.bool_]) -> Row:
        """Return the row of whole pairs number `window`, filled up behind with a document of end tokens."""
        tokens = np.full(self.length + 1, self.corpus.tokens[-1], dtype=np.int64)
        weights, spans = np.zeros(self.length + 1, dtype=np.float32), self.packing.row(window)
        documents = np.full(self.length + 1, len(spans), dtype=np.int64)
        place = 0
        for number, (start, stop) in enumerate(spans.tolist()):
            here = slice(place, place + stop - start)
            tokens[here], documents[here] = self.corpus.tokens[start:stop], number
            weights[here] = targets[start:stop]
            weights[place] = 0  # nothing of its document stands before it
            if not targets[start]:  # also an input that lost its front begins as a document does
                tokens[place : place + len(self.corpus.beginning)] = self.corpus.beginning
            place = here.stop
        return self.laid(tokens, weights[1:], documents[:-1], f"pairs/{window}")

    def laid(
        self, tokens: NDArray[np.int64], weights: NDArray[np.float32], documents: NDArray[np.int64], sample: str
    ) -> Row:
        """Return the row of `tokens`, with the positions of its `documents`, which are numbered from 0."""
        if not self.keeps_documents_apart:
            documents = np.zeros_like(documents)
        positions = np.arange(self.length) - np.searchsorted(documents, documents)
        return Row(tokens, weights, documents, positions, sample)

    def lesson(self, number: int) -> Row:
        """Return lesson `number`, whose targets are the answers."""
        name = self.curriculum.name(number)
        if name == RECALL:
            return self.story(number)
        lesson = self.curriculum.write(self.seed, number, self.length + 1, self.material)
        weights = lesson.answers[1:].astype(np.float32)
        return self.laid(lesson.tokens, weights, lesson.documents[:-1], f"{name}/{number}")

    @cached_property
    def material(self) -> CorpusMaterial:
        """What samples of the tasks are made of."""
        return CorpusMaterial(self.corpus, self.tokenizer)

    def story(self, number: int) -> Row:
        """Return lesson `number` of the recall generator, filled up, or cut, to the row's length at its start.

        Its targets are the answers: a lesson is many pairs of input and target in one row.
        """
        begin = list(self.corpus.beginning)
        draw, size = generator(self.seed, "lesson", number), self.length + 1 - len(begin)
        story = recall.lesson(draw, size, lambda piece: len(self.ids(piece)))
        pieces = [self.ids(piece) for piece in story.pieces]
        while (missing := size - sum(map(len, pieces))) > 0:
            pieces.insert(0, self.ids(recall.filler(draw))[-missing:])
        counted = [len(pieces) - len(story.pieces) + index for index in story.answers]
        weights = np.concatenate(
            [np.full(len(piece), index in counted, np.float32) for index, piece in enumerate(pieces)]
        )
        # A tokenizer that spells words out may need more than the budget, hence the cuts at the front.
        tokens = np.concatenate([begin, np.concatenate(pieces)[-size:]]).astype(np.int64)
        weights = np.concatenate([np.zeros(len(begin), np.float32), weights[-size:]])[1:]
        none = np.zeros(self.length, dtype=np.int64)
        return Row(tokens, weights, none, np.arange(self.length), f"recall/{number}")

    def ids(self, sentence: str) -> list[int]:
        """Return the tokens of `sentence`."""
        ids: list[int] = lettered(self.tokenizer).encode(sentence, add_special_tokens=False).ids
        return ids


@lru_cache(maxsize=2)
def window_order(seed: int, epoch: int, windows: int) -> NDArray[np.int64]:
    """Return the order in which the numbers below `windows` are seen the `epoch`th time round."""
    return generator(seed, "window order", epoch).permutation(windows)
