"""What the weights that one starts from were trained with."""

from collections.abc import Iterator

from ctxext.attention.softmax import Softmax
from ctxext.config.folders import trained
from ctxext.config.schema import Run
from ctxext.config.traits import WHOLE, chosen, named, numbers, option
from ctxext.formats.bases import open_base
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry, LstmGeometry
from ctxext.position.dynamic import ByLength
from ctxext.position.rope import Rope, Scaled
from ctxext.seams import Position

SEAMS = ("position", "mask", "attention")


def from_scratch(run: Run) -> Iterator[str]:
    """What a base was trained with is its own, or what it extends: anything else is trained from scratch."""
    if not run.base.path:
        return
    weights = f"can't take the weights of base.path={run.base.path}"
    if not isinstance(run.model, DecoderGeometry):
        yield f"{chosen(run, 'model')} {weights}; add base=none, or use model=tiny"
    position, mask, attention = open_base(run.base.path).members()
    if run.position != position and (run.position.base() != position.base() or not is_scaling(position)):
        same = named("position", position) == option(run, "position")
        own, had = (
            (numbers(run, "position"), str(position))
            if same
            else (chosen(run, "position"), named("position", position))
        )
        yield f"{own} {weights}, which were trained with {had}; add base=none, or use position=rope"
    if run.mask != mask and run.mask.base() != IntraDocument() and option(run, "mask") not in WHOLE:
        yield f"{chosen(run, 'mask')} {weights}, which saw the whole past; add base=none, or use mask=document"
    if run.attention != attention and run.attention.base() != attention:
        own = named("attention", attention)
        yield f"{chosen(run, 'attention')} {weights}, which had {own}; add base=none, or use attention={own}"


def is_own(run: Run, slot: str) -> bool:
    """Return whether the base of `run` was trained with what fills `slot`."""
    own = open_base(run.base.path).members() if run.base.path else ()
    return getattr(run, slot) in own


def is_scaling(position: Position) -> bool:
    """Return whether `position`, of a base, may give way to a method: only the untouched one and what scales it may."""
    return type(position) is Rope or isinstance(position, (Scaled, ByLength))


def trained_length(run: Run) -> Iterator[str]:
    """Weights may be taken as if they had been trained at a shorter length, never at a longer one."""
    if run.base.path:
        own, typed = open_base(run.base.path).trained_length(), run.base.trained_length
        if typed > own:
            yield f"base.trained_length is {typed}, but base.path={run.base.path} was trained at {own}; drop it"


def without_attention(run: Run) -> Iterator[str]:
    """An LSTM has no attention, so that the three seams have nothing to act on."""
    if isinstance(run.model, LstmGeometry):
        for slot, neutral in (("position", Rope), ("mask", IntraDocument), ("attention", Softmax)):
            if type(getattr(run, slot)) is not neutral:
                inert = f"{chosen(run, slot)} could have no effect"
                yield f"{chosen(run, 'model')} has no attention, so that {inert}; drop it, or use model=vanilla"


RULES = (without_attention, from_scratch, trained_length)


def untrained(run: Run) -> Iterator[str]:
    """A method that weights must get used to is of little use before they have."""
    for slot in SEAMS:
        needs_training = trained(slot, option(run, slot)) == "fine-tuned" and not is_own(run, slot)
        if run.trainer.steps == 0 and needs_training:
            yield f"{chosen(run, slot)} is made for weights trained on with it, and trainer.steps=0 trains nothing"


def shortened(run: Run) -> Iterator[str]:
    """Weights that are taken as if trained at a shorter length have seen longer texts than the run says."""
    if run.base.path and run.base.trained_length < (own := open_base(run.base.path).trained_length()):
        yield f"base.trained_length={run.base.trained_length} is used, although base.path was trained at {own}"


REMARKS = (untrained, shortened)
