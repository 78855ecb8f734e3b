"""The data stage: read, clean, deduplicate, split, train the tokenizer, encode; done once for the same input."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, models

from ctxext.data.application import check_documents, prompted
from ctxext.data.cleaning import clean_documents, flaws
from ctxext.data.corpus import Corpus, write_corpus
from ctxext.data.deduplication import drop_exact, drop_near
from ctxext.data.documents import Defect, Document
from ctxext.data.ledger import (
    AS_TEXT,
    AS_TOKENS,
    DROPPED,
    REPAIRED,
    Account,
    LedgerRow,
    load_ledger,
    rows_of,
    save_ledger,
    save_quarantine,
)
from ctxext.data.lettering import controls, lettered
from ctxext.data.sources import Source
from ctxext.data.split import split_documents
from ctxext.data.store import digest_of, is_whole, publish
from ctxext.data.tokenizer import as_plain_text, beginning, load_tokenizer, train_tokenizer
from ctxext.data.watch import Watch, unwatched
from ctxext.refusal import require

FORMAT = "3"
QUARANTINE = "quarantine.jsonl"
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Prepared:
    """The encoded parts with their tokenizer, the account of what went where, and the digest that names them all."""

    train: Corpus
    validation: Corpus
    test: Corpus
    tokenizer: Tokenizer
    ledger: list[LedgerRow]
    digest: str


def prepare(
    source: Source, tokenizer: Tokenizer | None, vocab_size: int, cache: Path, watch: Watch = unwatched
) -> Prepared:
    """Return what `source` holds, encoded with `tokenizer`, or with one of `vocab_size` trained on it if that is None.

    The result is kept in `cache`/tokens/DIGEST and taken from there when neither contents nor settings changed. Bad
    input, too few documents and an impossible `vocab_size` are refused.
    """
    items = list(watch(source.documents(), "Reading", None))
    check_documents(source.application, source.held_out, [item for item in items if isinstance(item, Document)])
    digest = digest_of(ingredients(items, source, tokenizer, vocab_size))
    folder = cache / "tokens" / digest
    if not is_whole(folder):
        publish(folder, lambda fresh: build(fresh, items, source, tokenizer, vocab_size, watch))
    train, validation, test = (Corpus.open(folder / part) for part in PARTS)
    ledger = load_ledger(folder / "ledger.json")
    return Prepared(train, validation, test, load_tokenizer(folder / "tokenizer.json"), ledger, digest)


def ingredients(
    items: Sequence[Document | Defect], source: Source, tokenizer: Tokenizer | None, vocab_size: int
) -> Iterator[str]:
    """Yield everything on which the prepared files depend."""
    yield FORMAT
    yield f"vocabulary of {vocab_size}" if tokenizer is None else tokenizer.to_str()
    if tokenizer is not None and lettered(tokenizer) is not tokenizer and not isinstance(tokenizer.model, models.BPE):
        yield "control tokens have names that no text spells"
    if tokenizer is not None and beginning(tokenizer):
        yield f"documents begin with {beginning(tokenizer)}"  # what others prepared stays as it was
    yield from map(repr, (source.near_duplicates, source.validation_share, source.test_share))
    yield from (source.prompt, repr(sorted(source.held_out)))
    for item in items:
        if isinstance(item, Document):
            yield from ("document", item.name, item.text, item.target, repr(item.others), item.group)
            yield from flaws(item)  # what others prepared of clean texts stays as it was
        else:
            yield from ("defect", item.where, item.reason, str(item.size))


def build(
    folder: Path,
    items: Sequence[Document | Defect],
    source: Source,
    tokenizer: Tokenizer | None,
    vocab_size: int,
    watch: Watch,
) -> None:
    """Write into `folder` the encoded parts of `items`, the tokenizer, the ledger and the quarantine."""
    kept, dropped = sift(items, source.near_duplicates, watch)
    require(bool(kept), f"dataset holds no document that can be used: {len(items)} were read, all were dropped")
    split = split_documents(kept, source.validation_share, source.test_share, source.held_out)
    if tokenizer is None:
        require(bool(split.train), "a tokenizer can't be trained without training documents; lower dataset.test_share")
        read = (prompted(document, source.prompt) for document in split.train)
        texts = (text for document in read for text in (document.text, document.target))
        tokenizer = train_tokenizer(watch(texts, "Training the tokenizer", 2 * len(split.train)), vocab_size)
    as_plain_text(tokenizer).save(str(folder / "tokenizer.json"))
    rows = [LedgerRow("read", len(items), sum(item.size for item in items))]
    for part in PARTS:
        documents: list[Document] = getattr(split, part)
        watched = watch(documents, f"Encoding {part}", len(documents))
        corpus = write_corpus(folder / part, (prompted(document, source.prompt) for document in watched), tokenizer)
        size = sum(document.size for document in documents)
        rows.append(LedgerRow(f"kept: {part}", len(documents), size, len(corpus.tokens)))
    away = rows[0].size - sum(document.size for document in kept) - sum(defect.size for defect in dropped)
    account = {DROPPED: dropped, **noted(kept, tokenizer)}
    save_ledger(folder / "ledger.json", [*rows, *rows_of(account), LedgerRow("cleaned away", 0, away)])
    save_quarantine(folder / QUARANTINE, account)


def noted(documents: Sequence[Document], tokenizer: Tokenizer) -> Account:
    """Return which of the `documents` that were kept were repaired, or spell a control token of `tokenizer`.

    Words that it adds without the flag of control tokens are no letters: tags, or the names of roles.
    """
    words = controls(tokenizer)
    added = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.content.strip()}
    repaired = [Defect(document.name, flaw, document.size) for document in documents for flaw in document.flaws]
    return {
        REPAIRED: repaired,
        AS_TEXT: [Defect(one.name, "control tokens", one.size) for one in spelling(words, documents)],
        AS_TOKENS: [Defect(one.name, "added tokens", one.size) for one in spelling(added.difference(words), documents)],
    }


def spelling(words: Iterable[str], documents: Sequence[Document]) -> list[Document]:
    """Return those of `documents` that hold any of `words`."""
    spelt = re.compile("|".join(map(re.escape, words)) or "(?!)")
    return [document for document in documents if any(map(spelt.search, document.texts))]


def sift(
    items: Sequence[Document | Defect], near_duplicates: float, watch: Watch
) -> tuple[list[Document], list[Defect]]:
    """Return the cleaned documents of `items` without copies, and whatever was dropped on the way."""
    defects = [item for item in items if isinstance(item, Defect)]
    documents = [item for item in items if isinstance(item, Document)]
    cleaned, empty = clean_documents(watch(documents, "Cleaning", len(documents)))
    unique, copies = drop_exact(cleaned)
    if near_duplicates == 1:
        return unique, [*defects, *empty, *copies]
    kept, likenesses = drop_near(unique, near_duplicates, watch)
    return kept, [*defects, *empty, *copies, *likenesses]
