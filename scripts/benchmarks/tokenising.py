"""Encoding a corpus into files, against `datasets.map` with the same tokenizer; one thread on each side."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from benchmarks.clock import in_turn
from benchmarks.findings import Part, Table, middle, ratios
from benchmarks.scale import Scale

from ctxext.data.corpus import Corpus, write_corpus
from ctxext.data.documents import Document
from ctxext.data.sources import Stdlib
from ctxext.data.tokenizer import end_token, train_tokenizer

VOCABULARY, TAUGHT = 4096, 400_000
OURS = "ours, into a memory map"
BATCHED, PLAIN = "datasets.map, encode_batch", "datasets.map, encode_batch_fast"
BARE = "the tokenizer alone"


def measured(scale: Scale) -> Part:
    """Return how much faster we encode the same texts than `datasets.map` as transformers' tokenizers encode in it."""
    texts = texts_of(scale.characters)
    tokenizer = train_tokenizer(texts_of(min(TAUGHT, scale.characters)), VOCABULARY)
    end, found = [end_token(tokenizer)], Part()
    size = sum(len(text.encode()) for text in texts)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sides: dict[str, Callable[[], Any]] = {
            OURS: lambda: ours(texts, tokenizer, folder),
            BATCHED: lambda: theirs(texts, tokenizer.encode_batch, end, folder),
            PLAIN: lambda: theirs(texts, tokenizer.encode_batch_fast, end, folder),
        }
        check(sides)
        bare = {BARE: lambda: tokenizer.encode_batch_fast(texts, add_special_tokens=False)}
        times = in_turn(sides | bare, max(2, scale.repetitions - 2))
    found.add("tokenising", ratios(times[BATCHED], times[OURS]))
    faster, bound = (middle(ratios(times[name], times[OURS]), 1, 2) for name in (PLAIN, BARE))
    found.remarks.append(
        f"through datasets.map by encode_batch_fast, which keeps no offsets, as we encode: {faster} of our time; the "
        f"tokenizer alone, which keeps nothing: {bound}"
    )
    rows = [[name, middle([size / time for time in times[name]], 1e6, 2), middle(times[name])] for name in sides]
    title = f"Encoding {size / 1e6:.1f} MB of Python in {len(texts)} texts, vocabulary {VOCABULARY}"
    found.tables.append(Table(title, ["", "MB a CPU second", "CPU ms"], rows))
    return found


def texts_of(characters: int) -> list[str]:
    """Return modules of Python's standard library, as many as have `characters` together."""
    texts, total = list[str](), 0
    for item in Stdlib(validation_share=0.1, test_share=0.1).items():
        if isinstance(item, Document) and item.text and total < characters:
            texts.append(item.text)
            total += len(item.text)
    return texts


def ours(texts: list[str], tokenizer: Any, folder: Path) -> Corpus:
    """Return the corpus of `texts`, mapped from the files that were written."""
    documents = (Document(str(index), text) for index, text in enumerate(texts))
    return write_corpus(folder / "ours", documents, tokenizer)


def theirs(texts: list[str], encode: Callable[..., Any], end: list[int], folder: Path) -> Any:
    """Return the data set of `texts`, encoded by `encode` into a file as small numbers, each with `end` behind it."""
    from datasets import Dataset, Features, Sequence, Value

    def encoded(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        return {"tokens": [text.ids + end for text in encode(batch["text"], add_special_tokens=False)]}

    return Dataset.from_dict({"text": texts}).map(
        encoded,
        batched=True,
        remove_columns=["text"],
        features=Features({"tokens": Sequence(Value("uint16"))}),
        cache_file_name=str(folder / "theirs.arrow"),
        load_from_cache_file=False,
    )


def check(sides: dict[str, Callable[[], Any]]) -> None:
    """Stop in words if the sides' tokens differ."""
    mine = np.array(sides[OURS]().tokens)
    for name in (BATCHED, PLAIN):
        other = sides[name]()["tokens"]
        if not np.array_equal(mine, np.fromiter(chain.from_iterable(other), np.int64)):
            raise SystemExit(f"benchmark: both sides must encode the same, but the tokens of {name} differ")
