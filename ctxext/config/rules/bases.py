"""What the weights that one starts from were trained with."""

from collections.abc import Iterator

from ctxext.attention.softmax import Softmax
from ctxext.config.folders import trained
from ctxext.config.schema import Run
from ctxext.config.traits import WHOLE, chosen, option
from ctxext.mask.document import IntraDocument
from ctxext.model.geometry import DecoderGeometry, LstmGeometry
from ctxext.position.rope import Rope


def from_scratch(run: Run) -> Iterator[str]:
    """A base with weights is a plain rotary decoder: what can't begin as that is trained from scratch."""
    if not run.base.path:
        return
    weights = f"can't take the weights of base.path={run.base.path}"
    if not isinstance(run.model, DecoderGeometry):
        yield f"{chosen(run, 'model')} {weights}; add base=none, or use model=tiny"
    if type(run.position.base()) is not Rope:
        yield f"{chosen(run, 'position')} {weights}, which were trained with rope; add base=none, or use position=rope"
    if run.mask.base() != IntraDocument() and option(run, "mask") not in WHOLE:
        yield f"{chosen(run, 'mask')} {weights}, which saw the whole past; add base=none, or use mask=document"
    if run.attention.base() != Softmax():
        yield f"{chosen(run, 'attention')} {weights}, which had softmax; add base=none, or use attention=softmax"


def without_attention(run: Run) -> Iterator[str]:
    """An LSTM has no attention, so that the three seams have nothing to act on."""
    if isinstance(run.model, LstmGeometry):
        for slot, neutral in (("position", Rope), ("mask", IntraDocument), ("attention", Softmax)):
            if type(getattr(run, slot)) is not neutral:
                inert = f"{chosen(run, slot)} could have no effect"
                yield f"{chosen(run, 'model')} has no attention, so that {inert}; drop it, or use model=vanilla"


RULES = (without_attention, from_scratch)


def untrained(run: Run) -> Iterator[str]:
    """A method that weights must get used to is of little use before they have."""
    for slot in ("position", "mask", "attention"):
        if run.trainer.steps == 0 and trained(slot, option(run, slot)) == "fine-tuned":
            yield f"{chosen(run, slot)} is made for weights trained on with it, and trainer.steps=0 trains nothing"


REMARKS = (untrained,)
