"""Which setting makes training fit into the memory that is free.

Shapes: B rows, S tokens.
"""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ctxext.data.rows import Batch
from ctxext.training.memory import forecast
from ctxext.training.settings import Trainer


def remedy(network: Any, batch: Batch, settings: Trainer, free: int) -> str:
    """Return the settings, as they are typed, with which training `network` on `batch` would fit into `free` bytes.

    None of them changes what is learnt. "" where none is enough.
    """
    for words, changed in spared(settings, len(batch.samples)):
        found = forecast(network, batch, changed)
        if found.added <= free:
            return words
    return ""


def spared(settings: Trainer, rows: int) -> Iterator[tuple[str, Trainer]]:
    """Yield `settings` that take less memory and learn the same of a step of `rows` [B], the quickest first."""
    counts = [count for count in parts(rows) if count > settings.accumulate]
    for count in counts:
        yield f"trainer.accumulate={count}", replace(settings, accumulate=count)
    if not settings.gradient_checkpointing:
        words, sparing = "trainer.gradient_checkpointing=true", replace(settings, gradient_checkpointing=True)
        yield words, sparing
        for count in counts:
            yield f"{words} trainer.accumulate={count}", replace(sparing, accumulate=count)


def parts(rows: int) -> list[int]:
    """Return into how many parts a step of `rows` may be cut: doubled each time, at last one row each."""
    doubled = itertools.takewhile(lambda count: count < rows, (2**power for power in itertools.count(1)))
    return [*doubled, rows] if rows > 1 else []
