"""Cleaning: what carries no text is taken out of a document, and counted; nothing else is touched."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from ctxext.data.documents import Defect, Document, beginning_of

# Byte-order marks, NUL and the other control characters, but for the tab and the newline.
INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff]")
SURROGATE = re.compile("[\ud800-\udfff]")
FORMS = {
    "byte-order mark": re.compile("\ufeff"),
    "CRLF": re.compile("\r"),
    "control characters": re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"),
}
"""What has one meaning or none in any text, by its name: it is repaired whatever `dataset.errors` says."""
DAMAGE = {"NUL": re.compile("\0"), "lone surrogate": SURROGATE}
"""What shows that a text was damaged, by its name: repaired only where `dataset.errors` says so."""
BLANK_RUN = re.compile("\n{4,}")


class Damage(NamedTuple):
    """What shows that a text was damaged: the `reason`, and the `place` of the first character of that kind."""

    reason: str
    place: int


def damage(text: str) -> Damage | None:
    """Return what shows that `text` was damaged, the first of it, or None."""
    found = [Damage(reason, match.start()) for reason, kind in DAMAGE.items() if (match := kind.search(text))]
    return min(found, key=lambda one: one.place, default=None)


def flaws(document: Document) -> tuple[str, ...]:
    """Return for which reasons cleaning repairs `document`, or reading has."""
    kinds = FORMS | DAMAGE
    found = (reason for reason, kind in kinds.items() if any(map(kind.search, document.texts)))
    return tuple(dict.fromkeys((*document.flaws, *found)))


def clean(text: str) -> str:
    """Return `text` with plain newlines, without invisible characters, trailing spaces and runs of blank lines.

    Indentation and up to two blank lines in a row stay, since they mean something in code; a lone surrogate, which
    UTF-8 can't hold, becomes U+FFFD.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = SURROGATE.sub("\ufffd", INVISIBLE.sub("", text))
    # A regular expression for trailing spaces would take quadratic time on a long run of spaces.
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    return BLANK_RUN.sub("\n\n\n", text).strip("\n")


def clean_documents(documents: Iterable[Document]) -> tuple[list[Document], list[Defect]]:
    """Return the cleaned `documents`, with the reasons for which each was repaired, and those with nothing left."""
    kept: list[Document] = []
    dropped: list[Defect] = []
    for document in documents:
        text, target = clean(document.text), clean(document.target)
        if text and bool(target) == bool(document.target):
            others = tuple(other for other in map(clean, document.others) if other)
            kept.append(replace(document, text=text, target=target, others=others, flaws=flaws(document)))
        else:
            dropped.append(dropped_as("empty after cleaning", document))
    return kept, dropped


def dropped_as(reason: str, document: Document) -> Defect:
    """Return the defect that `document` is for `reason`."""
    return Defect(document.name, reason, document.size, content=beginning_of(document.text))
