"""Batches made ahead of the training that takes them, by a thread of its own."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import Self

from ctxext.data.rows import Batch

AHEAD = 2
"""How many batches wait to be taken, at most."""


class Feed:
    """The batches that `make` returns for each of `steps`, in their order, made while others are trained on.

    A batch depends on its step alone, not on when it is made. What `make` raises is raised where its batch is taken.
    `waited` is how many seconds the last one was waited for. The thread ends with the block.
    """

    def __init__(self, make: Callable[[int], Batch], steps: Iterable[int]) -> None:
        """Make nothing before the block is entered."""
        self.make, self.steps, self.waited = make, iter(steps), 0.0
        self.pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed")
        self.ahead: deque[Future[Batch]] = deque()

    def take(self) -> Batch:
        """Return the next batch, once it is made."""
        batch = self.ahead.popleft()
        self.order(1)
        started = time.perf_counter()
        try:
            return batch.result()
        finally:
            self.waited = time.perf_counter() - started

    def order(self, count: int) -> None:
        """Have the next `count` batches made, or those that are left."""
        for step in islice(self.steps, count):
            self.ahead.append(self.pool.submit(self.make, step))

    def __enter__(self) -> Self:
        self.order(AHEAD)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pool.shutdown(wait=True, cancel_futures=True)
