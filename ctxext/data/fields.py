"""Rows of named fields, as JSON lines and tables hold them, read as texts or as pairs of input and target."""

from collections.abc import Mapping
from dataclasses import dataclass

from ctxext.data.documents import Defect, Document
from ctxext.data.sources import Source
from ctxext.refusal import nearest, require, spelt

Fields = Mapping[str, object]
SHOWN = 12
"""Names of fields that a sentence lists."""


class FaultError(ValueError):
    """What keeps a field of a row from being read: the `reason`, and a `hint` at what would be right."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason, self.hint = reason, hint


@dataclass(frozen=True, kw_only=True)
class Table(Source):
    """A source of rows. With `input_field` and `target_field` a row that has any of them is a pair, and any other has
    its text in `text_field`.

    Several input fields are joined by newlines. A target is a text, a list of right answers of which the first is
    trained on, or such a list under `text` in an object. `group_field` names what each pair belongs to.
    """

    text_field: str = "text"
    input_field: str | list[str] = ""
    target_field: str = ""
    group_field: str = ""

    def __post_init__(self) -> None:
        """Refuse values of the wrong type or out of range, and fields that go together where one is missing."""
        super().__post_init__()
        require(
            bool(self.input_field) == bool(self.target_field) and all(self.inputs),
            f"dataset.input_field and dataset.target_field go together, got {self.input_field!r} and "
            f"{self.target_field!r}",
        )
        require(
            bool(self.target_field) or not self.group_field,
            f"dataset.group_field={self.group_field} is of pairs; they need dataset.input_field too",
        )
        require(
            bool(self.group_field) or "{group}" not in self.prompt,
            f"dataset.prompt has {{group}}, so that dataset.group_field must name a field, got {self.prompt!r}",
        )

    @property
    def inputs(self) -> list[str]:
        """The fields of an input."""
        if isinstance(self.input_field, str):
            return [self.input_field] if self.input_field else []
        return self.input_field

    def document(self, row: Fields, where: str, size: int) -> Document | Defect:
        """Return the pair or the text in `row`, or the defect of `size` bytes at `where`."""
        try:
            if not self.target_field or not any(field in row for field in (*self.inputs, self.target_field)):
                return Document(where, text_of(row, self.text_field))
            text = "\n".join(text_of(row, field) for field in self.inputs)
            target, *others = texts_of(row, self.target_field)
            group = text_of(row, self.group_field) if self.group_field else ""
            return Document(where, text, target, tuple(others), group)
        except FaultError as fault:
            return Defect(where, fault.reason, size, fault.hint)


def text_of(row: Fields, field: str) -> str:
    """Return the text in `field` of `row`; raise a `FaultError` that says what is there instead."""
    return checked(value_of(row, field), f"field {field!r} is", "a text")


def texts_of(row: Fields, field: str) -> list[str]:
    """Return the texts in `field` of `row`, each once; raise a `FaultError` that says what is there instead."""
    value = value_of(row, field)
    if isinstance(value, Mapping) and "text" in value:
        value = value["text"]
    if not isinstance(value, list):
        return [checked(value, f"field {field!r} is", "a text or a list of texts")]
    if not value:
        raise FaultError(f"field {field!r} is empty")
    return list(dict.fromkeys(checked(text, f"field {field!r} holds what is", "a text") for text in value))


def value_of(row: Fields, field: str) -> object:
    """Return what is in `field` of `row`; raise a `FaultError` if the row hasn't it."""
    if field not in row:
        raise FaultError(f"missing field {field!r}", f" among {listed(row)}{nearest(field, list(row))}")
    return row[field]


def listed(row: Fields) -> str:
    """Return the names of the first fields of `row`."""
    names = [repr(name) for name in row]
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "") if names else "no field"


def checked(value: object, subject: str, wanted: str) -> str:
    """Return `value` if it is a text and not blank; raise a `FaultError` that says of `subject` what it is instead."""
    if value is None:
        raise FaultError(f"{subject} null")
    if isinstance(value, str):
        if value.strip():
            return value
        raise FaultError(f"{subject} white space only" if value else f"{subject} empty")
    kinds: dict[type, str] = {list: "a list", dict: "an object"}
    raise FaultError(f"{subject} {kinds.get(type(value)) or spelt(type(value))}, not {wanted}")
