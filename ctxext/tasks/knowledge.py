"""Knowledge of a material: what takes long to find out, and is the same for every sample made of it."""

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar

from ctxext.tasks.samples import Material

KEPT = 4
"""Materials whose knowledge is kept, those met last."""
FOUND: dict[int, tuple[Material, dict[Hashable, Any]]] = {}
LOCK = Lock()
Fact = TypeVar("Fact")


def known(material: Material, name: Hashable, find: Callable[[], Fact]) -> Fact:
    """Return what `find` says of `material`, which is called once for all that is asked by this `name`."""
    with LOCK:
        # The material is kept with its facts, so that no other one gets its id.
        kept = FOUND.pop(id(material), (material, {}))
        FOUND[id(material)] = kept
        while len(FOUND) > KEPT:
            del FOUND[next(iter(FOUND))]
    facts = kept[1]
    if name not in facts:
        facts[name] = find()
    fact: Fact = facts[name]
    return fact
