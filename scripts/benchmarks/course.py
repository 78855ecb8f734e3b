"""The course of a run: each part in a process of its own, then what was found, on the console and the page."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.apart import apart
from benchmarks.findings import Part
from benchmarks.page import page_of, table_of_goals
from benchmarks.scale import SCALES

PARTS = (
    "machine",
    "training",
    "loss",
    "attention",
    "evaluation",
    "decoding",
    "startup",
    "tokenising",
    "planning",
    "allocator",
)


def course(only: list[str], scale: str, page: Path | None, kept: Path | None) -> int:
    """Run the parts in `only`, or all, at `scale`; write the `page` and the JSON file `kept` where they are given."""
    unknown = [name for name in only if name not in PARTS]
    if unknown:
        sys.stderr.write(f"bench: no part {', '.join(unknown)}; there are {', '.join(PARTS)}\n")
        return 2
    started, found = time.monotonic(), dict[str, Part]()
    for name in PARTS:
        if name in (only or PARTS):
            begun = time.monotonic()
            found[name] = Part.of(apart("course.part", name, scale))
            sys.stderr.write(f"{name}: {time.monotonic() - begun:.0f} s\n")
            if kept:
                keep(kept, found, scale)
    minutes = (time.monotonic() - started) / 60
    if page:
        page.write_text(page_of(found, scale, minutes), encoding="utf-8")
    sys.stdout.write(table_of_goals(found))
    return 0


def keep(path: Path, found: dict[str, Part], scale: str) -> None:
    """Write all that was `found` so far at `scale` to `path`, so that a run that is cut off leaves what it measured."""
    parts = {name: part.as_dict() for name, part in found.items()}
    path.write_text(json.dumps({"scale": scale, "parts": parts}, indent=1), encoding="utf-8")


def part(name: str, scale: str) -> dict[str, object]:
    """Return what the part `name` measures at `scale`."""
    from importlib import import_module

    found: Part = import_module(f"benchmarks.{name}").measured(SCALES[scale])
    return found.as_dict()
