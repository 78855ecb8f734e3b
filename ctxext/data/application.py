"""What pairs of input and target are for, and what the settings and the pairs of a dataset must be for that."""

import re
from collections.abc import Sequence
from dataclasses import replace

from ctxext.data.documents import Defect, Document
from ctxext.refusal import nearest, require

APPLICATIONS = ("question_answering", "translation", "summarisation", "classification", "generation")
UNPAIRED = ("", "generation")
"""What plain text is enough for."""
PLACEHOLDER = re.compile(r"\{(\w+)\}")
KNOWN = ("input", "group")


def check_settings(application: str, labels: Sequence[str], prompt: str) -> None:
    """Refuse an unknown `application`, `labels` that can't be told apart or aren't used, and a `prompt` without input.

    A text in braces that is no placeholder is refused too; other braces, as those of JSON, are of the prompt's text.
    """
    require(
        not application or application in APPLICATIONS,
        f"dataset.application must be empty or among {', '.join(APPLICATIONS)}, got {application!r}"
        f"{nearest(application, APPLICATIONS)}",
    )
    require(
        not labels or application == "classification",
        f"dataset.labels={list(labels)} are of dataset.application=classification, got application={application!r}",
    )
    is_clear = len(set(labels)) == len(labels) != 1 and all(label.strip() == label != "" for label in labels)
    require(
        is_clear,
        "dataset.labels must be two or more different texts without space around them, or [] for the targets that "
        f"occur, got {list(labels)}",
    )
    names = PLACEHOLDER.findall(prompt)
    for name in names:
        rule = f"dataset.prompt knows {{input}} and {{group}}, got {{{name}}}"
        require(name in KNOWN, rule + nearest(name, KNOWN))
    require("input" in names, f"dataset.prompt must hold {{input}}, where the input of a pair goes, got {prompt!r}")


def prompted(document: Document, prompt: str) -> Document:
    """Return `document` as the model reads it: of a pair, `prompt` with its input and its group in their places."""
    if not document.target:
        return document
    values = {"input": document.text, "group": document.group}
    # One pass, so that braces in what is filled in stay as they are.
    text = PLACEHOLDER.sub(lambda place: values[place[1]], prompt)
    return replace(document, text=text, body=document.text)


def labelled(document: Document, labels: Sequence[str]) -> Document | Defect:
    """Return `document` if its targets are among `labels`, or there are none to be among, or the defect that it is."""
    if not labels or not document.target:
        return document
    targets = [target.strip() for target in (document.target, *document.others)]
    for target in targets:
        if target not in labels:
            where = f"{document.name}: target {target[:40]!r}"
            return Defect(where, f"not among dataset.labels={list(labels)}", document.size)
    return replace(document, target=targets[0], others=tuple(targets[1:]))


def check_documents(application: str, held_out: Sequence[str], documents: Sequence[Document]) -> None:
    """Refuse `documents` without a pair where `application` scores pairs, and a group `held_out` that no pair has."""
    groups = sorted({document.group for document in documents if document.group})
    require(
        application in UNPAIRED or any(document.target for document in documents),
        f"dataset.application={application} scores pairs of input and target, and this dataset holds none; "
        "dataset=jsonl and dataset=hf read them from dataset.input_field and dataset.target_field",
    )
    known = f"the groups are {', '.join(groups[:20])}" if groups else "no pair has a group, see dataset.group_field"
    for group in held_out:
        require(
            group in groups,
            f"dataset.held_out names {group!r}, which no pair belongs to: {known}{nearest(group, groups)}",
        )
