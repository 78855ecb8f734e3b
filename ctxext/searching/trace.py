"""What a search leaves as it goes: a line for each candidate that was scored, and one for each iteration.

A search that goes on is played again from its start. The draws are counted and the scores are read from here, so that
nothing else need be saved, and a search that was cut off at any candidate ends as if it hadn't been.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ctxext.searching.evolution import Candidate, Generation

CANDIDATES, ITERATIONS = "candidates.jsonl", "search.jsonl"


@dataclass
class Trace:
    """The scores that are `known`, kept in `folder` together with the `identity` of the search that they belong to."""

    folder: Path
    identity: dict[str, Any]
    known: dict[Candidate, float] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, identity: dict[str, Any]) -> Trace:
        """Return the trace in `folder`, or a new one with `identity`; a last line that was cut off is dropped."""
        rows = list(whole_lines(folder / CANDIDATES))
        trace = cls(folder, rows[0]["identity"] if rows else identity)
        for row in rows[1:]:
            trace.known[Candidate(tuple(row["factors"]), row["attention_factor"])] = row["score"]
        return trace

    @classmethod
    def forget(cls, folder: Path) -> None:
        """Remove the trace in `folder`."""
        for name in (CANDIDATES, ITERATIONS):
            (folder / name).unlink(missing_ok=True)

    def begin(self) -> None:
        """Write what is known, and let the iterations begin anew."""
        rows = [{**asdict(candidate), "score": score} for candidate, score in self.known.items()]
        lines = [json.dumps(row, allow_nan=False) + "\n" for row in [{"identity": self.identity}, *rows]]
        beside = self.folder / f".{CANDIDATES}"
        beside.write_text("".join(lines), encoding="utf-8")
        beside.replace(self.folder / CANDIDATES)
        (self.folder / ITERATIONS).unlink(missing_ok=True)

    def keep(self, candidate: Candidate, score: float) -> None:
        """Write the `score` of `candidate`."""
        self.known[candidate] = score
        append(self.folder / CANDIDATES, {**asdict(candidate), "score": score})

    def end(self, generation: Generation) -> None:
        """Write where the search stands after the iteration of `generation`."""
        append(
            self.folder / ITERATIONS,
            {
                "iteration": generation.iteration,
                "best": generation.score,
                "mean": generation.mean,
                "candidates": generation.candidates,
                **asdict(generation.best),
            },
        )


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects in `path`, one a line; none where there is no file, and none for a line that was cut off."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def append(path: Path, row: dict[str, Any]) -> None:
    """Add `row` to `path` as a line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, allow_nan=False) + "\n")
