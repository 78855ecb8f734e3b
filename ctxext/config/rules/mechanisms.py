"""Attention mechanisms: the room that they need, and settings at which they are plain softmax."""

from collections.abc import Iterator

from ctxext.config.rules.columns import REGROUPING
from ctxext.config.schema import Run
from ctxext.config.traits import acts, chosen, longest, numbers, option, reach, remaps
from ctxext.mask.document import IntraDocument


def room_for_windows(run: Run) -> Iterator[str]:
    """A mechanism that keeps near distances and changes far ones must keep to those that the base has seen."""
    trained = run.base.trained_length
    for key in ("window", "chunk"):
        size = getattr(run.attention, key, 0)
        if option(run, "attention") in REGROUPING and size >= trained:
            yield (
                f"attention.{key}={size} must be below base.trained_length={trained}, else {chosen(run, 'attention')}"
                " scores distances that are new to the base; choose a smaller one, or attention=softmax"
            )


def chunks_at_factor_one(run: Run) -> Iterator[str]:
    """Dual chunks change distances that the base has seen, so that without an extension they only harm."""
    if option(run, "attention") == "dual_chunk" and run.context_length <= run.base.trained_length:
        yield (
            f"attention=dual_chunk changes distances that the base has seen, so that at factor 1"
            f" (context_length={run.context_length}) it only harms; use attention=softmax, or a longer context_length"
        )


def training_alone(run: Run) -> Iterator[str]:
    """What acts in training alone needs a step, and a row longer than its groups."""
    if not trains_only(run):
        return
    if run.trainer.steps == 0:
        yield (
            f"{chosen(run, 'attention')} acts in training only, and trainer.steps=0 trains nothing;"
            " take at least one step, or use attention=softmax"
        )
    elif getattr(run.attention, "group", 0) >= 2 * run.context_length:
        yield (
            f"{numbers(run, 'attention')} holds all of context_length={run.context_length} in one group, so that it"
            " could have no effect; choose smaller groups, or attention=softmax"
        )


def trains_only(run: Run) -> bool:
    """Return whether the attention of `run` is softmax but while weights are trained."""
    return run.attention.in_training() is not run.attention and not acts(run, IntraDocument())


RULES = (room_for_windows, chunks_at_factor_one, training_alone)


def neutral(run: Run) -> Iterator[str]:
    """A mechanism that is softmax at every length of the run, or whenever it is evaluated."""
    length, name = longest(run), option(run, "attention")
    if name == "softmax":
        return
    if trains_only(run):
        yield f"attention={name} acts in training only: what is evaluated is attention=softmax"
    elif not acts(run, IntraDocument()) or holds_all(run, length):
        yield f"{numbers(run, 'attention')} is exactly attention=softmax up to {length} tokens, the longest of the run"
    elif name == "infini" and run.attention.segment >= length:
        yield f"{numbers(run, 'attention')} recalls nothing up to {length} tokens, the longest of the run"


def holds_all(run: Run, length: int) -> bool:
    """Return whether the blocks or the segment of the attention of `run` hold a text of `length` tokens."""
    attention, name = run.attention, option(run, "attention")
    if name == "block_topk":
        return bool(attention.block * attention.top_k >= length)
    return name == "recurrence" and bool(attention.segment >= length)


def beyond_reach(run: Run) -> Iterator[str]:
    """A mechanism that leaves some of the target out of reach."""
    for slot in ("attention", "mask"):
        if remaps(run, slot) and (limit := reach(run)) < run.context_length:
            yield f"{numbers(run, slot)} reaches {limit} tokens, and context_length={run.context_length} lies beyond"


def straddling(run: Run) -> Iterator[str]:
    """Blocks that are counted in a row read as one text."""
    if option(run, "attention") == "block_topk" and option(run, "mask") == "causal":
        yield "attention=block_topk counts blocks through a packed row under mask=causal: they straddle documents"


REMARKS = (neutral, beyond_reach, straddling)
