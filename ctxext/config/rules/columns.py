"""The columns of the matrix: what a mask, an attention mechanism and the training do that a position must bear."""

from collections.abc import Iterator
from typing import NamedTuple

from ctxext.config.schema import Run
from ctxext.config.traits import WHOLE, chosen, option, remaps
from ctxext.training.settings import AS_LAID

WITHOUT_LOGITS = ("linear", "retention")
"""Mechanisms that sum features of keys: there is no logit, so no bias and no mask by distance."""
RECALLING = ("infini",)
"""Mechanisms that have logits within a segment, and sum features of all keys before it."""
REGROUPING = ("self_extend", "rerope", "dual_chunk")


class Column(NamedTuple):
    """A column of the matrix, what one chose to stand in it, and what one could choose instead."""

    name: str
    chosen: str
    instead: str


def columns(run: Run) -> Iterator[Column]:
    """Yield the columns in which the mask, the attention and the training of `run` stand."""
    attention = option(run, "attention")
    if option(run, "mask") not in WHOLE:
        yield Column("re-indexed" if remaps(run, "mask") else "hiding", chosen(run, "mask"), "mask=document")
    names = {
        "regrouped": attention in REGROUPING or remaps(run, "attention"),
        "without logits": attention in WITHOUT_LOGITS,
        "recalling": attention in RECALLING,
        "recurrent": attention == "recurrence",
        "shifted": attention == "shifted_sparse",
    }
    for name, holds in names.items():
        if holds:
            yield Column(name, chosen(run, "attention"), "attention=softmax")
    if run.trainer.positions != AS_LAID:
        yield Column("sampled", f"trainer.positions={run.trainer.positions}", f"trainer.positions={AS_LAID}")
