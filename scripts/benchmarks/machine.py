"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from benchmarks.clock import alone, ceiling, in_turn, square_product
from benchmarks.findings import Part, middle
from benchmarks.scale import Scale

from ctxext.kernels.product import ONEDNN

CPUINFO = Path("/proc/cpuinfo")
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")
LIBRARIES = ("torch", "transformers", "tokenizers", "datasets")


def measured(scale: Scale) -> Part:
    """Return the processor, the libraries and the ceiling of one thread."""
    import torch

    alone()
    sides = {"product": square_product(), "by torch": square_product(by_torch=True)}
    times = in_turn(sides, max(scale.repetitions, 3))
    found = Part(
        remarks=[*processor(), *libraries(), f"torch's threads in every measurement: {torch.get_num_threads()}"]
    )
    ours, theirs = (ceiling(times[name]) for name in ("product", "by torch"))
    found.remarks.append(
        f"square float32 product, one thread, at the start of the run: {middle(ours, 1e9, 0)} GFLOP/s by what ctxext "
        f"multiplies with ({'oneDNN' if ONEDNN else 'torch.mm'}), {middle(theirs, 1e9, 0)} by torch.mm"
    )
    found.add("ceiling", [median(ours) / 1e9])
    return found


def processor() -> list[str]:
    """Return what the system says of its processor and memory."""
    told = CPUINFO.read_text(encoding="utf-8") if CPUINFO.is_file() else ""
    fields = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    facts = {key.strip(): value.strip() for key, value in fields.items()}
    flags = set(facts.get("flags", "").split())
    has, lacks = [flag for flag in FLAGS if flag in flags], [flag for flag in FLAGS if flag not in flags]
    return [
        f"processor: {facts.get('model name', platform.processor() or 'unknown')}, {os.cpu_count()} cores",
        f"its instructions: {', '.join(has) or 'none'} of those that matter here; without {', '.join(lacks) or 'none'}",
    ]


def libraries() -> list[str]:
    """Return the versions of the system and of both sides' libraries, and the date."""
    versions = [f"{name} {installed(name)}" for name in LIBRARIES]
    day = datetime.now(UTC).date().isoformat()
    return [
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, {', '.join(versions)}; {day}"
    ]


def installed(name: str) -> str:
    """Return the version of the library `name`."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"
