"""How a run is asked to end: a signal becomes a flag that the loop reads at each step, so that it can save first."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)


INTERRUPTED = 75


class Interruption(SystemExit):
    """The end of a run whose state is saved, by status 75, after the signal `number`."""

    def __init__(self, number: int) -> None:
        super().__init__(INTERRUPTED)
        self.number = number


def unheard(sentence: str) -> None:
    """Tell nobody of `sentence`."""


class Stop:
    """Whether the run was `asked` to end; a second interrupt from the keyboard does not wait for the loop."""

    def __init__(self, say: Callable[[str], None] = unheard) -> None:
        self.asked = False
        self.interrupts = 0
        self.number = 0
        self.say = say

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Note the signal `number`; raise KeyboardInterrupt for a second SIGINT."""
        self.interrupts += number == signal.SIGINT
        if self.interrupts > 1:
            raise KeyboardInterrupt
        is_first, self.asked = not self.asked, True
        if is_first:
            self.number = number
            with suppress(RuntimeError):  # the signal came in the midst of a line that is being written
                self.say("stopping at the next point from which the run can go on; interrupt again to stop at once")


@contextmanager
def listening(say: Callable[[str], None] = unheard) -> Iterator[Stop]:
    """Yield a `Stop` that TERM, INT, USR1 and USR2 set while the block runs, then restore the handlers found.

    `say` is told of the first signal; by default nobody is. Within another such block it is the `Stop` of that one,
    which may have been asked before, that `say` listens to.

    Outside the main thread no handler can be set, and the `Stop` stays unasked.
    """
    outer = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    stop = outer if isinstance(outer, Stop) else Stop(say)
    if stop is outer:
        yield from heard(stop, say)
        return
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    found = {number: signal.signal(number, stop.handle) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in found.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def heard(stop: Stop, say: Callable[[str], None]) -> Iterator[Stop]:
    """Yield `stop`, which tells `say` alone until the generator goes on."""
    found, stop.say = stop.say, say
    try:
        yield stop
    finally:
        stop.say = found
