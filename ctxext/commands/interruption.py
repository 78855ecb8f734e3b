"""How a run that is asked to end does so: status 75, and the command that goes on from there; or at once."""

import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.core.hydra_config import HydraConfig

from ctxext.commands.jobs import as_typed
from ctxext.config.folders import OWN
from ctxext.parallel.launch import launched, local_size
from ctxext.parallel.mesh import ALONE, Mesh
from ctxext.reporting.journal import Journal
from ctxext.training.signals import Interruption, Stop


def leave_if_asked(stop: Stop, journal: Journal, command: str = "train", mesh: Mesh = ALONE) -> None:
    """End the program with 75 if `stop` was asked for, and say in `journal` how `command` goes on in its folder.

    If any process of `mesh` was asked to, all of them end, and all must be here.
    """
    if mesh.any(stop.asked):
        journal.say(f"interrupted; what goes on from here: {typed(command, f'hydra.run.dir={journal.folder}')}")
        raise Interruption(stop.number)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, by KeyboardInterrupt; outside the main thread it stays as it is."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    found = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if found is None else found)


def typed(command: str, *further: str) -> str:
    """Return the command line of this job of `command` alone, be it one of a sweep or not, with the words `further`."""
    words = as_typed(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
    own, start = OWN.get(), ["ctxext"]
    if launched()[1] > 1:
        start = ["torchrun", "--nproc-per-node", str(local_size()), "-m", *start]
    return shlex.join([*start, command, *words, *further, *([] if own is None else ["--config-dir", str(own)])])
