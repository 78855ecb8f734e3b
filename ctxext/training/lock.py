"""One run a folder: a lock that names its holder, and that the system itself frees when the holder dies."""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ctxext.processes import is_alive
from ctxext.refusal import Refusal

LOCK = ".lock"
UNMADE = (FileNotFoundError, NotADirectoryError, PermissionError, FileExistsError)
"""What is said of a folder when it is made."""
PATIENCE, PAUSE = 0.2, 0.01
"""Seconds for which a lock that is taken is tried again, and between: who only asks holds it for a moment."""


class Held(Refusal):
    """A folder in which another run is at work, and in which nothing may be written."""


@contextmanager
def lock(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold `folder` while the block runs; `say` if a dead process held it; refuse, naming it, if a live one does."""
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+", encoding="utf-8")
    with file:
        take(file, folder, fcntl.LOCK_EX, PATIENCE)
        holder = read_holder(folder)
        if holder:
            say(f"{folder}: taken over from {holder}, which has ended")
        file.truncate(0)
        file.write(own_words())
        file.flush()
        try:
            yield
        finally:
            # The file stays, since a lock on a deleted file would lock nobody else out.
            file.truncate(0)


@contextmanager
def lock_in_turn(folder: Path, say: Callable[[str], None], pause: Callable[[], None]) -> Iterator[None]:
    """Hold `folder` as `lock` does, once those who hold it have left; of several who wait, one after the other."""
    with ExitStack() as stack:
        is_held = False
        while not is_held:
            wait_for(folder, say, pause)
            with suppress(Held):  # another was quicker
                stack.enter_context(lock(folder, say))
                is_held = True
        yield


def wait_for(folder: Path, say: Callable[[str], None], pause: Callable[[], None]) -> None:
    """Return once no live process holds `folder`; `say` who does, and `pause` before it is looked at again."""
    told = ""
    while True:
        try:
            refuse_held(folder)
        except Held as held:
            if not told:
                told = str(held)
                say(f"waiting: {told}")
            pause()
        else:
            return


def refuse_held(folder: Path) -> None:
    """Refuse `folder`, naming who holds it, if a live process does; make nothing, and keep nobody out."""
    with suppress(*UNMADE), naming(folder), (folder / LOCK).open("rb") as file:
        take(file, folder, fcntl.LOCK_SH)


def take(file: IO[Any], folder: Path, kind: int, patience: float = 0.0) -> None:
    """Take the lock `file` of `folder` as `kind` until it is closed; refuse if a live process keeps it so long."""
    until = time.monotonic() + patience
    while True:
        try:
            return fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= until:
                raise Held(f"{folder}: another run holds this folder, {live_holder(folder)}") from error
        except OSError as error:
            said = f"{folder / LOCK}: this disk can't lock a file ({error.strerror})"
            raise Refusal(f"{said}, and one folder has one run; choose another by hydra.run.dir=FOLDER") from error
        time.sleep(PAUSE)


@contextmanager
def naming(folder: Path) -> Iterator[None]:
    """Refuse `folder`, in one sentence, where its lock can't be opened, or is a pipe or a link: a lock is emptied."""
    try:
        file = folder / LOCK
        if file.is_symlink() or (file.exists() and not file.is_file()):
            raise OSError(errno.EINVAL, "neither a link nor a pipe may be a lock", str(file))
        yield
    except OSError as error:
        if isinstance(error, UNMADE):
            raise
        said = f"hydra.run.dir: no run can be kept in {folder} ({error.filename}: {error.strerror})"
        raise Refusal(f"{said}; write hydra.run.dir=FOLDER with another") from error


def own_words() -> str:
    """Return how a lock names this process."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def live_holder(folder: Path) -> str:
    """Return who holds the lock of `folder`, in words: a dead process is the last that held it, not yet overwritten."""
    holder = read_holder(folder)
    process, _, host = holder.removeprefix("process ").partition(" on ")
    is_dead = host == socket.gethostname() and process.isdecimal() and not is_alive(int(process))
    return "just started" if is_dead or not holder else holder


def read_holder(folder: Path) -> str:
    """Return who holds or held the lock of `folder`, in words, or nothing if its last holder left in order."""
    with (folder / LOCK).open("rb") as file:
        return file.read(200).decode(errors="replace").strip()
