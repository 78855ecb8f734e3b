"""Which compositions are refused, since they are wrong or could have no effect, and which get a line."""

import itertools
from collections.abc import Callable, Iterator

from ctxext.config.rules import bases, layers, lengths, masks, matrix, mechanisms, processes, scales, training
from ctxext.config.rules.lengths import check_factor
from ctxext.config.schema import Run
from ctxext.refusal import Refusal

__all__ = ["check", "check_factor", "notes"]

Said = Callable[[Run], Iterator[str]]
# What the weights bear comes first: a sentence on the rest would be of no use.
RULES: tuple[Said, ...] = (
    *bases.RULES,
    *layers.RULES,
    *matrix.RULES,
    *masks.RULES,
    *mechanisms.RULES,
    *lengths.RULES,
    *training.RULES,
    *processes.RULES,
)
REMARKS: tuple[Said, ...] = (
    *bases.REMARKS,
    *lengths.REMARKS,
    *matrix.REMARKS,
    *masks.REMARKS,
    *mechanisms.REMARKS,
    *scales.REMARKS,
    *training.REMARKS,
)


def check(run: Run) -> None:
    """Refuse `run` if its parts don't go together; the sentence names them and the nearest legal choice."""
    for sentence in itertools.chain.from_iterable(rule(run) for rule in RULES):
        raise Refusal(sentence)


def notes(run: Run) -> list[str]:
    """Return a line for each part of `run` that is legal and has no effect, needs care, or may surprise."""
    return list(itertools.chain.from_iterable(remark(run) for remark in REMARKS))
