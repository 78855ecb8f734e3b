"""What kind of value stands under each key of `results.json`, which may be a stranger's: declared here, and checked."""

from collections.abc import Mapping
from typing import Any

from ctxext.refusal import fits, require, spelt

LARGEST = 1e300
"""No number is larger: its logarithm and its exponent are still numbers."""

RUN: Mapping[str, Any] = {
    "name": str,
    "method": str,
    "seed": int,
    "command": str,
    "base": str,
    "adapter": str,
    "steps": int,
    "trained_tokens": int,
    "versions": dict[str, str],
    "origin": dict[str, object],
    "data": dict[str, object],
}
DATA: Mapping[str, Any] = {
    "source": str,
    "digest": str,
    "tokenizer": str,
    "tokens": dict[str, int],
    "documents": dict[str, int],
}
LENGTHS: Mapping[str, Any] = {"trained": int, "target": int, "evaluated": list[int]}
PROTOCOL: Mapping[str, Any] = {
    "documents": int,
    "scored_tokens": int,
    "samples": int,
    "truncated_stride": int,
    "caution": str,
}
EXPORT: Mapping[str, Any] = {
    "format": str,
    "label": str,
    "reason": str,
    "folder": str,
    "others": list[dict[str, object]],
}
SECTIONS = {"run": RUN, "lengths": LENGTHS, "protocol": PROTOCOL, "export": EXPORT}

NAMES = ("subject", "task", "metric", "rule", "measure", "application", "group", "device", "dtype")
SENTENCES = ("what", "reason", "evaluator", "signature")
WHOLE = ("length", "low_position", "high_position", "tokens", "n", "repeats", "threads")
ROW: Mapping[str, Any] = {
    **dict.fromkeys(NAMES + SENTENCES, str),
    **dict.fromkeys(WHOLE, int),
    **dict.fromkeys(("at_least", "held_out"), bool),
    "depth": str | float,
    "samples": list[dict[str, object]],
}
"""Of the rows of all other sections; what has no word here is a number."""


def check_section(name: str, section: object) -> None:
    """Refuse the `section` called `name` unless it is an object whose values are of the kinds above."""
    check_object(section, SECTIONS[name], name, object)
    if name == "run" and isinstance(section, dict):
        check_object(section.get("data", {}), DATA, "run.data", object)
    if name == "export" and isinstance(section, dict):
        for index, other in enumerate(section.get("others", [])):
            check_object(other, EXPORT, f"export.others[{index}]", object)


def check_row(row: object, where: str) -> None:
    """Refuse the `row` that stands at `where` unless its values are of the kinds above."""
    check_object(row, ROW, where, float)


def check_object(found: object, kinds: Mapping[str, Any], where: str, otherwise: Any) -> None:
    """Refuse what is `found` at `where` unless it is an object of `kinds`, or of kind `otherwise`."""
    require(isinstance(found, dict), f"{where} must be an object, got {type(found).__name__}")
    assert isinstance(found, dict)
    for key, value in found.items():
        kind = kinds.get(key, otherwise)
        require(fits(value, kind), f"{where}.{key} must be {spelt(kind)}, got {value!r}")


def check_size(value: float, where: str) -> None:
    """Refuse a number that no measurement makes."""
    require(abs(value) <= LARGEST, f"{where} must be at most {LARGEST:g}, got a number beyond it")
