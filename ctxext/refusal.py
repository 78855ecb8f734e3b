"""How a user's mistake is said: one sentence, exit status 2."""

import dataclasses
import types
import typing
from collections.abc import Sequence
from difflib import get_close_matches


class Refusal(ValueError):  # noqa: N818 - not a defect: the program refuses
    """A configuration or an input that was refused: one sentence with the place, the rule and the value."""


def nearest(word: str, known: Sequence[str]) -> str:
    """Return `; did you mean 'X'?` for the member of `known` nearest to `word`, or nothing."""
    swapped = [name for name in known if sorted(name) == sorted(word)]
    matches = get_close_matches(word, list(known), n=1, cutoff=0.6) or swapped
    return f"; did you mean {matches[0]!r}?" if matches else ""


def require(holds: bool, sentence: str) -> None:
    """Raise a `Refusal` that says `sentence` unless `holds`."""
    if not holds:
        raise Refusal(sentence)


def check_types(settings: object, where: str) -> None:
    """Refuse a field of the dataclass `settings` whose value does not fit its annotation; `where` is its config path.

    OmegaConf can't type the slots that several classes may fill, so `position.factor=abc` arrives as a string.
    """
    hints = typing.get_type_hints(type(settings))
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        value = getattr(settings, field.name)
        if not fits(value, hints[field.name]):
            raise Refusal(f"{where}.{field.name} must be {spelt(hints[field.name])}, got {value!r}")


def fits(value: object, hint: object) -> bool:
    """Return whether `value` is one of `hint`, where an int passes for a float and a bool never for a number."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, argument) for argument in arguments)
    if origin in (list, tuple):
        return isinstance(value, (list, tuple)) and all(fits(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(item, arguments[1]) for item in value.values())
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) else True


def spelt(hint: object) -> str:
    """Return `hint` in a user's words: `a number`, `a whole number`, `a list, each a number`."""
    words: dict[object, str] = {
        int: "a whole number",
        float: "a number",
        str: "a text",
        bool: "true or false",
        type(None): "null",
    }
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(spelt(argument) for argument in arguments)
    if origin in (list, tuple):
        return f"a list, each {spelt(arguments[0])}"
    if origin is dict:
        return "keys with values" if arguments[1] is object else f"keys, each with {spelt(arguments[1])}"
    return words.get(hint, str(hint))
