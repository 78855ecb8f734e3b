"""Files and folders that are written aside and then put in place of what is there, so that none is half of one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctxext.processes import is_alive

WRITTEN, REPLACED = ".tmp", ".old"


@contextmanager
def aside(place: Path) -> Iterator[Path]:
    """Lend a path beside `place` to write to; what is there in the end goes, as does what dead processes left there."""
    for mark in (WRITTEN, REPLACED):
        for path in place.parent.glob(f"{mark}-*-{place.name}"):
            process = path.name.split("-")[1]
            if process.isdecimal() and (int(process) == os.getpid() or not is_alive(int(process))):
                remove(path)
    fresh = beside(place, WRITTEN)
    try:
        yield fresh
    finally:
        remove(fresh)


def put(fresh: Path, place: Path) -> None:
    """Rename `fresh` to `place`; an older one is moved away first, so that no file of it stays."""
    old = beside(place, REPLACED)
    if os.path.lexists(place):
        place.rename(old)
    fresh.rename(place)
    remove(old)


def remove(path: Path) -> None:
    """Remove the file, link or folder `path`, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def beside(place: Path, mark: str) -> Path:
    """Return the path of this process beside `place`; it ends as `place` does, which tells readers the format."""
    return place.with_name(f"{mark}-{os.getpid()}-{place.name}")
