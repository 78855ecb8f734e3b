"""Blocks compiled by torch while a network is trained, or left as they are, in words, where that can't be done."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from ctxext.data.rows import Batch
from ctxext.kernels.uncompiled import hide
from ctxext.training.loop import accumulate_gradients
from ctxext.training.settings import Trainer

Probed = TypeVar("Probed")


@contextmanager
def compiled(network: Any, batch: Batch, settings: Trainer, say: Callable[[str], None]) -> Iterator[None]:
    """Let the blocks of `network` be compiled while the `with` block runs; `say` is told what came of it.

    They are tried on `batch`, which must have the shape of every step's; gradients are dropped after it. Where torch's
    compiler fails, for want of a C++ compiler or by what it doesn't know, the blocks are left as they are.
    """
    blocks = list(getattr(network, "layers", ()))
    hide()
    for block in blocks:
        block.compile()
    try:
        say(tried(network, batch, settings) if blocks else f"{type(network).__name__} has no blocks to be compiled")
        yield
    finally:
        release(network)


def tried(network: Any, batch: Batch, settings: Trainer) -> str:
    """Return in words how the compiled blocks of `network` did on `batch`; they are released if they failed."""
    started = time.perf_counter()
    try:
        with warnings.catch_warnings(action="ignore"):  # of what torch looks at while it writes code
            accumulate_gradients(network, batch, settings)
    except RuntimeError as error:  # if it isn't the compiler's, the first step meets it as well
        release(network)
        reason = str(getattr(error, "inner_exception", error)).strip().partition("\n")[0]
        return f"the blocks are not compiled, since torch can't: {reason}"
    finally:
        network.zero_grad(set_to_none=True)
    return f"{len(network.layers)} blocks compiled in {time.perf_counter() - started:.0f} s"


def release(network: Any) -> None:
    """Leave the blocks of `network` as they are written."""
    for block in getattr(network, "layers", ()):
        block._compiled_call_impl = None  # torch has no function that takes back `compile`


def as_written(probe: Callable[[int], Probed]) -> Callable[[int], Probed]:
    """Return `probe`, which reads other shapes than training does, without compiled blocks."""

    def probed(step: int) -> Probed:
        with torch.compiler.set_stance("force_eager"):
            return probe(step)

    return probed
