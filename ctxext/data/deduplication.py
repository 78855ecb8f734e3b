"""Removal of duplicates over all documents before the split, so that no pair stands within a part or across two."""

from collections.abc import Iterator, Sequence

from rensa import RMinHash, RMinHashLSH

from ctxext.data.cleaning import dropped_as
from ctxext.data.documents import Defect, Document
from ctxext.data.split import content_hash
from ctxext.data.watch import Watch

NUM_HASHES = 256
SEED = 1
SHINGLE_WORDS = 5
SURE = 0.999


def drop_exact(documents: Sequence[Document]) -> tuple[list[Document], list[Defect]]:
    """Return the first of the `documents` with each content, and the others."""
    seen: set[bytes] = set()
    kept: list[Document] = []
    dropped: list[Defect] = []
    for document in documents:
        content = content_hash(document)
        if content in seen:
            dropped.append(dropped_as("exact duplicate", document))
        else:
            seen.add(content)
            kept.append(document)
    return kept, dropped


def drop_near(documents: Sequence[Document], threshold: float, watch: Watch) -> tuple[list[Document], list[Defect]]:
    """Return the `documents` less like any kept one before them than `threshold`, and the others.

    Likeness is the Jaccard index of the sets of word 5-shingles, estimated by MinHash. The targets of pairs have to be
    alike by their words too: of one long input many things may be asked.
    """
    index = RMinHashLSH(threshold=threshold, num_perm=NUM_HASHES, num_bands=num_bands(threshold))
    signatures: list[RMinHash] = []
    kept: list[Document] = []
    dropped: list[Defect] = []
    for document in watch(documents, "Looking for near-duplicates", len(documents)):
        signature = RMinHash(num_perm=NUM_HASHES, seed=SEED)
        signature.update(list(shingles(document)))
        near = (key for key in index.query(signature) if signature.jaccard(signatures[key]) >= threshold)
        if any(likeness(document.target, kept[key].target) >= threshold for key in near):
            dropped.append(dropped_as("near-duplicate", document))
            continue
        index.insert(len(kept), signature)
        signatures.append(signature)
        kept.append(document)
    return kept, dropped


def shingles(document: Document) -> Iterator[str]:
    """Yield each run of five words of `document`, or all of its words if they are fewer."""
    words = f"{document.text} {document.target}".lower().split()
    if len(words) < SHINGLE_WORDS:
        yield " ".join(words)
    yield from map(" ".join, zip(*(words[start:] for start in range(SHINGLE_WORDS)), strict=False))


def likeness(first: str, second: str) -> float:
    """Return the Jaccard index of the words of two targets, 1 for two that are empty."""
    left, right = set(first.lower().split()), set(second.lower().split())
    return len(left & right) / len(left | right) if left or right else 1.0


def num_bands(threshold: float) -> int:
    """Return the fewest bands of the index with which a pair at `threshold` is all but sure to be looked at."""
    bands = 1
    while bands < NUM_HASHES and 1 - (1 - threshold ** (NUM_HASHES // bands)) ** bands < SURE:
        bands *= 2
    return bands
