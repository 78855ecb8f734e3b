"""What the views of a layer state, held against the formulas: which pairs are seen, and at which distance.

Shapes: H heads, Q queries, K keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from ctxext.attention.softmax import Softmax
from ctxext.model.cost import queries_at, views_of
from ctxext.places import Places
from ctxext.proving.finding import Finding, absent
from ctxext.proving.known import formula_of
from ctxext.proving.predicates import RESTRICTED, SCORED, Array, Pairs, distance, restricted, visible
from ctxext.proving.specimen import Specimen

MOST = 1024
"""Queries that are examined, spread evenly; a text of at most so many tokens is examined whole."""
AT_ONCE = 128
APART = 0.01
"""The largest error of a distance: some methods score at fractions of a token, in float32."""


Stated = tuple[Pairs, list[tuple[Array, Array]]]
"""Some pairs, and of each view which of them it shows [1 or H, Q, K] and at which distance it scores them [Q, K]."""


def pairs_of(specimen: Specimen, layer: int, part: object, queries: Tensor, keys: Tensor) -> Pairs:
    """Return the pairs of `queries` [Q] and `keys` [K], which count from their document's beginning, in `layer`.

    `part` is what fills the mask's seam there, with what it has learned.
    """
    rows, columns = (numbers.cpu().numpy() for numbers in (queries[:, None], keys[None, :]))
    heads, layers = specimen.network.geometry.sizes.num_attention_heads, len(specimen.network.members)
    shares = getattr(part, "shares", None)
    return Pairs(rows, columns, layer, layers, heads, None if shares is None else shares.detach().cpu().numpy())


def stated(specimen: Specimen) -> Iterator[Stated]:
    """Yield what the views of each layer state of the pairs of a single document that begins at position 0."""
    length = specimen.acting.length("")
    keys = Places.of(torch.arange(length, device=specimen.device)[None])
    columns = torch.linspace(0, length - 1, min(length, MOST), device=specimen.device)
    for layer, members in enumerate(specimen.network.members):
        for some in torch.split(columns.round().long(), AT_ONCE):
            queries, found = queries_at(keys, some), []
            for view in views_of(*members[1:]):
                ends = view.turn_queries(queries)[0].double(), view.turn_keys(keys)[0].double()
                seen = view.visible(queries, keys)[0].cpu().numpy()
                found.append((seen, (ends[0][:, None] - ends[1]).cpu().numpy()))
            yield pairs_of(specimen, layer, members[1], some, keys.columns), found


def rearranges(specimen: Specimen) -> bool:
    """Return whether attention may score pairs of the mask otherwise than the mask does, by a rule unknown here."""
    if formula_of(specimen.network.attention, SCORED) is not None:
        return False
    parts = [attention for *_, attention in specimen.network.members]
    return any(isinstance(part, Softmax) and type(part).views is not Softmax.views for part in parts)


@torch.no_grad()
def misstated(specimen: Specimen) -> int | None:
    """Return how many pairs of all layers the views show otherwise than the mask's formula; None where there is none.

    Also None where an attention mechanism of the user's own may rearrange the pairs.
    """
    if rearranges(specimen):
        return None
    wrong = 0
    for pairs, views in stated(specimen):
        expected = visible(specimen.network.mask, pairs)
        if expected is None:
            return None
        wrong += int((reduce(np.logical_or, (seen for seen, _ in views)) != expected).sum())
    return wrong


def left(specimen: Specimen, layer: int, places: Places, probed: Tensor, mode: str) -> Tensor | None:
    """Return which of the `probed` among `places` [K] the formula of attention leaves in `mode`, bool [1 or H, Q, K].

    None where it has none.
    """
    pairs = pairs_of(specimen, layer, None, places.ordinals[0], places.ordinals[0, probed])
    found = restricted(specimen.network.attention, pairs, mode)
    return None if found is None else torch.from_numpy(found).to(places.columns.device)


@torch.no_grad()
def distances(specimen: Specimen) -> Finding:
    """Return whether every visible pair is scored at the distance that the formulas of mask and attention give it."""
    if not specimen.has_heads:
        return absent("distances", "the network has no attention")
    mask, attention = specimen.network.mask, specimen.network.attention
    names = f"{type(mask).__name__} and {type(attention).__name__}"
    is_plain = all(isinstance(part, Softmax) for *_, part in specimen.network.members)
    if not is_plain and formula_of(attention, RESTRICTED) is None:
        return absent("distances", f"{type(attention).__name__} scores by a rule of its own")
    worst, count, moved = 0.0, 0, 0
    for pairs, views in () if rearranges(specimen) else stated(specimen):
        expected = distance(mask, attention, pairs)
        if expected is None:
            break
        for seen, scored in views:
            shown = seen.any(axis=0)
            worst = max(worst, float(np.abs(scored - expected)[shown].max(initial=0.0)))
            count, moved = count + int(shown.sum()), moved + int((expected != pairs.before)[shown].sum())
    if not count:
        return absent("distances", f"there is no formula for {names}; they are held against nothing")
    if worst > APART:
        return Finding("distances", False, worst, f"pairs are scored up to {worst:g} off the formula of {names}")
    told = f"{moved:,} of them at another distance than their own" if moved else "each at its own distance"
    return Finding(
        "distances", True, worst, f"views score {count:,} pairs, {told}; held against the formula of {names}"
    )
