"""One run a folder: a lock that names its holder, and that the system itself frees when the holder dies."""

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ctxext.refusal import Refusal

LOCK = ".lock"


@contextmanager
def lock(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold `folder` while the block runs; `say` if a dead process held it; refuse, naming it, if a live one does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+", encoding="utf-8") as file:
        holder = take(file, folder)
        if holder:
            say(f"{folder}: taken over from {holder}, which has ended")
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        try:
            yield
        finally:
            # The file stays, since a lock on a deleted file would lock nobody else out.
            file.truncate(0)


def wait_for(folder: Path, say: Callable[[str], None], pause: Callable[[], None]) -> None:
    """Return once no live process holds `folder`; `say` who does, and `pause` before it is looked at again."""
    told = ""
    while True:
        try:
            refuse_held(folder)
        except Refusal as refusal:
            if not told:
                told = str(refusal)
                say(f"waiting: {told}")
            pause()
        else:
            return


def refuse_held(folder: Path) -> None:
    """Refuse `folder`, naming who holds it, if a live process does; make nothing, and hold nothing."""
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError), (folder / LOCK).open("rb") as file:
        take(file, folder)


def take(file: IO[Any], folder: Path) -> str:
    """Take the lock `file` of `folder` until it is closed; return who left it; refuse if a live process has it."""
    holder = read_holder(folder)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Refusal(f"{folder}: another run holds this folder, {holder or 'just started'}") from error
    return holder


def read_holder(folder: Path) -> str:
    """Return who holds or held the lock of `folder`, in words, or nothing if its last holder left in order."""
    return (folder / LOCK).read_text(encoding="utf-8", errors="replace")[:200].strip()
