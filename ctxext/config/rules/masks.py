"""Masks: what hides nothing, what leaves no room, and what a mask takes from the attention mechanism beside it."""

from collections.abc import Iterator

from ctxext.config.rules.bases import is_own
from ctxext.config.rules.columns import RECALLING, WITHOUT_LOGITS
from ctxext.config.schema import Run
from ctxext.config.traits import WHOLE, acts, chosen, hides, longest, narrows, numbers, option, remaps
from ctxext.mask.document import IntraDocument
from ctxext.mask.sinks import Sinks


def hiding_nothing(run: Run) -> Iterator[str]:
    """A mask must hide something of some length, unless it is the base's own."""
    length = longest(run)
    if option(run, "mask") not in WHOLE and not hides(run, length) and not narrows(run) and not is_own(run, "mask"):
        yield (
            f"{numbers(run, 'mask')} sees all of every length up to {length}, so that it could have no effect;"
            " choose smaller numbers, or mask=document"
        )


def room_for_sinks(run: Run) -> Iterator[str]:
    """Sinks and their window must fit into the trained length."""
    mask, trained = run.mask, run.base.trained_length
    if isinstance(mask, Sinks) and mask.sinks + mask.window > trained:
        yield (
            f"mask.sinks={mask.sinks} and mask.window={mask.window} together are above base.trained_length={trained},"
            f" so that distances are new to the model; choose a mask.window up to {trained - mask.sinks}"
        )


def beside_attention(run: Run) -> Iterator[str]:
    """A mask by distance needs logits, and must leave the mechanism beside it something to act on."""
    mask, attention = option(run, "mask"), option(run, "attention")
    if mask in WHOLE:
        return
    nearest = "use mask=document, or attention=softmax"
    if attention in (*WITHOUT_LOGITS, *RECALLING):
        yield f"attention={attention} sums up the whole past, and mask={mask} would hide some of it; {nearest}"
    elif remaps(run, "mask") and remaps(run, "attention"):
        yield f"attention={attention} and mask={mask} both remap distances; {nearest}"
    elif acts(run, IntraDocument()) and not acts(run, run.mask):
        yield f"{chosen(run, 'mask')} hides all that attention={attention} would change; {nearest}"


RULES = (hiding_nothing, room_for_sinks, beside_attention)


def hiding_later(run: Run) -> Iterator[str]:
    """A mask that hides nothing before it is trained."""
    length = longest(run)
    if option(run, "mask") not in WHOLE and not hides(run, length) and not is_own(run, "mask"):
        yield f"{numbers(run, 'mask')} sees all of every length up to {length} until training narrows it"


REMARKS = (hiding_later,)
