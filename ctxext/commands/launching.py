"""A command line that torchrun gives to several processes: what they can share, and where those write that don't speak.

No import that costs time, since help must be quick.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from ctxext.parallel.launch import TOGETHER, follows, launched
from ctxext.refusal import require

PLANS = "check"
"""The command that computes what several processes would do on machines that aren't there."""


def check_together(command: str, words: Sequence[str]) -> None:
    """Refuse a `command` that several processes can't carry out together, where torchrun or `words` ask for several.

    A GPU that isn't here is for `check` alone.
    """
    for word in words:
        key = word.lstrip("+").partition("=")[0]
        is_mesh, is_machine = key.startswith("parallel."), key == "hardware" or key.startswith("hardware.")
        require(not is_mesh or command in (*TOGETHER, PLANS), f"{word} does nothing in {command}; leave it out")
        require(not is_machine or command == PLANS, f"{word} does nothing in {command}; it is for ctxext {PLANS}")
    _, started = launched()
    said = f"torchrun started {started} processes, which {' and '.join(TOGETHER)} can share, and"
    require(started == 1 or command in TOGETHER, f"{said} {command} can't; start it without torchrun")
    is_sweep = bool({"-m", "--multirun"}.intersection(words))
    require(started == 1 or not is_sweep, f"{said} a sweep can't: -m starts many jobs; start torchrun once for each")


@contextmanager
def own_place(words: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield `words` with a folder for what Hydra writes, which vanishes, where another process speaks for this one."""
    if not follows():
        yield words
        return
    with tempfile.TemporaryDirectory() as folder:
        yield [*words, f"hydra.run.dir={folder}"]


@contextmanager
def muted() -> Iterator[None]:
    """Let nothing of the block be printed where another process speaks for this one."""
    if not follows():
        yield
        return
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        yield


def deaf(status: int) -> int:
    """Return `status`; torchrun, which ends all processes once one has ended, must not change that of the others."""
    if launched()[1] > 1:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return status


@contextmanager
def speaking_as(words: list[str]) -> Iterator[None]:
    """Let Hydra read `words` as the command line, and raise its errors instead of printing them and exiting."""
    typed, setting = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = words, "1"
    try:
        yield
    finally:
        sys.argv = typed
        del os.environ["HYDRA_FULL_ERROR"]
        if setting is not None:
            os.environ["HYDRA_FULL_ERROR"] = setting
