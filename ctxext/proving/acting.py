"""From which length on what fills the seams acts: a group, a window or a segment does nothing in a shorter text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ctxext.attention.softmax import Softmax

if TYPE_CHECKING:
    from ctxext.proving.specimen import Specimen

ODD = 13
"""Tokens beyond each doubling, so that no length is a multiple of a group."""
ATTENTION = 2
"""The seam of attention among the three."""
HOOKS = ("gather", "views", "scale", "remember")
"""What an attention mechanism does while it reads."""


@dataclass(frozen=True)
class Acting:
    """How many tokens are read so that every member acts: `reading`, and in `training` where others stand in then.

    `idle` names the members that act in none of the lengths that were tried.
    """

    reading: int
    training: int
    idle: tuple[str, ...]

    def length(self, mode: str) -> int:
        """Return how many tokens are read as the network stands in `mode`."""
        return self.training if mode else self.reading


def ladder(first: int, last: int) -> list[int]:
    """Return lengths from `first` to `last`, each twice the one before and a few more."""
    lengths = [first]
    while 2 * lengths[-1] + ODD < last:
        lengths.append(2 * lengths[-1] + ODD)
    return [*lengths, last] if last > first else lengths


def needed(specimen: Specimen) -> Acting:
    """Return the shortest lengths at which each member of `specimen` changes outputs, and who changes none."""
    if not specimen.has_heads:
        return Acting(specimen.length, specimen.length, ())
    reading, idle = specimen.length, []
    for slot, other in without(specimen):
        length = first_change(specimen, other, "")
        reading = max(reading, length or 0)
        idle += [type(specimen.members[slot]).__name__] * (length is None)
    attention = specimen.network.attention
    if "training" not in specimen.modes or attention == attention.off(specimen.target_length):
        return Acting(reading, reading, tuple(idle))
    # Not held against reading: what stands in may differ from it in gradients alone.
    length = first_change(specimen, changed(specimen, ATTENTION, Softmax()), "training")
    idle += [f"{type(attention).__name__} in training"] * (length is None)
    return Acting(reading, max(reading, length or 0), tuple(idle))


def without(specimen: Specimen) -> Iterator[tuple[int, Any]]:
    """Yield the seams, and for each the network that has there what its member extends."""
    members: tuple[Any, ...] = specimen.members
    for slot, member in enumerate(members):
        is_attention = slot == ATTENTION
        # A mechanism that is trained from scratch may have segments too: it is held against plain attention.
        instead = Softmax() if is_attention else member.base()
        if member in (instead, member.off(specimen.target_length)):
            continue
        if is_attention and acts_in_training_alone(specimen):
            continue
        yield slot, changed(specimen, slot, instead)


def changed(specimen: Specimen, slot: int, instead: object) -> Any:
    """Return the network of `specimen` with `instead` in the seam `slot`."""
    members = (*specimen.members[:slot], instead, *specimen.members[slot + 1 :])
    with torch.random.fork_rng(devices=[]):
        return specimen.network.reading(*members)


def acts_in_training_alone(specimen: Specimen) -> bool:
    """Return whether the attention of `specimen` is plain softmax attention in reading, and another in training."""
    kinds = {type(attention) for _, _, attention in specimen.network.members}
    plain = all(getattr(kind, hook) is getattr(Softmax, hook) for kind in kinds for hook in HOOKS)
    return plain and "training" in specimen.modes


def first_change(specimen: Specimen, other: Any, mode: str) -> int | None:
    """Return the shortest length at which the network in `mode` isn't read as `other`; None where none shows it."""
    return next((length for length in specimen.lengths if specimen.departs(other, length, mode)), None)
