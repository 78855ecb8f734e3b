"""How a long step shows its progress: a function that is wrapped around what the step walks through."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Watch(Protocol):
    """Pass items through while a bar with a label shows how many of the total have gone by."""

    def __call__(self, items: Iterable[Item], label: str, total: int | None, /) -> Iterable[Item]:
        """Return `items`, shown under `label` as parts of `total` (None if it isn't known)."""


def unwatched(items: Iterable[Item], label: str, total: int | None, /) -> Iterable[Item]:
    """Return `items` and show nothing."""
    return items
