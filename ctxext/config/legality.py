"""Which compositions are refused, since they are wrong or could have no effect, and which get a line."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from ctxext.attention.log_n import LogN
from ctxext.attention.self_extend import SelfExtend
from ctxext.attention.softmax import Softmax
from ctxext.config.folders import option_of
from ctxext.config.lengths import quotient
from ctxext.config.schema import Run
from ctxext.mask.causal import Causal
from ctxext.mask.sinks import Sinks
from ctxext.mask.sliding_window import SlidingWindow
from ctxext.model.geometry import DecoderGeometry, LstmGeometry
from ctxext.position.rope import Rope, Scaled
from ctxext.position.sinusoidal import Sinusoidal
from ctxext.refusal import Refusal, require


def check(run: Run) -> None:
    """Refuse `run` if its parts don't go together; the sentence names them and the nearest legal choice."""
    for sentence in itertools.chain.from_iterable(rule(run) for rule in RULES):
        raise Refusal(sentence)


def notes(run: Run) -> list[str]:
    """Return a line for each part of `run` that is legal and has no effect, or another than its name says."""
    return list(itertools.chain.from_iterable(note(run) for note in NOTES))


def check_factor(settings: Any) -> None:
    """Refuse the config `settings` of a run if its position would shrink the context."""
    factor, length, trained = settings.position.get("factor", 1), settings.context_length, settings.base.trained_length
    if factor < 1:
        position = option_of("position", settings.position.get("_target_"))
        require(factor == quotient(length, trained), f"position.factor must be at least 1, got {factor}")
        raise Refusal(
            f"context_length={length} is below base.trained_length={trained}, so that position={position} would shrink"
            f" the context; choose a context_length above {trained}, or position=rope"
        )


def chosen(run: Run, slot: str) -> str:
    """Return what fills `slot` as one would choose it: `position=yarn`."""
    member = type(getattr(run, slot))
    return f"{slot}={option_of(slot, f'{member.__module__}.{member.__qualname__}')}"


def longest(run: Run) -> int:
    """Return the longest length of `run` in tokens."""
    return max(run.context_length, *run.evaluation.lengths)


def from_scratch(run: Run) -> Iterator[str]:
    """A base with weights is a rotary decoder: other positions and other models are trained from scratch."""
    if run.base.path:
        weights = f"can't take the weights of base.path={run.base.path}"
        if not isinstance(run.model, DecoderGeometry):
            yield f"{chosen(run, 'model')} {weights}; add base=none, or use model=tiny"
        if not isinstance(run.position, Rope):
            yield f"{chosen(run, 'position')} {weights}, which were trained with rope; add base=none"


def recurrence(run: Run) -> Iterator[str]:
    """An LSTM has no attention, so that the three seams have nothing to act on."""
    if isinstance(run.model, LstmGeometry):
        for slot, neutral in (("position", Rope), ("mask", Causal), ("attention", Softmax)):
            if type(getattr(run, slot)) is not neutral:
                inert = f"{chosen(run, slot)} could have no effect"
                yield f"{chosen(run, 'model')} has no attention, so that {inert}; drop it, or use model=vanilla"


def windows(run: Run) -> Iterator[str]:
    """A window must hide something, and sinks must fit before it."""
    mask, trained, length = run.mask, run.base.trained_length, longest(run)
    if isinstance(mask, SlidingWindow | Sinks) and mask.window >= length:
        yield (
            f"{chosen(run, 'mask')} with mask.window={mask.window} sees all of every length up to {length};"
            f" choose a mask.window below {length}, or mask=causal"
        )
    if isinstance(mask, Sinks) and mask.sinks + mask.window > trained:
        yield (
            f"mask.sinks={mask.sinks} and mask.window={mask.window} together are above base.trained_length={trained},"
            f" so that distances are new to the model; choose a mask.window up to {trained - mask.sinks}"
        )


