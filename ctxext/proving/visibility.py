"""What attention really lets through, held against the predicate of the mask.

Shapes: B rows, S tokens, H heads, Q queries, K keys, P keys that are probed, D head width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.model.cost import views_of
from ctxext.places import Places
from ctxext.proving.finding import Finding, absent
from ctxext.proving.specimen import Members, Specimen
from ctxext.proving.statement import left, misstated
from ctxext.seams import Heads, Position, View

PROBED = 32
"""Keys whose values are changed: the first ones, where sinks are, and others evenly from there on."""
FEWEST = 12
FIRST = 6
AT_ONCE = 8
"""Rows with a changed value that are read together."""
SHORT = 512
"""Tokens up to which so many keys and rows are afforded; in longer texts fewer are."""
BLOCK = 128
"""Queries for which the predicate is asked at once."""
CHANGE = 1e3
FAINT = -40.0
"""A log-weight below which a key's change may be lost in rounding, so that nothing is concluded from it."""


def is_exact(attention: object) -> bool:
    """Return whether `attention` gathers exactly what its views show, and doesn't choose among the pairs."""
    return isinstance(attention, Softmax) and type(attention).gather is Softmax.gather


@dataclass(frozen=True)
class Sight:
    """Which queries see which of the probed keys by the predicate, bool [1 or B, 1 or H, Q, P]: `seen`, or `faint`ly.

    `fault` is what is wrong with the predicate itself, or nothing; every pair belongs to one view at most.
    """

    seen: Tensor
    faint: Tensor
    fault: str


def sight(views: Sequence[View], places: Places, probed: Tensor) -> Sight:
    """Return what `views` show the tokens at `places` of the `probed` keys [P], those of other documents left out."""
    length = places.columns.shape[0]
    parts = [
        sight_of(views, places.part(start, min(start + BLOCK, length)), places, probed)
        for start in range(0, length, BLOCK)
    ]
    faults = [part.fault for part in parts if part.fault]
    seen, faint = (torch.cat(side, dim=-2) for side in zip(*((part.seen, part.faint) for part in parts), strict=True))
    return Sight(seen, faint, faults[0] if faults else "")


def sight_of(views: Sequence[View], queries: Places, keys: Places, probed: Tensor) -> Sight:
    """Return what `views` show `queries` of the `probed` among `keys`."""
    shape, device = (1, 1, queries.columns.shape[0], keys.columns.shape[0]), keys.columns.device
    seen, faint = (torch.zeros(shape, dtype=torch.bool, device=device) for _ in range(2))
    fault = ""
    for view in views:
        visible = view.visible(queries, keys)
        if queries.documents is not None and keys.documents is not None:
            visible = visible & (queries.documents[:, None, :, None] == keys.documents[:, None, None, :])
        if bool((seen & visible).any()):
            fault = "two views show the same pair, which would count twice"
        seen = seen | visible
        if view.weigh is not None:
            faint = faint | (visible & (view.weigh(queries, keys) < FAINT))
    own = (queries.columns[:, None] == keys.columns).expand(seen.shape)
    if not bool(seen[own].all()):
        fault = fault or "a token doesn't see itself"
    return Sight(seen[..., probed], faint[..., probed], fault)


