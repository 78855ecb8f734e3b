"""Factors and lengths: what extends nothing, what there is no room for, and what the evaluated lengths can't show."""

from collections.abc import Iterator
from typing import Any

from ctxext.config.folders import fixed, option_of
from ctxext.config.lengths import quotient
from ctxext.config.rules.bases import is_own
from ctxext.config.schema import Run
from ctxext.config.traits import chosen, longest, named, numbers, option
from ctxext.refusal import Refusal, require
from ctxext.training.settings import AS_LAID

LARGER = {
    "learned": "position=learned_interp",
    "learned_interp": "a larger position.context_length",
    "xpos": "a larger position.scale_base",
}
"""What has place for more, by position."""


def check_factor(settings: Any) -> None:
    """Refuse the config `settings` of a run if its position would shrink the context."""
    factor, length, trained = settings.position.get("factor", 1), settings.context_length, settings.base.trained_length
    if factor < 1:
        position = option_of("position", settings.position)
        require(factor == quotient(length, trained), f"position.factor must be at least 1, got {factor}")
        raise Refusal(
            f"context_length={length} is below base.trained_length={trained}, so that position={position} would shrink"
            f" the context; choose a context_length above {trained}, or position=rope"
        )


def places(run: Run) -> Iterator[str]:
    """A table of positions must have a row for each of every length."""
    limit = run.position.limit()
    if limit is None:
        return
    needed = {
        "context_length": (run.context_length, LARGER.get(option(run, "position"), "position=rope")),
        "evaluation.lengths": (run.evaluation.lengths[-1], "evaluation=within"),
    }
    if run.trainer.positions != AS_LAID:
        needed["trainer.max_position"] = run.trainer.max_position, f"trainer.positions={AS_LAID}"
    for key, (length, nearest) in needed.items():
        if length > limit:
            beyond = f"{chosen(run, 'position')} has no place beyond {limit} tokens, and {key} reaches {length}"
            yield f"{beyond}; use {nearest}, or at most {limit}"


def row(run: Run) -> tuple[str, int]:
    """Return how many tokens a row of `run` has in training, after the key that says so."""
    is_laid = run.trainer.positions == AS_LAID
    return ("context_length", run.context_length) if is_laid else ("base.trained_length", run.base.trained_length)


def rows(run: Run) -> Iterator[str]:
    """A step must hold a row."""
    key, length = row(run)
    batch = run.trainer.batch_tokens
    if run.trainer.steps and batch < length:
        yield f"trainer.batch_tokens={batch} must hold a row of {key}={length} tokens"


def nothing_drawn(run: Run) -> Iterator[str]:
    """Positions are drawn in training, out of more than a row has."""
    drawn, largest, length = run.trainer.positions, run.trainer.max_position, run.base.trained_length
    if drawn == AS_LAID:
        return
    if run.trainer.steps == 0:
        yield (
            f"trainer.positions={drawn} draws in training only, and trainer.steps=0 trains nothing;"
            f" take at least one step, or trainer.positions={AS_LAID}"
        )
    elif largest <= length:
        yield (
            f"trainer.positions={drawn} has nothing to draw with trainer.max_position={largest} for rows of"
            f" base.trained_length={length} tokens; choose a larger one, or trainer.positions={AS_LAID}"
        )


def turned(run: Run) -> Iterator[str]:
    """A rotation must fit the heads of the model; it says so itself, when asked for its frequencies."""
    if hasattr(run.position, "frequencies") and hasattr(run.model, "sizes"):
        run.position.frequencies(run.model.sizes.head_dim)
    yield from ()


def unchanged(run: Run) -> Iterator[str]:
    """Numbers that are those of the base change nothing."""
    if getattr(run.position, "factor", None) is None and is_neutral(run):
        yield (
            f"{numbers(run, 'position')} is exactly its base at every length of the run, so that it could have no"
            f" effect; choose other numbers, or position={base_of(run)}"
        )


def is_neutral(run: Run) -> bool:
    """Return whether the position of `run` is already set so that it reads every length as its base does."""
    position = run.position
    return type(position) is not type(position.base()) and bool(position.off(longest(run)) == position)


RULES = (places, rows, nothing_drawn, turned, unchanged)


def factors(run: Run) -> Iterator[str]:
    """A factor of 1 does nothing, and a typed one wins over the lengths; that of the option's own file is meant so."""
    factor = getattr(run.position, "factor", None)
    if factor is not None and not is_own(run, "position"):
        derived = quotient(run.context_length, run.base.trained_length)
        if factor not in (derived, fixed("position", option(run, "position"), "factor")):
            lengths = f"context_length / base.trained_length is {derived:g}"
            yield f"position.factor={factor:g} is used, although {lengths}"
        if is_neutral(run):
            yield f"{chosen(run, 'position')} at factor {factor:g} is exactly its base, position={base_of(run)}"


def base_of(run: Run) -> str:
    """Return the option that is the base of the position of `run`."""
    return named("position", run.position.base())


def measured(run: Run) -> Iterator[str]:
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


REMARKS = (factors, measured)
