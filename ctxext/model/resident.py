"""The memory that the process or a device takes: now, at its peak, and at its peak from now on."""

import ctypes
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import torch

PAGES, STATUS, PEAKS = Path("/proc/self/statm"), Path("/proc/self/status"), Path("/proc/self/clear_refs")
"""Linux tells the peak of the process itself there; what getrusage tells is never below the peak of its parent."""
GROUP = Path("/sys/fs/cgroup")
"""Where Linux tells a container how much it may take, and has taken."""
NO_ROOM = ("can't allocate memory", "out of memory", "STATUS_ALLOC_FAILED", "could not create a primitive")
"""How the CPU's allocator, CUDA and its libraries, and oneDNN say that memory ran out."""
FORGET_PEAK = "5"
"""What PEAKS takes to let the peak begin anew."""


def held(device: torch.device) -> int:
    """Return the bytes that tensors take on `device`, or that the whole process takes if it is a CPU."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    if PAGES.is_file():
        return int(PAGES.read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    return peak(device)


def peak(device: torch.device) -> int:
    """Return the most bytes that were taken on `device`, or by the whole process if it is a CPU.

    Since the process began, or since `forget_peak`.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if STATUS.is_file():
        return 1024 * int(STATUS.read_text(encoding="ascii").partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def give_back() -> None:
    """Give the memory of freed tensors back to the system, as far as its allocator can."""
    malloc = ctypes.CDLL(None)
    if hasattr(malloc, "malloc_trim"):
        malloc.malloc_trim(0)


def free(device: torch.device) -> int:
    """Return the bytes that can still be taken on `device`, or by this process if it is a CPU, before others suffer."""
    if device.type == "cuda":
        unused, _ = torch.cuda.mem_get_info(device)
        return int(unused) + torch.cuda.memory_reserved(device) - held(device)
    bounds: list[int] = [psutil.virtual_memory().available, *(limit - used for limit, used in limits())]
    return max(min(bounds), 0)


def limits() -> Iterator[tuple[int, int]]:
    """Yield the limits that this process is under, and what counts towards each already, in bytes."""
    address_space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if address_space != resource.RLIM_INFINITY:
        yield address_space, psutil.Process().memory_info().vms
    limit, used, sorts = (GROUP / name for name in ("memory.max", "memory.current", "memory.stat"))
    if limit.is_file() and (told := limit.read_text(encoding="ascii").strip()).isdecimal():  # else it is "max"
        kept_of_files = int(sorts.read_text(encoding="ascii").partition("inactive_file ")[2].split()[0])
        yield int(told), int(used.read_text(encoding="ascii")) - kept_of_files


def forget_peak(device: torch.device) -> bool:
    """Let the peak on `device` begin anew at what is held now; return whether this system can.

    What was freed goes back to the system first, as far as its allocator lets it.
    """
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return True
    give_back()
    try:
        PEAKS.write_text(FORGET_PEAK, encoding="ascii")
    except OSError:
        return False
    return peak(device) <= held(device) * 1.05  # where nothing happens when it is written


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` says that memory ran out, on CUDA or, in PyTorch's words, on a CPU."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in str(error) for words in NO_ROOM)
