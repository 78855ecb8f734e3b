"""How long a user waits: for `ctxext --help`, and for the first step of a run whose data are cached.

The CPU time of the command's process and of what it started, in fresh processes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.apart import cpu_of, environment
from benchmarks.findings import Part, Table, middle
from benchmarks.scale import Scale

PROGRAM = [sys.executable, "-m", "ctxext"]
LOOK = 0.01
TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 600.0


def measured(scale: Scale) -> Part:
    """Return the CPU seconds until the help is shown, and until the first step of training is logged."""
    found = Part()
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        cpu_of([*PROGRAM, "--help"], folder)
        help_times = [cpu_of([*PROGRAM, "--help"], folder) for _ in range(scale.repetitions)]
        found.add("help", help_times)
        line = [*PROGRAM, "train", *scale.run, f"cache={folder / 'cache'}"]
        cpu_of([*line, f"hydra.run.dir={folder / 'first'}"], folder)  # prepares the data, and scores the base
        runs = [
            until_first_step(line, folder, folder / f"run{index}") for index in range(max(3, scale.repetitions - 2))
        ]
    found.add("first_step", runs)
    rows = [
        ["--help", middle(help_times, 1, 2)],
        [f"train {' '.join(scale.run)}, to its first step", middle(runs, 1, 2)],
    ]
    found.tables.append(Table("From the command on", ["", "CPU s"], rows))
    found.remarks.append(
        "the run has its data and every score that is measured before training in its cache; its first step is whole"
    )
    return found


def until_first_step(line: list[str], folder: Path, run: Path) -> float:
    """Return the CPU seconds that the command `line` has taken when the first step stands in the log of its `run`."""
    log, deadline = run / "metrics.jsonl", time.monotonic() + PATIENCE
    command, nowhere = [*line, f"hydra.run.dir={run}"], subprocess.DEVNULL
    with subprocess.Popen(command, cwd=folder, env=environment(), stdout=nowhere, stderr=nowhere) as process:
        try:
            while not (log.is_file() and log.stat().st_size):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("benchmark: the run ended, or took too long, before its first step was logged")
                time.sleep(LOOK)
            return cpu_so_far(process.pid)
        finally:
            process.kill()


def cpu_so_far(process: int) -> float:
    """Return the CPU seconds of a running `process` and of what it started and waited for, as Linux tells them."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS
