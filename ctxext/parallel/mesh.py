"""The processes of a run: which this is, and what they tell each other. World size 1 is the identity.

Nothing is pickled: what passes between processes are tensors, and texts as their bytes. torch.distributed is only
imported where there are several.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor

from ctxext.parallel.launch import launched, local_rank
from ctxext.parallel.settings import Parallel


@dataclass(frozen=True)
class Mesh:
    """The processes of `settings`, of which this is number `rank`.

    Rank (d x shard + s) x context + c is replica d x shard + s, which has rows of its own, and has part c of each.
    `group` are the processes that share the same rows; None where there is one.
    """

    settings: Parallel = field(default_factory=Parallel)
    rank: int = 0
    group: Any = None

    @property
    def size(self) -> int:
        """How many processes there are."""
        return self.settings.size

    @property
    def is_first(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0

    @property
    def replica(self) -> int:
        """Which share of a step's rows this process has."""
        return self.rank // self.settings.context

    @property
    def part(self) -> int:
        """Which part of each of its rows this process has."""
        return self.rank % self.settings.context

    def rows(self, count: int) -> slice:
        """Return which of `count` rows are this process's."""
        own = count // self.settings.replicas
        return slice(self.replica * own, (self.replica + 1) * own)

    def total(self, tensor: Tensor) -> Tensor:
        """Return the sum of `tensor` over all processes, in its place."""
        if self.size > 1:
            torch.distributed.all_reduce(tensor)
        return tensor

    def any(self, flag: bool) -> bool:
        """Return whether `flag` is set in any process; the same in all."""
        if self.size == 1:
            return flag
        return bool(self.total(torch.tensor([int(flag)], dtype=torch.int64)).item())

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.any(False)

    def gathered(self, text: str) -> list[str]:
        """Return the `text` of each process, by rank."""
        if self.size == 1:
            return [text]
        own = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8) if text else torch.empty(0).byte()
        sizes = torch.zeros(self.size, dtype=torch.int64)
        sizes[self.rank] = len(own)
        most = int(self.total(sizes).max())
        padded = torch.zeros(most, dtype=torch.uint8)
        padded[: len(own)] = own
        every = [torch.empty_like(padded) for _ in range(self.size)]
        torch.distributed.all_gather(every, padded)
        return [bytes(part[:size].tolist()).decode() for part, size in zip(every, sizes.tolist(), strict=True)]

    def told(self, make: Callable[[], str]) -> str:
        """Return the text that `make` returns in the first process; it is called in no other."""
        return self.gathered(make() if self.is_first else "")[0]

    @contextmanager
    def first(self) -> Iterator[None]:
        """Let the first process carry out the block before all others do, which then find what it left."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()


ALONE = Mesh()
PATIENCE = timedelta(days=7)
"""How long processes wait for one another: the first may tokenise, wait for a base or write an export by itself.

Over gloo a process that is gone is noticed at once, by its closed connections; over NCCL it was not tried.
"""
joined: list[Mesh] = []
"""The mesh at hand is the last, as the processes of torch are those of the program."""


def here() -> Mesh:
    """Return the mesh that this process joined; one of itself alone if it joined none."""
    return joined[-1] if joined else ALONE


@contextmanager
def joining(settings: Parallel, device: str) -> Iterator[Mesh]:
    """Yield the mesh of `settings`, whose processes meet at its beginning and at its end; refuse another number.

    `device` is that of the run, cpu or cuda. Processes on CUDA devices were not run: there were none.
    """
    rank, started = launched()
    settings.check(started)
    if started == 1:
        yield ALONE
        return
    import torch.distributed as dist

    if device == "cuda":
        torch.cuda.set_device(local_rank())
    with mortal():
        dist.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
    joined.append(Mesh(settings, rank, sharing_rows(settings, rank)))
    try:
        yield joined[-1]
        joined[-1].wait()
        dist.destroy_process_group()  # after an error others may be lost, whom this would wait for
    finally:
        joined.pop()


@contextmanager
def mortal() -> Iterator[None]:
    """Let SIGTERM end this process at once: nothing is to be saved yet, and who never comes would be waited for."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    found = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if found is None else found)


def sharing_rows(settings: Parallel, rank: int) -> Any:
    """Return the group of those processes that share their rows with `rank`; every process makes all groups."""
    if settings.context == 1:
        return None
    found = None
    for first in range(0, settings.size, settings.context):
        members = list(range(first, first + settings.context))
        group = torch.distributed.new_group(members)
        found = group if rank in members else found
    return found


LOST = ("Connection closed by peer", "Connection reset", "Broken pipe", "Timed out", "timeout", "Socket closed")
"""How gloo, NCCL and their store say that another process is gone."""


def is_lost(error: BaseException) -> bool:
    """Return whether `error` says that another process of the run is gone."""
    return isinstance(error, RuntimeError) and any(words in str(error) for words in LOST)
