"""Which members have a formula here: the product's own, by the names that their option files give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Formula = TypeVar("Formula")


def formula_of(member: object, formulas: Mapping[str, Formula]) -> Formula | None:
    """Return which of `formulas`, by class below the package, is that of `member`; None for a class of the user's."""
    package, _, name = f"{type(member).__module__}.{type(member).__qualname__}".partition(".")
    return formulas.get(name) if package == "ctxext" else None
