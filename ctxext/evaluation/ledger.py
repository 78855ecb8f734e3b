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
from ctxext.parallel.mesh import ALONE, Mesh


class Ledger:
    """Scores by key in the file `path`, which grows a line at a time; what was cut off in writing counts as unknown."""

    def __init__(self, path: Path, pace: Pace = QUIET, mesh: Mesh = ALONE) -> None:
        """Read what `path` holds, if it is there; `pace` is told of each run before it is scored, and may end it.

        The processes of `mesh` divide the runs among them, and the first writes what all of them score.
        """
        self.path, self.pace, self.mesh = path, pace, mesh
        self.known = dict(entries(path))

    def add(self, scores: Mapping[str, Any]) -> None:
        """Keep `scores`, numbers and texts that JSON can hold, by key."""
        self.known |= scores
        if not self.mesh.is_first:
            return
        lines = "".join(json.dumps([key, value], allow_nan=False) + "\n" for key, value in scores.items())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            if file.tell() and not ends_a_line(self.path):
                file.write("\n")
            file.write(lines)

    def through(self, keys: Sequence[str], score: Callable[[range], Sequence[Any]], size: int) -> list[Any]:
        """Return the scores of `keys`; `score` is called on runs of `size` of their numbers, or fewer, not all known.

        The runs are the same whatever is known, so that a score doesn't depend on where an earlier try ended.
        """
        self.agree(keys)
        runs = [run for run in batches(range(len(keys)), size) if not all(keys[number] in self.known for number in run)]
        for first in range(0, len(runs), self.mesh.size):
            each = runs[first : first + self.mesh.size]
            self.pace.count(each[0].start, len(keys))
            self.pace.tick()
            own = each[self.mesh.rank] if self.mesh.rank < len(each) else None
            for run, found in zip(each, self.exchanged(score, own), strict=False):
                self.add(dict(zip([keys[number] for number in run], found, strict=True)))
        return [self.known[key] for key in keys]

    def agree(self, keys: Sequence[str]) -> None:
        """Let all processes know of `keys` what the first does, and nothing else: the runs must be the same to all."""
        if self.mesh.size > 1:
            told = self.mesh.told(lambda: json.dumps({key: self.known[key] for key in keys if key in self.known}))
            self.known = {key: value for key, value in self.known.items() if key not in keys} | json.loads(told)

    def exchanged(self, score: Callable[[range], Sequence[Any]], own: range | None) -> list[list[Any]]:
        """Return the scores of each process's run, of which this one's is `own`, by rank.

        Raises OutOfMemoryError in all of them if memory ran out in any.
        """
        if self.mesh.size == 1:
            return [] if own is None else [within_memory(score, own)]
        found: list[Any] | None = None  # which it stays where memory runs out
        with suppress(OutOfMemoryError):
            found = within_memory(score, own) if own else []
        every: list[list[Any] | None] = [json.loads(text) for text in self.mesh.gathered(json.dumps(found))]
        if any(scores is None for scores in every):
            raise OutOfMemoryError
        return [scores for scores in every if scores is not None]


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
