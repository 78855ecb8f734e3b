"""All properties, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ctxext.proving.finding import Finding
from ctxext.proving.gradients import causality, packing
from ctxext.proving.loss import loss
from ctxext.proving.readings import cache, effect, neutral, prefix, rows, shift
from ctxext.proving.rotation import frequencies, phases
from ctxext.proving.specimen import Specimen
from ctxext.proving.statement import distances
from ctxext.proving.visibility import mask
from ctxext.refusal import Refusal

Property = Callable[[Specimen], Finding]

ALL: tuple[Property, ...] = (
    causality,
    mask,
    distances,
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
BRIEF: tuple[Property, ...] = (causality, cache, effect)
"""What is shown before any training."""
ACTED: tuple[Property, ...] = (causality, mask, packing, prefix, cache)
"""What is shown only where all that fills the seams acts."""


def prove(specimen: Specimen, properties: Sequence[Property] = ALL) -> Iterator[Finding]:
    """Yield what each of `properties` was found to be; one that can't be examined for an error doesn't hold."""
    for examine in properties:
        try:
            found = examine(specimen)
            yield unless_idle(found, specimen) if examine in ACTED else found
        except Refusal:
            raise
        except Exception as error:  # so that one failure doesn't hide the others
            yield Finding(examine.__name__, False, None, " ".join(f"{type(error).__name__}: {error}".split()))


def unless_idle(found: Finding, specimen: Specimen) -> Finding:
    """Return `found`, that it isn't shown where something in the seams of `specimen` did nothing meanwhile."""
    idle = specimen.acting.idle
    if not found.holds or not idle:
        return found
    reason = "longer texts take too much time here" if specimen.is_cut_short else "it can't show"
    words = f"{' and '.join(idle)} did nothing up to {specimen.lengths[-1]:,} tokens: {reason}"
    return replace(found, holds=None, words=words)
