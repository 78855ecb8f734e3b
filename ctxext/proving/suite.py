"""All properties, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ctxext.proving.finding import Finding
from ctxext.proving.gradients import causality, packing
from ctxext.proving.loss import loss
from ctxext.proving.readings import cache, effect, neutral, prefix, rows, shift
from ctxext.proving.rotation import frequencies, phases
from ctxext.proving.specimen import Specimen
from ctxext.proving.visibility import mask
from ctxext.refusal import Refusal

Property = Callable[[Specimen], Finding]

ALL: tuple[Property, ...] = (
    causality,
    mask,
    packing,
    rows,
    prefix,
    cache,
    shift,
    effect,
    neutral,
    frequencies,
    phases,
    loss,
)
BRIEF: tuple[Property, ...] = (causality, cache)
"""What is shown before any training."""


def prove(specimen: Specimen, properties: Sequence[Property] = ALL) -> Iterator[Finding]:
    """Yield what each of `properties` was found to be; one that can't be examined for an error doesn't hold."""
    for examine in properties:
        try:
            yield examine(specimen)
        except Refusal:
            raise
        except Exception as error:  # so that one failure doesn't hide the others
            yield Finding(examine.__name__, False, None, " ".join(f"{type(error).__name__}: {error}".split()))
