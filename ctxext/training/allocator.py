"""What happens to the memory of freed tensors while weights are trained on a CPU: it is kept, or given back at once.

The settings are those of glibc's malloc. By itself it gives back tensors above 32 MB, and asks for the same pages again
at each step; huge pages can be asked for only before the process starts, by GLIBC_TUNABLES.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ctxext.training.settings import Trainer

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
"""From how much free memory at its end on the heap shrinks, from how large on tensors lie outside, and how many may."""
NEVER, NONE = -1, 0
AT_ONCE = 2**20
USUAL = {M_TRIM_THRESHOLD: 2**26, M_MMAP_THRESHOLD: 2**25, M_MMAP_MAX: 65536}
"""What glibc comes to by itself, where large tensors are made and freed."""
KEEPING = {M_TRIM_THRESHOLD: NEVER, M_MMAP_MAX: NONE}
SPARING = {M_MMAP_THRESHOLD: AT_ONCE}


@contextmanager
def arranged(settings: Trainer, device: torch.device) -> Iterator[str]:
    """Let freed tensors be kept for the next ones while the block runs, or given back if `settings` spare memory.

    Yields which of it in words, or nothing where nothing changes: on a `device` of its own memory, or without glibc.
    What was kept is given back at the end.
    """
    malloc = ctypes.CDLL(None)
    if device.type != "cpu" or not hasattr(malloc, "mallopt"):
        yield ""
        return
    is_sparing = settings.gradient_checkpointing
    malloc.malloc_trim(0)
    arrange(malloc, SPARING if is_sparing else KEEPING)
    try:
        yield "given back to the system at once" if is_sparing else "kept for the next step until training ends"
    finally:
        arrange(malloc, USUAL)
        malloc.malloc_trim(0)


def arrange(malloc: ctypes.CDLL, values: dict[int, int]) -> None:
    """Set the parameters of `malloc` to `values`."""
    for parameter, value in values.items():
        malloc.mallopt(parameter, value)
