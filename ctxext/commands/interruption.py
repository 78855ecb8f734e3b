"""How a run that is asked to end does so: status 75, and the command that goes on from there; or at once."""

import os
import re
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

ANEW = re.compile(r"\+{0,2}trainer\.resume=")
"""The word that says whether a run goes on: what was saved may be deleted by it."""


def leave_if_asked(stop: Stop, journal: Journal, command: str = "train", mesh: Mesh = ALONE) -> None:
    """End the program with 75 if `stop` was asked for, and say in `journal` how `command` goes on in its folder.

    If any process of `mesh` was asked to, all of them end, and all must be here.
    """
    if mesh.any(stop.asked):
        words = [word for word in task() if not ANEW.match(word)]  # which would begin anew
        said = spoken(command, *words, f"hydra.run.dir={journal.folder}")
        journal.say(f"interrupted; what goes on from here: {said}")
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
    return spoken(command, *task(), *further)


def task() -> list[str]:
    """Return the overrides of this job, as they were typed."""
    return as_typed(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def machines() -> list[str]:
    """Return the words by which torchrun, typed on each of the machines of this run, finds the others; none for one."""
    count = launched()[1] // local_size()
    meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", os.environ.get("MASTER_ADDR", "")]
    return ["--nnodes", str(count), *meeting] if count > 1 else []


def spoken(command: str, *words: str) -> str:
    """Return the command line of `command` with its `words`, fit for a shell; torchrun's where that was used."""
    own, start = OWN.get(), ["ctxext"]
    if launched()[1] > 1:
        start = ["torchrun", *machines(), "--nproc-per-node", str(local_size()), "-m", *start]
    return shlex.join([*start, command, *words, *([] if own is None else ["--config-dir", str(own)])])
