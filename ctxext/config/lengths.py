"""Numbers that follow from others: pure functions, seen in the option files as OmegaConf resolvers."""

import math
from collections.abc import Callable, Sequence

from omegaconf import OmegaConf

from ctxext.maths.amplitude import longrope_attention_factor, yarn_attention_factor

SCORED = 64
"""Tokens at the end of each text, where it is longer."""


def quotient(dividend: float, divisor: float) -> float:
    """Return `dividend / divisor`; 0 where `divisor` is 0, which the checks of lengths then refuse."""
    return dividend / divisor if divisor else 0.0


def difference(first: int, second: int) -> int:
    """Return `first - second`."""
    return first - second


def half(number: int) -> int:
    """Return half of `number`, rounded down."""
    return number // 2


def portion(number: int, numerator: int, denominator: int) -> int:
    """Return `number` x `numerator` / `denominator`, rounded down."""
    return number * numerator // denominator


def evaluated_lengths(trained_length: int, context_length: int) -> list[int]:
    """Return 1/2, 1, 2, 4 and 8 times `trained_length`, and `context_length`, rising."""
    return sorted({trained_length // 2, *(trained_length * times for times in (1, 2, 4, 8)), context_length})


def lengths_within(trained_length: int, context_length: int) -> list[int]:
    """Return the evaluated lengths of `trained_length` up to `context_length`."""
    return [length for length in evaluated_lengths(trained_length, context_length) if length <= context_length]


def scored_tokens(lengths: Sequence[int]) -> int:
    """Return how many tokens end texts of `lengths` and are scored: 64, or half of a shortest that is no longer."""
    shortest = min(lengths, default=SCORED + 1)
    return SCORED if shortest > SCORED else max(shortest // 2, 1)


def dual_chunk_factor(factor: float) -> float:
    """Return 0.05 ln(factor) + 1, ChunkLlama's factor on queries and keys; 1 up to factor 1."""
    return 0.05 * math.log(factor) + 1.0 if factor > 1 else 1.0


def inverse_mean_log(length: int) -> float:
    """Return 1 over the mean of ln n for n from 1 to `length`, from length 2 on; else 1."""
    return length / math.lgamma(length + 1) if length > 1 else 1.0


def grouped_reach(group: int, trained_length: int, window: int) -> int:
    """Return up to how many tokens Self-Extend scores no distance that is new: (L - W + floor(W / G)) G."""
    return (trained_length - window + window // group) * group


def group_size(context_length: int, trained_length: int, window: int) -> int:
    """Return the least group with which Self-Extend reaches `context_length`, at least 1."""
    if window >= trained_length:
        return 1  # no group can reach; legality refuses the window
    group = max(1, math.ceil((context_length - window) / (trained_length - window)))  # enough if it divides the window
    while grouped_reach(group, trained_length, window) < context_length:
        group += 1
    return group


def radix(context_length: int, dims: int) -> int:
    """Return the least base, at least 2, in which `dims` digits count to `context_length`."""
    base = 2
    while dims > 0 and base**dims < context_length:
        base += 1
    return base


def ones(count: int) -> list[float]:
    """Return `count` times 1."""
    return [1.0] * count


def yarn_factors(theta: float, factor: float, width: int, length: int) -> list[float]:
    """Return by what YaRN divides each frequency of a head of `width`, its usual ramp drawn over `length` tokens."""
    from ctxext.maths import rotary  # it imports torch

    if factor < 1 or theta <= 1 or length <= 0:
        return ones(width // 2)  # the checks refuse these
    return list(rotary.yarn_factors(theta, factor, width, length, 32.0, 1.0))


def last_window(schedule: str, window: int, widest: int) -> int:
    """Return the window of the last layer: `widest` by a `schedule` that grows, the same `window` by a constant one."""
    return window if schedule == "constant" else widest


def register() -> None:
    """Make the functions known to OmegaConf under the names that the option files use."""
    functions: dict[str, Callable[..., object]] = {
        "quotient": quotient,
        "difference": difference,
        "half": half,
        "portion": portion,
        "lengths": evaluated_lengths,
        "lengths_within": lengths_within,
        "scored_tokens": scored_tokens,
        "yarn_attention_factor": yarn_attention_factor,
        "longrope_attention_factor": longrope_attention_factor,
        "yarn_factors": yarn_factors,
        "ones": ones,
        "radix": radix,
        "group": group_size,
        "dual_chunk_factor": dual_chunk_factor,
        "inverse_mean_log": inverse_mean_log,
        "last_window": last_window,
    }
    for name, function in functions.items():
        OmegaConf.register_new_resolver(name, function, replace=True)
