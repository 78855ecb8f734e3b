"""How a run is asked to end: a signal becomes a flag that the loop reads at each step, so that it can save first."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)


def unheard(sentence: str) -> None:
    """Tell nobody of `sentence`."""


class Stop:
    """Whether the run was `asked` to end; a second interrupt from the keyboard does not wait for the loop."""

    def __init__(self, say: Callable[[str], None] = unheard) -> None:
        self.asked = False
        self.interrupts = 0
        self.say = say

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Note the signal `number`; raise KeyboardInterrupt for a second SIGINT."""
        self.interrupts += number == signal.SIGINT
        if self.interrupts > 1:
            raise KeyboardInterrupt
        if not self.asked:
            self.say("stopping at the next point from which the run can go on; interrupt again to stop at once")
        self.asked = True


@contextmanager
def listening(say: Callable[[str], None] = unheard) -> Iterator[Stop]:
    """Yield a `Stop` that TERM, INT, USR1 and USR2 set while the block runs, then restore the handlers found.

    `say` is told of the first signal; by default nobody is.

    Outside the main thread no handler can be set, and the `Stop` stays unasked.
    """
    stop = Stop(say)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    found = {number: signal.signal(number, stop.handle) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in found.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
