"""A picture of who sees whom, in letters.

Shapes: H heads, K keys.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ctxext.model.cost import queries_at, views_of
from ctxext.places import Places, unmoved
from ctxext.proving.specimen import Members, Specimen
from ctxext.proving.visibility import is_exact, let_through
from ctxext.seams import View

CELLS = 32
"""Rows and columns of a picture at most."""
MOST = 4
"""Pictures at most: what depends on the content differs in every layer."""
MEASURED = 2048
"""Tokens up to which what passes is measured, where a mechanism chooses by a rule of its own."""


@dataclass(frozen=True)
class Picture:
    """The `lines` of a mask, a row for the last query of each cell of tokens, and what they show, in `words`."""

    lines: tuple[str, ...]
    words: str


@torch.no_grad()
def pictures(specimen: Specimen, length: int) -> list[Picture]:
    """Return a picture at `length` tokens for each mask that layers have, in reading and in training; the first few."""
    if not specimen.has_heads:
        return []
    drawn: dict[tuple[tuple[str, ...], str], dict[str, list[int]]] = {}
    reading, training = specimen.network.members, specimen.network.members_in_training
    for members, when in ((reading, ""), (training, " in training"))[: len(specimen.modes)]:
        for layer, parts in enumerate(members):
            drawn.setdefault(picture(specimen, layer, parts, length), {}).setdefault(when, []).append(layer)
    all_pictures = [Picture(lines, f"{named(where, len(reading))}: {told}") for (lines, told), where in drawn.items()]
    return all_pictures[:MOST]


def picture(specimen: Specimen, layer: int, members: Members, length: int) -> tuple[tuple[str, ...], str]:
    """Return the lines at `length` tokens of what `members` show in `layer`, and what the letters stand for."""
    views = views_of(*members[1:])
    note = "; heads differ, the first is shown" * heads_differ(views, specimen, length)
    if is_exact(members[2]):
        return stated_lines(views, length, specimen.device), legend(views) + note
    if length > MEASURED:
        note += f"; {type(members[2]).__name__} chooses among these by its own rule"
        return stated_lines(views, length, specimen.device), legend(views) + note
    return measured_lines(specimen, layer, members, length), "A what passes, measured on random states, first head"


def named(where: dict[str, list[int]], count: int) -> str:
    """Return which of `count` layers `where` holds for each way in which the network stands."""
    layers = {
        when: "every layer" if len(numbers) == count else f"layer {', '.join(map(str, numbers))}"
        for when, numbers in where.items()
    }
    if len(set(layers.values())) < len(layers):  # no other in training
        return layers[""]
    return " and ".join(told + when for when, told in layers.items())


def legend(views: tuple[View, ...]) -> str:
    """Return what the letters of `views` stand for."""
    told = []
    for letter, view in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", views, strict=False):
        turned = not (view.turn_queries is unmoved and view.turn_keys is unmoved)
        how = "at other distances" if turned else "as they stand"
        told.append(f"{letter} {how}" + ", weighed" * (view.weigh is not None))
    return "; ".join(told)


def stated_lines(views: tuple[View, ...], length: int, device: torch.device) -> tuple[str, ...]:
    """Return the lines of the picture of `views` in a text of `length` tokens, by the first head.

    A capital is a cell that is seen whole, a small letter one that is seen in part, a dot one that isn't seen; of
    several views the one with the most pairs gives the letter.
    """
    edges = edges_of(length)
    cells = len(edges) - 1
    keys = Places.of(torch.arange(length, device=device)[None])
    queries = queries_at(keys, (edges[1:] - 1).to(device))
    seen = [view.visible(queries, keys)[0, 0].expand(cells, length).cpu() for view in views]
    return tuple(line(row, [part[row] for part in seen], edges) for row in range(cells))


def measured_lines(specimen: Specimen, layer: int, members: Members, length: int) -> tuple[str, ...]:
    """Return the lines of the picture of what really passes: the middle key of each cell to the last query of each."""
    edges = edges_of(length)
    middles, lasts = (edges[:-1] + edges[1:]) // 2, edges[1:] - 1
    places = Places.of(torch.arange(length, device=specimen.device)[None])
    moved = let_through(specimen, layer, members, places, middles.to(specimen.device))[:, 0].cpu()[:, lasts]
    return tuple("".join("A" if moved[key, query] else "." for key in range(query + 1)) for query in range(len(lasts)))


def edges_of(length: int) -> Tensor:
    """Return where the cells of a picture of `length` tokens begin, and where the last ends."""
    return torch.linspace(0, length, min(CELLS, length) + 1).round().long()


def line(row: int, seen: list[Tensor], edges: Tensor) -> str:
    """Return the letters of the query of `row`, which sees what `seen` [K] tells of each view; cells lie at `edges`."""
    letters = ""
    for first, last in zip(edges[: row + 1].tolist(), edges[1 : row + 2].tolist(), strict=True):
        counts = [int(part[first:last].sum()) for part in seen]
        most = max(range(len(counts)), key=counts.__getitem__)
        letter = chr(ord("a") + most) if counts[most] else "."
        letters += letter.upper() if sum(counts) == last - first else letter
    return letters


def heads_differ(views: tuple[View, ...], specimen: Specimen, length: int) -> bool:
    """Return whether any of `views` shows different pairs to different heads at the end of `length` tokens."""
    keys = Places.of(torch.arange(length, device=specimen.device)[None])
    shown = [view.visible(keys.part(length - 1, length), keys) for view in views]
    return any(part.shape[1] > 1 and bool((part != part[:, :1]).any()) for part in shown)
