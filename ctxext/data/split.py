"""The split into training, validation and test documents, drawn from their contents alone.

No seed takes part: a base that was trained once has never seen the test documents of any later run.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil

from ctxext.data.documents import Document
from ctxext.refusal import Refusal


@dataclass(frozen=True)
class Split:
    """The documents of each part, in the order of the source."""

    train: list[Document]
    validation: list[Document]
    test: list[Document]


def content_hash(document: Document) -> bytes:
    """Return a hash of the text and the target of `document`, whatever its name."""
    border = len(document.text.encode()).to_bytes(8, "big")
    return blake2b(border + document.text.encode() + document.target.encode(), digest_size=16).digest()


def split_documents(
    documents: Sequence[Document], validation_share: float, test_share: float, held_out: Collection[str] = ()
) -> Split:
    """Split `documents` by the order of their hashes: test first, then validation, the rest is trained on.

    Pairs of a group that is `held_out` are all tested on, and the shares are of the other documents. A part whose share
    isn't 0 gets at least one document; too few documents for that are refused.
    """
    drawn = [index for index, document in enumerate(documents) if document.group not in held_out]
    num_test, num_validation = part_size(len(drawn), test_share), part_size(len(drawn), validation_share)
    needed = num_test + num_validation + (validation_share + test_share < 1)
    if len(drawn) < needed:
        outside = f" outside dataset.held_out={list(held_out)}" if held_out else ""
        raise Refusal(
            f"dataset has too few documents to split: validation_share={validation_share} and test_share={test_share} "
            f"need {needed}, there are {len(drawn)}{outside}; give more documents, or set dataset.validation_share=0 "
            "dataset.test_share=0"
        )
    order = sorted(drawn, key=lambda index: content_hash(documents[index]))
    test = {*order[:num_test], *set(range(len(documents))).difference(drawn)}
    validation = set(order[num_test : num_test + num_validation])
    return Split(
        [document for index, document in enumerate(documents) if index not in test and index not in validation],
        [document for index, document in enumerate(documents) if index in validation],
        [document for index, document in enumerate(documents) if index in test],
    )


def part_size(count: int, share: float) -> int:
    """Return `share` of `count`, rounded up; the inner rounding undoes 0.07 * 100 = 7.000000000000001."""
    return ceil(round(share * count, 9))
