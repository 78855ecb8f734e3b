"""What needs a process of its own: the parts, peaks of memory, and commands as a user starts them."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

ENTRY = Path(__file__).parents[1] / "bench.py"
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
QUIET = {
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


def environment(**added: str) -> dict[str, str]:
    """Return the environment of a process with one thread, which finds the program as it lies here."""
    folders = [str(ENTRY.parents[1]), *filter(None, [os.environ.get("PYTHONPATH", "")])]
    threads = dict.fromkeys(ONE_THREAD, "1")
    return os.environ | threads | QUIET | {"PYTHONPATH": os.pathsep.join(folders)} | added


def apart(name: str, *values: Any, **added: str) -> Any:
    """Return what the function `name`, MODULE.FUNCTION of this package, returns for `values` in a fresh process.

    `added` goes into its environment. What it writes to stderr is shown; its failure ends the benchmark.
    """
    line = [sys.executable, str(ENTRY), "--apart", name, json.dumps(values)]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, env=environment(**added), check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    return json.loads(done.stdout.splitlines()[-1])


def answer(name: str, values: str) -> str:
    """Return as JSON what the function `name` returns for the JSON `values`."""
    module, _, function = name.partition(".")
    called: Callable[..., Any] = getattr(import_module(f"benchmarks.{module}"), function)
    return json.dumps(called(*json.loads(values)))


def peak_bytes() -> int:
    """Return the most bytes that this process has taken."""
    from ctxext.model import resident

    return resident.peak(processor())


def taken_by(work: Callable[[], object]) -> int:
    """Return by how many bytes `work` lifts this fresh process above what it holds before."""
    from ctxext.model import resident

    before = max(resident.held(processor()), 0) if resident.forget_peak(processor()) else resident.peak(processor())
    work()
    return max(resident.peak(processor()) - before, 1)


def processor() -> Any:
    """Return torch's CPU."""
    import torch

    return torch.device("cpu")


def cpu_of(line: list[str], folder: Path) -> float:
    """Return the CPU seconds, all processes together, of the command `line` run in `folder`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(line, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"benchmark: {' '.join(line)} failed:\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
