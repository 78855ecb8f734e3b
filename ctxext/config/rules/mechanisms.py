"""Attention mechanisms: the room that they need, and settings at which they are plain softmax."""

from collections.abc import Iterator

from ctxext.config.rules.columns import RECALLING, REGROUPING
from ctxext.config.rules.lengths import row
from ctxext.config.rules.matrix import kind
from ctxext.config.schema import Run
from ctxext.config.traits import acts, chosen, longest, numbers, option, reach, remaps
from ctxext.mask.document import IntraDocument
from ctxext.training.settings import AS_LAID


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
        return
    key, length = row(run)
    if getattr(run.attention, "group", 0) >= 2 * length:
        yield (
            f"{numbers(run, 'attention')} holds all of {key}={length} in one group, so that it"
            " could have no effect; choose smaller groups, or attention=softmax"
        )


def trains_only(run: Run) -> bool:
    """Return whether the attention of `run` is softmax but while weights are trained."""
    return run.attention.in_training() is not run.attention and not acts(run, IntraDocument())


def nothing_recalled(run: Run) -> Iterator[str]:
    """A memory of segments needs a second one."""
    length = longest(run)
    if option(run, "attention") in RECALLING and run.attention.segment >= length:
        yield (
            f"{numbers(run, 'attention')} holds every length of the run, up to {length}, in one segment, so that it"
            " recalls nothing; choose a smaller one, or attention=softmax"
        )


def positions_of_its_own(run: Run) -> Iterator[str]:
    """Positions counted anew in each segment leave nothing of those that are drawn, but at the input."""
    drawn = run.trainer.positions
    if option(run, "attention") in RECALLING and drawn != AS_LAID and kind(run) != "embedded":
        yield (
            f"{chosen(run, 'attention')} counts positions within its segments, so that trainer.positions={drawn} could"
            f" have no effect; use trainer.positions={AS_LAID}, or attention=softmax"
        )


RULES = (room_for_windows, chunks_at_factor_one, training_alone, nothing_recalled, positions_of_its_own)


def neutral(run: Run) -> Iterator[str]:
    """A mechanism that is softmax at every length of the run, or whenever it is evaluated."""
    length, name = longest(run), option(run, "attention")
    if name == "softmax":
        return
    if trains_only(run):
        yield f"attention={name} acts in training only: what is evaluated is attention=softmax"
    elif not acts(run, IntraDocument()) or holds_all(run, length):
        yield f"{numbers(run, 'attention')} is exactly attention=softmax up to {length} tokens, the longest of the run"


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


def untrained_memory(run: Run) -> Iterator[str]:
    """A memory is trained by rows of more than one segment."""
    if option(run, "attention") in RECALLING and run.attention.segment >= run.base.trained_length:
        is_extended = run.trainer.steps > 0 and row(run)[1] > run.attention.segment
        trains = "trains its memory in the extension alone" if is_extended else "never trains its memory"
        yield (
            f"attention.segment={run.attention.segment} holds all of base.trained_length={run.base.trained_length}, so"
            f" that {chosen(run, 'attention')} {trains}"
        )


def looking_far_back(run: Run) -> Iterator[str]:
    """A segment and its memory may be longer than what the base has seen."""
    if option(run, "attention") != "recurrence" or run.attention.segment >= longest(run):
        return
    is_plain = run.position.base() == run.position and kind(run) != "unplaced"
    field, trained = run.attention.segment + run.attention.memory, run.base.trained_length
    if is_plain and field > trained:
        yield (
            f"attention.segment={run.attention.segment} and attention.memory={run.attention.memory} together are above"
            f" base.trained_length={trained}: distances from there on, up to {field - 1}, are new to the base"
        )


REMARKS = (neutral, beyond_reach, straddling, untrained_memory, looking_far_back)
