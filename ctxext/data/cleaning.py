"""Cleaning: what carries no text is taken out of a document, and nothing else is touched."""

import re
from collections.abc import Iterable
from dataclasses import replace

from ctxext.data.documents import Defect, Document

# Byte-order marks, NUL and the other control characters, but for the tab and the newline.
INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff]")
SURROGATE = re.compile("[\ud800-\udfff]")
BLANK_RUN = re.compile("\n{4,}")


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
    """Return the cleaned `documents`, and those of which nothing was left."""
    kept: list[Document] = []
    dropped: list[Defect] = []
    for document in documents:
        text, target = clean(document.text), clean(document.target)
        if text and bool(target) == bool(document.target):
            others = tuple(other for other in map(clean, document.others) if other)
            kept.append(replace(document, text=text, target=target, others=others))
        else:
            dropped.append(Defect(document.name, "empty after cleaning", document.size))
    return kept, dropped
