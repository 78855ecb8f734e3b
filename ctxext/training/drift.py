"""Whether a run may go on from what was saved: nothing may differ that its numbers depend on, unless it is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import torch

from ctxext import __version__
from ctxext.parallel.settings import Parallel
from ctxext.refusal import nearest, require
from ctxext.training.settings import Trainer

KEY = "surroundings"
"""The key of a checkpoint's state that holds them."""


LIBRARIES = ("numpy", "tokenizers", "torch")
"""Those that make the numbers, beside the package itself."""


def versions() -> dict[str, str]:
    """Return by key which versions a run depends on."""
    found = {"ctxext": __version__} | {name: version(name) for name in LIBRARIES}
    return {f"versions.{name}": number for name, number in found.items()}


def surroundings(device: torch.device, settings: Trainer, mesh: Parallel | None = None) -> dict[str, Any]:
    """Return what the last bits of a sum depend on beside the settings that a run may not change.

    Of these `settings`, it depends on whether blocks are compiled; also on the processes that share it, a `mesh`.
    """
    processor = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    return {
        "trainer.compile": settings.compile,
        "threads": torch.get_num_threads(),
        "device": device.type,
        "processor": processor,
        "mesh": str(mesh or Parallel()),
    }


def check_identity(
    saved: Mapping[str, Any],
    wanted: Mapping[str, Any],
    place: object,
    allowed: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Refuse to go on from `place` under settings other than those it was saved with, naming each that isn't `allowed`.

    `say` gets a table of all that differ.
    """
    known = sorted({*saved, *wanted})
    for key in allowed:
        require(
            key in known, f"trainer.resume_allow: nothing is called {key!r}{nearest(key, known)} ({', '.join(known)})"
        )
    differing = [key for key in known if saved.get(key) != wanted.get(key)]
    for line in table(differing, saved, wanted, allowed):
        say(line)
    refused = [key for key in differing if key not in allowed]
    told = ", ".join(f"{key} was {saved.get(key)!r} and is {wanted.get(key)!r}" for key in refused)
    way_out = f"use another hydra.run.dir, trainer.resume_allow=[{','.join(refused)}] or trainer.resume=never"
    require(not refused, f"{place}: can't go on from it, since {told}; {way_out}")


def table(
    keys: Sequence[str], saved: Mapping[str, Any], wanted: Mapping[str, Any], allowed: Sequence[str]
) -> list[str]:
    """Return a line for each of `keys` with its old and its new value, and what becomes of it, under a heading."""
    rows = [(key, str(saved.get(key, "-")), str(wanted.get(key, "-"))) for key in keys]
    if not rows:
        return []
    rows = [("key", "old", "new"), *rows]
    ends = ["", *("allowed" if key in allowed else "refused" for key in keys)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return ["  ".join([*map(str.ljust, row, widths), end]).rstrip() for row, end in zip(rows, ends, strict=True)]


def moved(saved: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return that bits may differ from those of an uninterrupted run, and why, or nothing if they may not."""
    told = ", ".join(
        f"{key} was {saved[key]} and is {now[key]}" for key in now if key in saved and saved[key] != now[key]
    )
    return told and f"{told}: what follows may differ in its last bits from a run that was not interrupted"
