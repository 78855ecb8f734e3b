"""The matrix of what goes together: position by mask, attention and training, each cell with its reason.

A cell that isn't here is fine. Each kind of position and each column is told from what a member does, so that a member
yet to be written has its place; where behaviour doesn't tell, names do.
"""

from collections.abc import Iterator
from typing import NamedTuple

from ctxext.config.rules.columns import Column, columns
from ctxext.config.schema import Run
from ctxext.config.traits import chosen, in_layers, option, overrides
from ctxext.seams import Position

ANCHORED = ("xpos", "grid_rope")
"""Rotations that depend on where they are counted from: a centre, or digits with carries."""
SWITCHED = ("longrope",)
"""Rotations with two sets of angles, one for short texts and one for long ones."""
STATIC = {"rope_dynamic_ntk": "rope_ntk", "dynamic_yarn": "yarn"}
"""The nearest rotation whose angles don't follow the text's length."""


def kind(run: Run) -> str:
    """Return the row of the matrix in which the position of `run` stands."""
    position, name = in_layers(run, run.position), option(run, "position")
    if overrides(position, Position, "embed"):
        return "embedded"
    if overrides(position, Position, "contextual_bias"):
        return "contextual"
    if overrides(position, Position, "bias"):
        return "biased"
    if not overrides(position, Position, "rotate"):
        return "unplaced"
    if name in SWITCHED:
        return "switched"
    if not all(layer.keeps_prefix() for layer in position):
        return "recomputed"
    return "anchored" if name in ANCHORED or any(layer.period() != 1 for layer in position) else "rotated"


REFUSED: dict[tuple[str, str], str] = {
    ("embedded", "regrouped"): "{other} turns heads to other distances, and {position} has no relative distance",
    ("recomputed", "regrouped"): "{other} and {position} would both recompute distances as the text grows",
    ("anchored", "regrouped"): "{other} turns heads to grouped distances, which {position} would read as others",
    ("biased", "regrouped"): "{other} turns heads to other distances, and {position} turns none",
    ("contextual", "regrouped"): "{other} turns heads to other distances, and {position} counts tokens by content",
    (
        "unplaced",
        "regrouped",
    ): "{other} turns heads to other distances, and {position} has none: it could have no effect",
    ("recomputed", "without logits"): "{other} keeps a running state, and {position} turns old keys anew as it grows",
    ("biased", "without logits"): "{position} adds to logits, and {other} has none",
    ("contextual", "without logits"): "{position} adds to logits, and {other} has none",
    ("recomputed", "recalling"): "{other} keeps positions within a segment, and {position} follows the text's length",
    ("biased", "recalling"): "{position} adds to logits, and {other} has none but in its segment",
    ("contextual", "recalling"): "{position} adds to logits, and {other} has none but in its segment",
    ("embedded", "recurrent"): "{other} looks back into segments by relative distance, and {position} has none",
    ("recomputed", "recurrent"): "{other} keeps the past as it was, and {position} turns old keys anew as it grows",
    ("contextual", "sampled"): "{other} moves positions, and {position} counts tokens and ignores them",
    ("unplaced", "sampled"): "{other} moves positions, and {position} has none: it could have no effect",
}
CARE: dict[tuple[str, str], str] = {
    (
        "embedded",
        "re-indexed",
    ): "{position} is added at the input, so that {other} can't re-index its keys: a bare mask",
    (
        "switched",
        "re-indexed",
    ): "{other} re-indexes keys within the short angles of {position}, or the long, never both",
    ("recomputed", "re-indexed"): "{position} follows the text's length, and {other} re-indexes within a fixed one",
    ("anchored", "re-indexed"): "{position} is counted from the places to which {other} re-indexes its keys",
    ("contextual", "re-indexed"): "{position} counts only the keys that {other} shows",
    ("contextual", "hiding"): "{position} counts only the keys that {other} shows",
    ("contextual", "shifted"): "{position} counts only the keys of the group that {other} shows in training",
    ("contextual", "recurrent"): "{position} counts the keys of the segments before too, which {other} shows",
    ("switched", "recurrent"): "{position} must keep to one set of angles over all segments of {other}",
    ("anchored", "recurrent"): "{position} must be counted from the same place over all segments of {other}",
    ("switched", "regrouped"): "{other} keeps distances short, and {position} uses one set of angles for all of them",
    ("rotated", "without logits"): "{position} turns the features that {other} sums up, and no logits",
    ("switched", "without logits"): "{position} turns the features that {other} sums up, by one set of angles a text",
    ("anchored", "without logits"): "{position} turns the features that {other} sums up, which may grow beyond bounds",
    ("switched", "sampled"): "{position} chooses its angles by the text's length, not by the positions of {other}",
    ("recomputed", "sampled"): "{position} follows the text's length, not the largest position of {other}",
    ("anchored", "sampled"): "{position} overflows or carries where {other} skips positions",
}


class Cell(NamedTuple):
    """A choice that meets the position of a run, and what the matrix says of the two, or nothing."""

    column: Column
    refused: str
    care: str


def cells(run: Run) -> Iterator[Cell]:
    """Yield the cell of each column in which `run` stands."""
    row = kind(run)
    for column in columns(run):
        words = {"position": chosen(run, "position"), "other": column.chosen}
        pair = row, column.name
        yield Cell(column, REFUSED.get(pair, "").format(**words), CARE.get(pair, "").format(**words))


def forbidden(run: Run) -> Iterator[str]:
    """A refused cell of the matrix."""
    for cell in cells(run):
        if cell.refused:
            nearest = STATIC.get(option(run, "position"), "rope")
            yield f"{cell.refused}; use position={nearest}, or {cell.column.instead}"


def delicate(run: Run) -> Iterator[str]:
    """A cell of the matrix that needs care."""
    yield from (cell.care for cell in cells(run) if cell.care)


RULES = (forbidden,)
REMARKS = (delicate,)
