"""Encoded documents as memory-mapped files: a flat row of tokens, where each document starts, and what is a target."""

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ctxext.data.documents import Document
from ctxext.data.lettering import lettered
from ctxext.data.pairs import Pair, load_pairs, pair_of
from ctxext.data.tokenizer import beginning, end_token, tokenizing

BATCH_CHARACTERS = 1 << 20


@dataclass(frozen=True)
class Corpus:
    """Documents as token ids: `tokens` [T] (each document ends with the end token), `starts` [num_documents + 1].

    `targets` [T] tells which tokens are predicted, or is None where every token is. `pairs` are the documents that have
    a target, in their order, as texts. Each document begins with the control tokens `beginning`, which are no targets.
    """

    tokens: NDArray[np.unsignedinteger]
    starts: NDArray[np.int64]
    names: list[str]
    targets: NDArray[np.bool_] | None
    pairs: list[Pair] = field(default_factory=list)
    beginning: tuple[int, ...] = ()

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.names)

    def document(self, index: int) -> NDArray[np.unsignedinteger]:
        """Return the tokens of document `index`, its end token included."""
        return self.tokens[self.starts[index] : self.starts[index + 1]]

    @classmethod
    def open(cls, folder: Path) -> "Corpus":
        """Map the corpus that `write_corpus` left in `folder`."""
        record = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
        tokens = mapped(folder / "tokens.bin", np.dtype(record["dtype"]))
        starts: NDArray[np.int64] = np.load(folder / "starts.npy", allow_pickle=False)
        targets = mapped(folder / "targets.bin", np.dtype(bool)) if record["pairs"] else None
        pairs = load_pairs(folder / "pairs.jsonl") if record["pairs"] else []
        # Files from before there were beginnings have none.
        return cls(tokens, starts, record["names"], targets, pairs, tuple(record.get("beginning", ())))


def mapped(path: Path, dtype: np.dtype) -> NDArray:  # type: ignore[type-arg]
    """Return the file at `path` as a read-only array of `dtype`; an empty file, which can't be mapped, is one too."""
    if path.stat().st_size == 0:
        return np.empty(0, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r")


def write_corpus(folder: Path, documents: Iterable[Document], tokenizer: Tokenizer) -> Corpus:
    """Encode `documents` with `tokenizer` into new files in `folder`, a bounded batch at a time, and open them."""
    folder.mkdir(parents=True, exist_ok=True)
    dtype: np.dtype[np.unsignedinteger] = np.dtype(np.uint16 if tokenizer.get_vocab_size() <= 1 << 16 else np.uint32)
    names: list[str] = []
    lengths: list[int] = []
    pairs = False
    with ExitStack() as stack:
        token_file = stack.enter_context((folder / "tokens.bin").open("wb"))
        target_file = stack.enter_context((folder / "targets.bin").open("wb"))
        pair_file = stack.enter_context((folder / "pairs.jsonl").open("w", encoding="utf-8"))
        for batch in batches(documents):
            found = [pair_of(document) for document in batch if document.target]
            pair_file.writelines(pair.line for pair in found)
            pairs = pairs or bool(found)
            for document, (tokens, targets) in zip(batch, encode(batch, tokenizer, dtype), strict=True):
                tokens.tofile(token_file)
                targets.tofile(target_file)
                names.append(document.name)
                lengths.append(len(tokens))
    if not pairs:
        (folder / "targets.bin").unlink()
        (folder / "pairs.jsonl").unlink()
    np.save(folder / "starts.npy", np.cumsum([0, *lengths], dtype=np.int64), allow_pickle=False)
    record = {"dtype": dtype.name, "pairs": pairs, "names": names, "beginning": beginning(tokenizer)}
    (folder / "corpus.json").write_text(json.dumps(record), encoding="utf-8")
    return Corpus.open(folder)


def batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Yield `documents` in lists of about `BATCH_CHARACTERS` characters, a longer document alone."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        length = len(document.text) + len(document.target)
        if batch and size + length > BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += length
    if batch:
        yield batch


def encode(
    batch: list[Document], tokenizer: Tokenizer, dtype: np.dtype[np.unsignedinteger]
) -> Iterator[tuple[NDArray[np.unsignedinteger], NDArray[np.bool_]]]:
    """Yield the tokens of each document of `batch`, in `dtype`, the end token last, and which of them are targets.

    What the template of `tokenizer` puts before every text comes first. A target begins on a new line, and is encoded
    apart from its input, so that the border between them is a token's.
    """
    begin, end = beginning(tokenizer), end_token(tokenizer)
    inputs = [document.text + "\n" if document.target else document.text for document in batch]
    plain = lettered(tokenizer)
    with tokenizing():
        encoded = plain.encode_batch_fast(inputs, add_special_tokens=False)
        answers = plain.encode_batch_fast([document.target for document in batch], add_special_tokens=False)
    for document, question, answer in zip(batch, encoded, answers, strict=True):
        count = len(begin) + len(question) + len(answer) + 1
        tokens = np.fromiter(chain(begin, question.ids, answer.ids, (end,)), dtype, count)
        targets = np.ones(count, dtype=bool)
        targets[: len(begin) + (len(question) if document.target else 0)] = False
        yield tokens, targets
