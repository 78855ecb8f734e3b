"""Numbers that follow from others: pure functions, seen in the option files as OmegaConf resolvers."""

import math
from collections.abc import Callable

from omegaconf import OmegaConf


def quotient(dividend: float, divisor: float) -> float:
    """Return `dividend / divisor`; 0 where `divisor` is 0, which the checks of lengths then refuse."""
    return dividend / divisor if divisor else 0.0


def difference(first: int, second: int) -> int:
    """Return `first - second`."""
    return first - second


def half(number: int) -> int:
    """Return half of `number`, rounded down."""
    return number // 2


def evaluated_lengths(trained_length: int, context_length: int) -> list[int]:
    """Return 1/2, 1, 2, 4 and 8 times `trained_length`, and `context_length`, rising."""
    return sorted({trained_length // 2, *(trained_length * times for times in (1, 2, 4, 8)), context_length})


def yarn_attention_factor(factor: float) -> float:
    """Return 0.1 ln(factor) + 1, YaRN's factor on queries and keys; 1 up to factor 1."""
    return 0.1 * math.log(factor) + 1.0 if factor > 1 else 1.0


def group_size(context_length: int, trained_length: int, window: int) -> int:
    """Return the least group of Self-Extend that reaches `context_length`: ceil((C - W) / (L - W)), at least 1."""
    if window >= trained_length:
        return 1  # no group can reach; legality refuses the window
    return max(1, math.ceil((context_length - window) / (trained_length - window)))


def register() -> None:
    """Make the functions known to OmegaConf under the names that the option files use."""
    functions: dict[str, Callable[..., object]] = {
        "quotient": quotient,
        "difference": difference,
        "half": half,
        "lengths": evaluated_lengths,
        "yarn_attention_factor": yarn_attention_factor,
        "group": group_size,
    }
    for name, function in functions.items():
        OmegaConf.register_new_resolver(name, function, replace=True)
