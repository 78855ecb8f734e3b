"""What training gains from keeping freed memory for the next step: processes with and without it, in turn."""

from __future__ import annotations

from contextlib import nullcontext

from benchmarks import twins
from benchmarks.apart import apart, peak_bytes, processor
from benchmarks.clock import alone, seconds
from benchmarks.findings import Part, Table, middle, ratios
from benchmarks.scale import SCALES, Scale, name_of
from benchmarks.training import our_step, settings

from ctxext.training.allocator import arranged

USUAL, ARRANGED = "usual", "arranged"
PAIRS, STEPS = 3, 3
MEGABYTE = 1e6


def measured(scale: Scale) -> Part:
    """Return the time and the peak memory of steps of the last shape, each way, in fresh processes."""
    shape, found = scale.shapes[-1], Part()
    times: dict[str, list[float]] = {USUAL: [], ARRANGED: []}
    peaks: dict[str, list[float]] = {USUAL: [], ARRANGED: []}
    for _ in range(PAIRS):
        for way in times:
            time, peak = apart("allocator.step_of", name_of(scale), way)
            times[way].append(time)
            peaks[way].append(peak)
    rows = [[way, middle(times[way]), middle(peaks[way], MEGABYTE, 0)] for way in times]
    title = f"Allocator, our training step, {shape.name}, {PAIRS} processes each way"
    found.tables.append(Table(title, ["", "CPU ms", "peak of the process, MB"], rows))
    gain = middle(ratios(times[USUAL], times[ARRANGED]), 1, 2)
    found.remarks.append(f"with the usual allocator a step takes {gain} times as long")
    return found


def step_of(scale: str, way: str) -> tuple[float, int]:
    """Return the CPU seconds of a step of the last shape, after a first one, and the peak of this process."""
    alone()
    shape = SCALES[scale].shapes[-1]
    with arranged(settings(), processor()) if way == ARRANGED else nullcontext():
        step = our_step(twins.ours(shape.geometry), twins.batch(shape))
        step()
        return seconds(step, STEPS), peak_bytes()