def distances(run: Run) -> Iterator[str]:
    """What remaps distances needs an encoding that has them, and only one part may remap."""
    position = chosen(run, "position")
    if isinstance(run.mask, Sinks) and isinstance(run.position, Sinusoidal):
        yield (
            f"mask=sinks re-indexes distances, and {position} has no relative distance;"
            " use position=rope, or mask=sliding_window"
        )
    if isinstance(run.attention, SelfExtend):
        if not isinstance(run.position, Rope):
            yield (
                f"attention=self_extend turns heads to other positions, and {position} turns none;"
                " use position=rope, or attention=softmax"
            )
        if isinstance(run.mask, Sinks):
            yield "attention=self_extend and mask=sinks both remap distances; use mask=causal, or attention=softmax"


def grouping(run: Run) -> Iterator[str]:
    """Self-Extend needs room for groups between its window and the trained length, and pairs beyond its window."""
    attention, mask, trained = run.attention, run.mask, run.base.trained_length
    if isinstance(attention, SelfExtend):
        window = f"attention.window={attention.window}"
        if attention.window >= trained:
            yield f"{window} must be below base.trained_length={trained}, so that groups have room beside it"
        if isinstance(mask, SlidingWindow) and mask.window <= attention.window:
            yield (
                f"mask.window={mask.window} hides all that attention=self_extend would group beyond {window};"
                f" choose a mask.window above {attention.window}, or attention=softmax"
            )


def rows(run: Run) -> Iterator[str]:
    """A step must hold a row."""
    batch, length = run.trainer.batch_tokens, run.context_length
    if run.trainer.steps and batch < length:
        yield f"trainer.batch_tokens={batch} must hold a row of context_length={length} tokens"


RULES: tuple[Callable[[Run], Iterator[str]], ...] = (from_scratch, recurrence, windows, distances, grouping, rows)


def factors(run: Run) -> Iterator[str]:
    """A factor of 1 does nothing, and a typed one wins over the lengths."""
    if isinstance(run.position, Scaled):
        factor, derived = run.position.factor, quotient(run.context_length, run.base.trained_length)
        if factor != derived:
            lengths = f"context_length / base.trained_length is {derived:g}"
            yield f"position.factor={factor:g} is used, although {lengths}"
        if factor == 1:
            yield f"{chosen(run, 'position')} at factor 1 is exactly position=rope"


def reach(run: Run) -> Iterator[str]:
    """What the attention mechanism leaves untouched or out of reach."""
    attention, trained, length = run.attention, run.base.trained_length, run.context_length
    if isinstance(attention, SelfExtend):
        limit = (trained - attention.window) * attention.group + attention.window
        if attention.group == 1:
            yield "attention=self_extend with attention.group=1 is exactly attention=softmax"
        elif limit < length:
            yield f"attention.group={attention.group} reaches {limit} tokens, and context_length={length} lies beyond"
    if isinstance(attention, LogN) and longest(run) <= attention.trained_length:
        unmoved = f"attention.trained_length={attention.trained_length}"
        yield f"attention=log_n changes nothing up to {unmoved}, and no length of the run is above it"


def lengths(run: Run) -> Iterator[str]:
    """What the evaluated lengths can't show."""
    evaluated, trained = (
        f"evaluation.lengths={run.evaluation.lengths}",
        f"base.trained_length={run.base.trained_length}",
    )
    if run.evaluation.lengths[0] > run.base.trained_length:
        yield f"{evaluated} has none up to {trained}, so that the cost at short lengths isn't seen"
    if run.evaluation.lengths[-1] < 2 * run.base.trained_length:
        yield f"{evaluated} has none from twice {trained} on, so that no extension is seen"
    if run.context_length not in run.evaluation.lengths:
        yield f"context_length={run.context_length} isn't among {evaluated}, so that the target isn't measured"


NOTES: tuple[Callable[[Run], Iterator[str]], ...] = (factors, reach, lengths)
