"""Keys of a JSON file of Hugging Face: typed values, each refused by its place and name."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ctxext.refusal import Refusal, require

LARGEST = 2**31 - 1
Value = TypeVar("Value")


@dataclass(frozen=True)
class Keys:
    """The `content` of `file`, or of the object at `path` in it, `rope_parameters.` with its dot."""

    file: Path
    content: Mapping[str, Any]
    path: str = ""

    def where(self, key: str) -> str:
        """Return the file and the full name of `key`, as the beginning of a sentence."""
        return f"{self.file}: {self.path}{key}"

    def has(self, key: str) -> bool:
        """Return whether `key` is there, and not null."""
        return self.content.get(key) is not None

    def rule(self, holds: bool, key: str, wanted: str) -> None:
        """Refuse the value of `key` unless what is `wanted` of it `holds`; say so where there is none."""
        is_there = key in self.content
        got = f"must be {wanted}, got {self.content.get(key)!r}" if is_there else f"is missing; it must be {wanted}"
        require(holds, f"{self.where(key)} {got}")

    def whole(self, key: str, least: int = 1, most: int = LARGEST) -> int:
        """Return the whole number at `key`, from `least` to `most`."""
        value = self.content.get(key)
        fits = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        self.rule(fits, key, f"a whole number from {least} to {most}")
        return int(self.content[key])

    def number(self, key: str) -> float:
        """Return the finite number above 0 at `key`."""
        value = self.content.get(key)
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf
        self.rule(fits, key, "a number above 0")
        return float(self.content[key])

    def flag(self, key: str) -> bool:
        """Return the truth value at `key`."""
        value = self.content.get(key)
        self.rule(isinstance(value, bool), key, "true or false")
        return bool(value)

    def items(self, key: str) -> list[Any]:
        """Return the list at `key`."""
        value = self.content.get(key)
        self.rule(isinstance(value, list), key, "a list")
        return list(self.content[key])

    def numbers(self, key: str) -> tuple[float, ...]:
        """Return the finite numbers above 0 in the list at `key`."""
        one_by_one = (Keys(self.file, {key: value}, self.path) for value in self.items(key))
        return tuple(one.number(key) for one in one_by_one)

    def inside(self, key: str) -> "Keys":
        """Return the keys of the object at `key`, none where it is absent or null."""
        value = self.content.get(key)
        require(value is None or isinstance(value, dict), f"{self.where(key)} must be an object, got {value!r}")
        return Keys(self.file, value or {}, f"{self.path}{key}.")


def made(keys: Keys, slot: str, make: Callable[[], Value]) -> Value:
    """Return what `make` does; what it refuses of a key of `slot`, `position.factor`, is said of the file's `keys`."""
    try:
        return make()
    except Refusal as error:
        if str(error).startswith(str(keys.file)):
            raise
        raise Refusal(f"{keys.file}: {str(error).replace(f'{slot}.', keys.path)}") from error
