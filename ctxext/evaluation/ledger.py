"""What was scored so far, kept line by line, so that a measurement that ends early goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from ctxext.evaluation.pace import QUIET, Pace
from ctxext.evaluation.reader import batches
from ctxext.model.resident import is_out_of_memory


class Ledger:
    """Scores by key in the file `path`, which grows a line at a time; what was cut off in writing counts as unknown."""

    def __init__(self, path: Path, pace: Pace = QUIET) -> None:
        """Read what `path` holds, if it is there; `pace` is told of each run before it is scored, and may end it."""
        self.path, self.pace = path, pace
        self.known = dict(entries(path))

    def add(self, scores: Mapping[str, Any]) -> None:
        """Keep `scores`, numbers and texts that JSON can hold, by key."""
        lines = "".join(json.dumps([key, value], allow_nan=False) + "\n" for key, value in scores.items())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            if file.tell() and not ends_a_line(self.path):
                file.write("\n")
            file.write(lines)
        self.known |= scores

    def through(self, keys: Sequence[str], score: Callable[[range], Sequence[Any]], size: int) -> list[Any]:
        """Return the scores of `keys`; `score` is called on runs of `size` of their numbers, or fewer, not all known.

        The runs are the same whatever is known, so that a score doesn't depend on where an earlier try ended.
        """
        for run in batches(range(len(keys)), size):
            names = [keys[number] for number in run]
            if not all(name in self.known for name in names):
                self.pace.count(run.start, len(keys))
                self.pace.tick()
                self.add(dict(zip(names, within_memory(score, run), strict=True)))
        return [self.known[key] for key in keys]


class OutOfMemoryError(Exception):
    """Not even one row at a time fits into memory."""


def within_memory(score: Callable[[range], Sequence[Any]], run: range) -> list[Any]:
    """Return the scores of `run`, in halves and halves of these where memory is short."""
    try:
        return list(score(run))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        if len(run) == 1:
            raise OutOfMemoryError from error
    torch.cuda.empty_cache()
    half = len(run) // 2
    return within_memory(score, run[:half]) + within_memory(score, run[half:])


def entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield key and score of each whole line of `path`."""
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, TypeError):
                key, value = json.loads(line)
                yield key, value


def ends_a_line(path: Path) -> bool:
    """Return whether the last byte of `path`, which isn't empty, ends a line."""
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read() == b"\n"
