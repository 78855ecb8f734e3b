"""How work is timed: process CPU time of one thread, every side warmed up, then all sides in turn."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch

from ctxext.kernels.product import written

Work = Callable[[], object]
Name = TypeVar("Name", str, int)
SQUARE = 2048
"""The size of the square product whose speed is the machine's ceiling."""


def alone() -> None:
    """Let torch compute with one thread, and take what is too small for a normal number as 0, as the program does."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def seconds(work: Work, times: int = 1) -> float:
    """Return the CPU seconds of `work`, the mean of as many `times`."""
    started = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - started) / times


def in_turn(
    sides: Mapping[Name, Work], repetitions: int, times: Mapping[Name, int] | None = None
) -> dict[Name, list[float]]:
    """Return the CPU seconds of each repetition of each of the `sides`, A B A B, after each has run once."""
    for work in sides.values():
        work()
    found: dict[Name, list[float]] = {name: [] for name in sides}
    gc.collect()
    gc.disable()  # else it would run in whichever side comes next
    try:
        for _ in range(repetitions):
            for name, work in sides.items():
                found[name].append(seconds(work, 1 if times is None else times[name]))
    finally:
        gc.enable()
    return found


def square_product(*, by_torch: bool = False) -> Work:
    """Return the square product in float32, into a warm buffer; it takes 2 x SQUARE^3 operations.

    It is made by what the program multiplies with, or `by_torch`'s own choice: where they differ, that is the slower.
    """
    first, second, result = (torch.randn(SQUARE, SQUARE) for _ in range(3))
    return lambda: torch.mm(first, second, out=result) if by_torch else written(first, second, result)


def ceiling(times: list[float]) -> list[float]:
    """Return the operations a second of square products that took `times` seconds."""
    return [2 * SQUARE**3 / time for time in times]


def largest_difference(first: Any, second: Any) -> float:
    """Return the largest difference between two tensors, which must have one shape."""
    if first.shape != second.shape:
        return float("nan")
    return float((first - second).detach().abs().max())
