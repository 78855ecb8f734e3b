"""What attention really lets through, held against the predicate of the mask.

Shapes: B rows, S tokens, H heads, Q queries, K keys, P keys that are probed, D head width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.model.cost import views_of
from ctxext.proving.finding import Finding, absent
from ctxext.proving.specimen import Members, Specimen
from ctxext.seams import Heads, Places, Position, View

PROBED = 32
"""Keys whose values are changed: the first ones, where sinks are, and others evenly from there on."""
FIRST = 6
AT_ONCE = 8
CHANGE = 1e3
FAINT = -40.0
"""A log-weight below which a key's change may be lost in rounding, so that nothing is concluded from it."""


def is_exact(attention: object) -> bool:
    """Return whether `attention` gathers exactly what its views show, and doesn't choose among the pairs."""
    return isinstance(attention, Softmax) and type(attention).gather is Softmax.gather


@dataclass(frozen=True)
class Sight:
    """Which queries see which keys by the predicate, bool [1 or B, 1 or H, Q, K]: `counted` how often, `faint` barely.

    Every pair belongs to one view at most.
    """

    counted: Tensor
    faint: Tensor

    @property
    def seen(self) -> Tensor:
        """The pairs of any view."""
        return self.counted > 0


def sight(views: Sequence[View], queries: Places, keys: Places) -> Sight:
    """Return what `views` show `queries` of `keys`, those of other documents left out."""
    shape = (1, 1, queries.columns.shape[0], keys.columns.shape[0])
    counted, faint = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.bool)
    for view in views:
        visible = view.visible(queries, keys)
        if queries.documents is not None and keys.documents is not None:
            visible = visible & (queries.documents[:, None, :, None] == keys.documents[:, None, None, :])
        counted = counted.to(visible.device) + visible
        if view.weigh is not None:
            faint = faint.to(visible.device) | (visible & (view.weigh(queries, keys) < FAINT))
    return Sight(counted, faint.to(counted.device))


@torch.no_grad()
def let_through(specimen: Specimen, layer: int, members: Members, places: Places, probed: Tensor) -> Tensor:
    """Return which queries move when the value of a `probed` key [P] changes, bool [P, H, Q]."""
    _, mask, attention = members
    attend, length = specimen.network.layers[layer].self_attn, places.columns.shape[0]
    draw, moved = torch.Generator().manual_seed(3), []
    states = torch.randn(1, length, attend.q_proj.in_features, generator=draw).to(specimen.device)
    for some in torch.split(probed, AT_ONCE):
        count = len(some) + 1
        documents = None if places.documents is None else places.documents.expand(count, -1)
        here = Places.of(places.positions.expand(count, -1), documents)
        x = states.expand(count, -1, -1)
        q, k, v = attend.project(x)
        # Row 0 is left as it is, each other row has one value changed.
        v[torch.arange(1, count, device=v.device), :, some] += CHANGE
        # Small queries and neutral positions give every visible key its weight.
        heads = Heads(q * 1e-3, k, v, tuple(attention.remember(x)), x, attend.project)
        gathered = attention.gather(heads, here, here, Position(), mask)
        moved.append((gathered[1:] != gathered[:1]).any(dim=-1))
    return torch.cat(moved)


@torch.no_grad()
def mask(specimen: Specimen) -> Finding:
    """Return whether what is let through is what the views show, for single documents and for packed ones.

    A mechanism that chooses among the visible pairs by a rule of its own may let less through, never more.
    """
    if not specimen.has_heads:
        return absent("mask", "the network has no attention")
    pairs, exact = 0, True
    for layer, members in distinct(specimen):
        for places in arrangements(specimen):
            found = sight(views_of(*members[1:]), places, places)
            fault = misshapen(found)
            if fault:
                return Finding("mask", False, None, f"layer {layer}: {fault}")
            checked, wrong = compared(specimen, layer, members, places, found)
            if wrong:
                words = (
                    f"in layer {layer}, {wrong} of {checked:,} pairs pass that the mask hides, or the other way round"
                )
                return Finding("mask", False, float(wrong), words)
            pairs, exact = pairs + checked, exact and is_exact(members[2])
    rule = "and all of these" if exact else f"of which {type(specimen.network.attention).__name__} chooses some"
    return Finding("mask", True, 0.0, f"of {pairs:,} pairs only those pass that the mask shows, {rule}")


def distinct(specimen: Specimen) -> Iterator[tuple[int, Members]]:
    """Yield the layers, in reading and in training, whose views show other pairs than those of the layers before."""
    known: list[tuple[str, Tensor]] = []
    places = next(arrangements(specimen))
    for all_members in (specimen.network.members, specimen.network.members_in_training):
        for layer, members in enumerate(all_members):
            counted = sight(views_of(*members[1:]), places, places).counted
            name = type(members[2]).__name__
            if not any(name == other and torch.equal(counted, seen) for other, seen in known):
                known.append((name, counted))
                yield layer, members


def arrangements(specimen: Specimen) -> Iterator[Places]:
    """Yield the places of a single document, and of a packed row where the mask reads such as several."""
    columns = torch.arange(specimen.length, device=specimen.device)[None]
    yield Places.of(columns)
    if specimen.network.mask.keeps_documents_apart():
        first = specimen.length // 5
        documents = (columns >= first).long()
        yield Places.of(columns - first * documents, documents)


def misshapen(found: Sight) -> str:
    """Return what is wrong with the predicate itself, or nothing."""
    if bool((found.counted > 1).any()):
        return "two views show the same pair, which would count twice"
    if not bool(found.seen.diagonal(dim1=-2, dim2=-1).all()):
        return "a token doesn't see itself"
    return ""


def compared(specimen: Specimen, layer: int, members: Members, places: Places, found: Sight) -> tuple[int, int]:
    """Return how many pairs of a query and an earlier token of its document were examined, and how many were wrong.

    What passes from later tokens and from other documents is the concern of other properties.
    """
    length = places.columns.shape[0]
    probed = torch.cat((torch.arange(min(FIRST, length)), torch.linspace(FIRST, length - 1, PROBED - FIRST).long()))
    probed = torch.unique(probed[probed < length]).to(specimen.device)
    moved = let_through(specimen, layer, members, places, probed)
    past = (probed[:, None] <= places.columns)[:, None].expand(moved.shape)
    if places.documents is not None:
        past = past & (places.documents[0, probed][:, None] == places.documents[0])[:, None]
    seen, faint = (
        part[0].expand(moved.shape[1], -1, -1)[:, :, probed].permute(2, 0, 1) for part in (found.seen, found.faint)
    )
    wrong = moved & ~seen
    if is_exact(members[2]):
        wrong = wrong | (seen & ~faint & ~moved)
    return int(past.sum()), int((wrong & past).sum())