@torch.no_grad()
def let_through(specimen: Specimen, layer: int, members: Members, places: Places, probed: Tensor) -> Tensor:
    """Return which queries move when the value of a `probed` key [P] changes, bool [P, H, Q]."""
    _, mask, attention = members
    attend, length = specimen.network.layers[layer].self_attn, places.columns.shape[0]
    draw, moved = torch.Generator().manual_seed(3), []
    states = torch.randn(1, length, attend.q_proj.in_features, generator=draw).to(specimen.device)
    for some in torch.split(probed, max(AT_ONCE * SHORT // max(length, SHORT), 1)):
        count = len(some) + 1
        documents = None if places.documents is None else places.documents.expand(count, -1)
        here = Places.of(places.positions.expand(count, -1), documents)
        x = states.expand(count, -1, -1)
        project = partial(project_changed, attend, some)
        q, k, v = project(x)
        # Small queries and neutral positions give every visible key its weight.
        heads = Heads(q * 1e-3, k, v, tuple(attention.remember(x)), x, project)
        gathered = attention.gather(heads, here, here, Position(), mask)
        moved.append((gathered[1:] != gathered[:1]).any(dim=-1))
    return torch.cat(moved)


def project_changed(attend: Any, some: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what `attend` projects from `x` [B, S, W], where each row but the first has the value of one key changed.

    These are the keys `some` [B - 1].
    """
    q, k, v = attend.project(x)
    v[torch.arange(1, len(some) + 1, device=v.device), :, some] += CHANGE
    return q, k, v


@torch.no_grad()
def mask(specimen: Specimen) -> Finding:
    """Return whether what is let through is what the views show, for single documents and for packed ones.

    The views are held against the mask's formula first, where there is one. A mechanism that chooses among the visible
    pairs by a rule of its own may let less through, never more.
    """
    if not specimen.has_heads:
        return absent("mask", "the network has no attention")
    name, misstatements = type(specimen.network.mask).__name__, misstated(specimen)
    if misstatements:
        words = f"{misstatements:,} pairs are shown or hidden otherwise than by the formula of {name}"
        return Finding("mask", False, float(misstatements), words)
    held = "held against its own predicate" if misstatements is None else "held against the formula"
    total = Counts(0, 0, 0, 0)
    for mode, layer, members in distinct(specimen):
        for places in arrangements(specimen, mode):
            probed = probed_keys(places)
            found = sight(views_of(*members[1:]), places, probed)
            kept = left(specimen, layer, places, probed, mode)
            found = found if kept is None else replace(found, seen=found.seen & kept)
            is_exact_here = kept is not None or is_exact(members[2])
            here = compared(specimen, layer, members, places, found, is_exact_here)
            fault = found.fault or here.fault
            if fault:
                wrong = None if found.fault else float(here.wrong + here.later)
                return Finding("mask", False, wrong, f"layer {layer}{' in training' * bool(mode)}: {fault}")
            total = Counts(*map(sum, zip(total, here, strict=True)))
    rule = "all of these" if total.passed == total.pairs - total.hidden else f"{total.passed:,} of these"
    words = f"of {total.pairs:,} pairs the mask shows {total.pairs - total.hidden:,}, and {rule} pass, no others"
    longest = max(specimen.acting.length(mode) for mode in specimen.modes)
    return Finding("mask", True, 0.0, f"{words}, up to {longest:,} tokens; {held}")


class Counts(NamedTuple):
    """How many `pairs` were examined, how many of them the predicate has `hidden`, and how many of the others `passed`.

    `wrong` is how many pass or don't against the predicate, `later` how many of what stands behind the query pass.
    """

    pairs: int
    hidden: int
    passed: int
    wrong: int
    later: int = 0

    @property
    def fault(self) -> str:
        """What is wrong, or nothing."""
        if self.later:
            return f"{self.later:,} pairs pass whose key stands behind the query"
        return f"{self.wrong:,} of {self.pairs:,} pairs pass that the mask hides, or the other way round" * bool(
            self.wrong
        )


def distinct(specimen: Specimen) -> Iterator[tuple[str, int, Members]]:
    """Yield the layers, in reading and in training, whose views show other pairs than those of the layers before."""
    known: list[tuple[str, Tensor]] = []
    every = ("", specimen.network.members), ("training", specimen.network.members_in_training)
    for mode, all_members in every[: len(specimen.modes)]:
        places = next(arrangements(specimen, mode))
        for layer, members in enumerate(all_members):
            seen = sight(views_of(*members[1:]), places, probed_keys(places)).seen
            name = type(members[2]).__name__
            if not any(name == other and torch.equal(seen, before) for other, before in known):
                known.append((name, seen))
                yield mode, layer, members


def arrangements(specimen: Specimen, mode: str) -> Iterator[Places]:
    """Yield the places of a single document, and of a packed row where the mask reads such as several, for `mode`."""
    length = specimen.acting.length(mode)
    columns = torch.arange(length, device=specimen.device)[None]
    yield Places.of(columns)
    if specimen.network.mask.keeps_documents_apart():
        first = length // 5
        documents = (columns >= first).long()
        yield Places.of(columns - first * documents, documents)


def probed_keys(places: Places) -> Tensor:
    """Return the columns [P] of the keys whose values are changed: fewer in a long text."""
    length = places.columns.shape[0]
    count = max(PROBED * SHORT // max(length, SHORT), FEWEST)
    probed = torch.cat((torch.arange(FIRST), torch.linspace(FIRST, length - 1, count - FIRST).long()))
    kept: Tensor = torch.unique(probed[probed < length])
    return kept.to(places.columns.device)


def compared(
    specimen: Specimen, layer: int, members: Members, places: Places, found: Sight, is_exact_here: object
) -> Counts:
    """Return how many pairs of a probed key and a token of its document were examined, and how many were wrong.

    What passes from other documents is the concern of another property. Unless it `is_exact_here`, a mechanism may let
    less through than was `found`, and gather in one head what the mask shows another.
    """
    probed = probed_keys(places)
    moved = let_through(specimen, layer, members, places, probed)
    mine = torch.ones_like(moved)
    if places.documents is not None:
        mine = mine & (places.documents[0, probed][:, None] == places.documents[0])[:, None]
    past = mine & (probed[:, None] <= places.columns)[:, None]
    seen, faint = (part[0].expand(moved.shape[1], -1, -1).permute(2, 0, 1) for part in (found.seen, found.faint))
    if not is_exact_here:
        seen = seen.any(dim=1, keepdim=True).expand(moved.shape)
    wrong = moved & ~seen
    if is_exact_here:
        wrong = wrong | (seen & ~faint & ~moved)
    counted = (past, past & ~seen, past & seen & moved, past & wrong, mine & ~past & moved)
    return Counts(*(int(part.sum()) for part in counted))
