"""The runs of a sweep side by side by length: the two controls once, then what each run measured of its method."""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ctxext.commands.columns import aligned

CONTROLS = ("base", "truncated")
METHODS = ("zero_shot", "extended")
MEASURES = {"nll": "NLL, nats a token", "passkey": "PASSKEY, share right"}

Line = list[str]


def as_text(folders: Iterable[Path]) -> list[str]:
    """Return the tables of the runs in `folders` for a console, each below its title."""
    return [f"\n{title}\n{aligned(lines[0], lines[1:])}" for title, lines in tables(read(folders)).items()]


def read(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """Return the results in `folders`, without those of jobs that left none."""
    found = []
    for folder in folders:
        with suppress(OSError, ValueError):
            found.append(json.loads((folder / "results.json").read_text(encoding="utf-8")))
    return found


def tables(runs: Sequence[dict[str, Any]]) -> dict[str, list[Line]]:
    """Return for each measure a table of `runs`, by title, its header first; none for fewer than two runs.

    A control that is the same in all runs stands there once; one that differs is left to the runs' own reports.
    """
    if len(runs) < 2:
        return {}
    lengths = sorted({row["length"] for run in runs for row in run["by_length"]})
    found = {}
    for measure, title in MEASURES.items():
        lines = [["", *map(str, lengths)]]
        lines += [line for control in CONTROLS if (line := shared(runs, control, measure, lengths))]
        for run in runs:
            target = run["lengths"]["target"]
            for subject in METHODS:
                words = cells(run, subject, measure, lengths)
                if any(words):
                    lines.append([f"{run['run']['name']}, {subject}, to {target}", *words])
        if len(lines) > 1:
            found[title] = lines
    return found


def shared(runs: Sequence[dict[str, Any]], control: str, measure: str, lengths: list[int]) -> Line:
    """Return the line of `control`, which the runs agree on at each length where they have it; or none."""
    by_run = [cells(run, control, measure, lengths) for run in runs]
    known = [{words[index] for words in by_run if words[index]} for index in range(len(lengths))]
    if not any(known) or any(len(words) > 1 for words in known):
        return []
    return [control, *(next(iter(words), "") for words in known)]


def cells(run: dict[str, Any], subject: str, measure: str, lengths: list[int]) -> Line:
    """Return what `run` measured of `subject` at each of `lengths`, nothing where it did not."""
    if measure == "nll":
        values = {row["length"]: f"{row['nll']:.3f}" for row in run["by_length"] if row["subject"] == subject}
    else:
        wanted = (subject, measure, "all")
        totals = [row for row in run["tasks"] if (row["subject"], row["task"], row["depth"]) == wanted]
        values = {row["length"]: f"{row['value']:.2f}" for row in totals}
    return [values.get(length, "") for length in lengths]
