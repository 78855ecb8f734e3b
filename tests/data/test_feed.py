"""Batches made ahead: the same ones in the same order, few at a time, and no thread or error that stays behind."""

import threading
import time
import traceback
from collections.abc import Callable

import pytest
import torch

from ctxext.data.feed import AHEAD, Feed
from ctxext.data.rows import Batch


def batch(step: int) -> Batch:
    one = torch.full((1, 2), step)
    return Batch(one, one, one.float(), one, None, [f"text/{step}"])


def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds, five seconds at most."""
    end = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


def no_thread_is_left() -> bool:
    return not any(thread.name.startswith("feed") for thread in threading.enumerate())


@pytest.mark.parametrize("count", [0, 1, AHEAD, 9])
def test_each_step_has_its_batch_in_order_and_the_thread_ends_with_the_block(count: int) -> None:
    with Feed(batch, range(5, 5 + count)) as feed:
        samples = [feed.take().samples for _ in range(count)]

    assert samples == [[f"text/{step}"] for step in range(5, 5 + count)]
    assert no_thread_is_left()


def test_batches_are_made_by_another_thread_and_never_more_than_two_ahead() -> None:
    made: list[int] = []
    makers = set()

    def make(step: int) -> Batch:
        made.append(step)
        makers.add(threading.current_thread())
        return batch(step)

    with Feed(make, range(100)) as feed:
        for taken in range(1, 5):
            feed.take()
            until(lambda taken=taken: len(made) == taken + AHEAD)  # type: ignore[misc]
            time.sleep(0.01)
            assert len(made) == taken + AHEAD

    assert made == list(range(4 + AHEAD))
    assert len(makers) == 1
    assert threading.current_thread() not in makers


def test_what_is_waited_for_is_told_and_what_lies_ready_is_not() -> None:
    def make(step: int) -> Batch:
        time.sleep(0.1)
        return batch(step)

    with Feed(make, range(2)) as feed:
        feed.take()
        waited = feed.waited
        until(lambda: feed.ahead[0].done())
        feed.take()

    assert waited > 0.05 > 10 * feed.waited


def test_an_error_is_raised_where_its_batch_is_taken_with_the_place_where_it_happened() -> None:
    def spoilt(step: int) -> Batch:
        if step == 2:
            raise ValueError("step two")
        return batch(step)

    with Feed(spoilt, range(9)) as feed:
        assert [feed.take().samples, feed.take().samples] == [["text/0"], ["text/1"]]
        until(lambda: feed.ahead[0].done())  # known by now, and not raised before its turn
        with pytest.raises(ValueError, match="step two") as raised:
            feed.take()

    assert "spoilt" in [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
    assert no_thread_is_left()


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_the_thread_ends_where_the_block_fails_and_makes_nothing_that_was_not_begun(error: type[BaseException]) -> None:
    made = []

    def make(step: int) -> Batch:
        made.append(step)
        time.sleep(0.05)
        return batch(step)

    def fails() -> None:
        with Feed(make, range(9)):
            until(lambda: bool(made))
            raise error

    with pytest.raises(error):
        fails()

    assert made == [0]
    assert no_thread_is_left()
