"""What is read from a file is kept as long as the file stays as it is: a job asks its base many times over."""

from collections.abc import Callable
from functools import lru_cache, wraps
from pathlib import Path
from typing import TypeVar

Value = TypeVar("Value")


def kept(read: Callable[[Path], Value]) -> Callable[[Path], Value]:
    """Return `read`, which takes a file, so that it reads again only what has changed; nobody may change its values."""

    @lru_cache(maxsize=64)
    def known(file: Path, size: int, changed: int) -> Value:
        return read(file)

    @wraps(read)
    def as_it_is(file: Path) -> Value:
        if not file.is_file():
            return read(file)  # which says what is wrong with it
        state = file.stat()
        return known(file, state.st_size, state.st_mtime_ns)

    return as_it_is
